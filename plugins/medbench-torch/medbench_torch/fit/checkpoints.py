"""The state of a fit on disk, from which the same command goes on: whole or not at all, and only for the same fit."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from medbench.errors import MedbenchError, StorageError, UsageError
from medbench.files import private_folder, storage, write_whole
from medbench.locks import FolderLock
from medbench.types import Struct

PROGRESS = "progress.json"
RESULT = "result"
FACTS = "training.json"
_ELSEWHERE = "choose another folder with --out"


class StageState(Struct):
    """How far one stage is."""

    state: str = ""
    """Folder of its latest weights and optimiser, relative to the partial folder."""
    step: int = 0
    seconds: float = 0.0
    finished: bool = False
    stopped: bool = False
    """Whether patience ended it."""
    best: str = ""
    """Folder of the best weights, where patience asks for them."""
    best_value: float | None = None
    best_step: int = 0
    best_held_out: dict[str, float] = {}
    looks: int = 0
    """Looks at the validation examples since the best one."""
    held_out: dict[str, float] = {}
    """The values of the last look."""
    loss: float | None = None
    """Mean training loss of the last steps."""
    pending: tuple[float, float] = (0.0, 0.0)
    """Loss and number of targets since the last `step` event."""


class Progress(Struct):
    """What a fit is, and how far each of its stages is."""

    plan: dict[str, Any]
    stages: list[StageState] = []


class Partial:
    """The folder `OUT.partial`: checkpoints, and the result as far as it is there. Renamed away at the end.

    Args:
        out: The folder of the result.
        plan: What the fit is: another plan never goes on from this state.
        main: Whether this process writes.
    """

    def __init__(self, out: Path, plan: Mapping[str, Any], *, main: bool) -> None:
        self.out = out
        self.folder = out.with_name(out.name + ".partial")
        self.result = self.folder / RESULT
        self.plan: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(plan)))
        self.stages: list[StageState] = []
        self._main = main
        self._lock: FolderLock | None = None

    def __enter__(self) -> Self:
        if self._main:
            private_folder(self.folder)
            self._lock = FolderLock(self.folder)
            if holder := self._lock.try_take():
                raise StorageError(f"{self.folder} is in use by {holder}", hint="wait for it, or choose another folder with --out")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lock:
            self._lock.__exit__(kind, error, trace)

    def done(self) -> dict[str, Any] | None:
        """Return the facts of this very fit if it is complete already; None: it is not there.

        Raises:
            StorageError: the folder holds something else.
        """
        facts = _read(self.out / FACTS, dict[str, Any])
        if facts and facts.get("plan") == self.plan:
            return facts
        if self.out.exists() and any(self.out.iterdir()):
            what = f"another fit ({_difference(facts['plan'], self.plan)})" if facts and "plan" in facts else "something else"
            raise StorageError(f"{self.out} holds {what}", hint="give another --out, or delete that folder first")
        return None

    def open(self, *, resume: bool) -> None:
        """Take up what an interrupted fit left, or begin.

        Raises:
            UsageError: what is there was begun with another plan.
            StorageError: it is something else.
        """
        found = _read(self.folder / PROGRESS, Progress)
        if found and resume:
            if found.plan != self.plan:
                raise UsageError(
                    f"{self.folder} was begun with other settings: {_difference(found.plan, self.plan)}",
                    hint="repeat the settings to go on, or delete that folder to begin anew",
                )
            self.stages = list(found.stages)
        elif self._main:
            self._clear()
        if self._main:
            private_folder(self.result)

    def state_of(self, number: int) -> StageState:
        """Return how far a stage is; one that was not begun is at its beginning."""
        return self.stages[number] if number < len(self.stages) else StageState()

    def path(self, name: str) -> Path:
        """Return the place of a state that `StageState` names."""
        return self.folder / name

    def write(self, name: str, fill: Callable[[Path], None], meet: Callable[[], None]) -> str:
        """Let all processes fill a folder, which has its name only once it is whole; return the name."""
        draft = self.folder / f"{name}.draft"
        if self._main:
            shutil.rmtree(draft, ignore_errors=True)
            private_folder(draft)
        meet()
        with storage(draft, _ELSEWHERE):
            fill(draft)
        meet()
        if self._main:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            draft.rename(self.folder / name)
        return name

    def keep(self, number: int, state: StageState) -> None:
        """Make a stage's state the one to go on from, and drop the states that nothing refers to any more."""
        self.stages = [*self.stages[:number], state]
        if not self._main:
            return
        write_whole(self.folder / PROGRESS, msgspec.json.encode(Progress(plan=self.plan, stages=self.stages), order="deterministic"))
        wanted = {RESULT, PROGRESS, ".lock", *(name for stage in self.stages for name in (stage.state, stage.best))}
        for path in self.folder.iterdir():
            if path.is_dir() and path.name not in wanted:
                shutil.rmtree(path, ignore_errors=True)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Give the result its name; the state is no longer needed."""
        if not self._main:
            return
        write_whole(self.result / FACTS, msgspec.json.format(msgspec.json.encode({**facts, "plan": self.plan}, order="deterministic")))
        with storage(self.out, _ELSEWHERE):
            self.out.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.result, self.out)  # noqa: PTH105 - Path.replace refuses nothing that this accepts; an empty folder may be there
        shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self) -> None:
        strange = [path.name for path in self.folder.iterdir() if not path.name.startswith((".", "stage-", RESULT, PROGRESS))]
        if strange:
            raise StorageError(f"{self.folder}: there is something in it already ({strange[0]})", hint="another --out: state is kept there")
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != ".lock":
                path.unlink()


def _read(path: Path, kind: type[Any]) -> Any:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=kind)
    return None


def _difference(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> str:
    """Say in words what two plans differ in, the first few differences.

    >>> _difference({"seed": 0, "base": {"r": 4}}, {"seed": 1, "base": {"r": 8}})
    'base.r 4, now 8; seed 0, now 1'
    """
    found: list[str] = []
    for name in sorted({*there, *here}):
        one, other = there.get(name), here.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += [_difference(one, other, f"{prefix}{name}.")]
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            pairs = ({str(k): v for k, v in enumerate(side)} for side in (one, other))
            found += [_difference(*pairs, f"{prefix}{name}.")]
        elif one != other:
            found.append(f"{prefix}{name} {one}, now {other}")
    return "; ".join([difference for difference in found if difference][:3])


def refuse(error: Exception, stage: str) -> MedbenchError:
    """Return the error for a stage that does not fit into memory."""
    made = UsageError(f"stage {stage} does not fit into memory", hint="a smaller batch= with a larger accumulate=, or checkpointing=true")
    made.__cause__ = error
    return made
