"""Run folders: what lies where, how it is written and read back. A run folder is enough to score, and can be moved."""

from __future__ import annotations

import contextlib
import os
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from medbench.cards import GUARDED
from medbench.errors import DataError, MedbenchError, PluginError, UsageError, suggestion
from medbench.figures import Figure, Pictures, Tile, read_figures
from medbench.files import link_or_copy, private_folder, storage, write_whole
from medbench.identity import digest, safe_name
from medbench.plan import Plan
from medbench.record import RunRecord, read_record, to_json
from medbench.types import Picture, Prediction, Sample

T = TypeVar("T")

DATA_USE = """This folder holds data that is subject to a data use agreement ({access}), or text derived from it.
Keep it on this machine, share it with nobody who has not signed, and delete it when the agreement says so.
"""


class RunFolder:
    """`runs/<task>/<model>/<fingerprint>/` and the files in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan = path / "plan.json"
        self.samples = path / "samples.jsonl"
        self.predictions = path / "predictions.jsonl"
        self.rows = path / "rows"
        self.fitted = path / "fit"
        self.record = path / "run.json"
        self.figures = path / "figures.json"
        self.report = path / "report.html"
        self.pictures = path / "pictures"

    def create(self, access: str) -> None:
        """Make the folder, for its owner only; data under an agreement gets a file that says so."""
        private_folder(self.path)
        if access in GUARDED:
            write_whole(self.path / "DATA-USE.txt", DATA_USE.format(access=access).encode())

    @contextlib.contextmanager
    def discreet(self, access: str) -> Iterator[None]:
        """Keep in the folder what a model or a metric raises over data under an agreement: its message may quote a text.

        Raises:
            PluginError: the model or the metric broke down; says where the reason is kept.
            RuntimeError: anything else was raised that is a bug; says the same.
        """
        try:
            yield
        except Exception as error:
            ours = isinstance(error, MedbenchError) and not isinstance(error, PluginError) and not error.quotes
            if ours or access not in GUARDED:
                raise
            place = self.path / "error.txt"
            write_whole(place, "".join(traceback.format_exception(error)).encode(errors="replace"))
            said = f"the model or a metric failed ({type(error).__name__}): why is in {place}, since it may quote {access} data"
            if isinstance(error, MedbenchError):
                raise PluginError(said, hint=error.hint) from None
            raise RuntimeError(said) from None

    def sweep(self) -> None:
        """Remove what an interrupted write left behind; call it under the folder's lock only."""
        for folder in (self.path, self.rows):
            for path in folder.glob(".*"):
                if path.is_file() and path.name != ".lock":
                    path.unlink()

    def write_plan(self, plan: Plan) -> None:
        """Keep the plan."""
        write_whole(self.plan, to_json(plan))

    def read_plan(self) -> Plan:
        """Read the plan back."""
        try:
            return msgspec.json.decode(self.plan.read_bytes(), type=Plan)
        except FileNotFoundError:
            raise DataError(f"{self.plan}: no such file", hint="a run folder holds a plan.json (medbench runs)") from None
        except msgspec.MsgspecError as error:
            raise DataError(f"{self.plan}: {error}", hint="it was written by another version of medbench") from error

    def write_samples(self, samples: Sequence[Sample]) -> None:
        """Keep the samples that were evaluated, with their references: scoring needs nothing else."""
        write_whole(self.samples, lines(samples))

    def read_samples(self) -> list[Sample]:
        """Read the samples back."""
        return list(read_lines(self.samples, Sample))

    def keep_pictures(self, predictions: Sequence[Prediction], *, foreign: bool = False) -> list[Prediction]:
        """Link the drawn pictures into the folder, so that it is enough to score; their paths are then relative to it.

        Foreign ones are copied: whoever made them may write over them in their place.
        """
        kept: list[Prediction] = []
        for prediction in predictions:
            picture = prediction.value
            if not isinstance(picture, Picture):
                kept.append(prediction)
                continue
            place = private_folder(self.pictures) / f"{picture.digest}{Path(picture.path).suffix.lower()}"
            if not place.exists() and foreign:
                with storage(place):
                    partial = shutil.copyfile(picture.path, place.with_name(f".{place.name}.{os.getpid()}"))
                    partial.replace(place)
            elif not place.exists():
                link_or_copy(Path(picture.path), place)
            relative = place.relative_to(self.path).as_posix()
            kept.append(msgspec.structs.replace(prediction, value=msgspec.structs.replace(picture, path=relative)))
        return kept

    def with_pictures(self, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """Return predictions whose pictures can be opened from anywhere."""
        return [
            msgspec.structs.replace(p, value=msgspec.structs.replace(p.value, path=str(self.path / p.value.path)))
            if isinstance(p.value, Picture)
            else p
            for p in predictions
        ]

    def write_predictions(self, predictions: Sequence[Prediction]) -> str:
        """Keep the predictions and return their digest."""
        content = b"".join(lines(predictions))
        made = digest(content)
        if not (self.predictions.is_file() and digest(self.predictions.read_bytes()) == made):
            write_whole(self.predictions, content)
        return made

    def read_predictions(self) -> list[Prediction]:
        """Read the predictions back."""
        return list(read_lines(self.predictions, Prediction))

    def write_figures(self, figures: Sequence[Figure]) -> None:
        """Keep figures: one of a name that is there already takes its place, the others stay."""
        if not figures:
            return
        named = {figure.name: figure for figure in (*self.read_figures(), *figures)}
        moved = [_placed(named[name], self._inside) for name in sorted(named)]
        write_whole(self.figures, msgspec.json.encode(moved, order="deterministic"))

    def read_figures(self) -> list[Figure]:
        """Read the figures back; none where there are none, or none that this version reads."""
        try:
            return [_placed(figure, lambda path: str(self.path / path)) for figure in read_figures(self.figures.read_bytes())]
        except (FileNotFoundError, msgspec.MsgspecError):
            return []

    def _inside(self, path: str) -> str:
        """Return the path of a file of this folder relative to it, so that the folder can be moved; others as they are."""
        absolute, home = Path(path).absolute(), self.path.absolute()
        return absolute.relative_to(home).as_posix() if absolute.is_relative_to(home) else path

    def write_record(self, record: RunRecord) -> None:
        """Write the record, whole or not at all."""
        write_whole(self.record, to_json(record))

    def read_record(self) -> RunRecord:
        """Read the record back."""
        return read_record(self.record)


def _placed(figure: Figure, place: Callable[[str], str]) -> Figure:
    """Return a figure whose picture files are named in another way; one without pictures as it is."""
    if not isinstance(figure, Pictures):
        return figure

    def tile(one: Tile) -> Tile:
        return msgspec.structs.replace(one, path=place(one.path), overlay=place(one.overlay) if one.overlay else "")

    strips = tuple(msgspec.structs.replace(strip, tiles=tuple(tile(one) for one in strip.tiles)) for strip in figure.strips)
    return msgspec.structs.replace(figure, strips=strips)


def lines(items: Iterable[msgspec.Struct]) -> Iterator[bytes]:
    """Yield one JSON line per item, in blocks."""
    encoder = msgspec.json.Encoder(order="deterministic")
    block = bytearray()
    for item in items:
        block += encoder.encode(item) + b"\n"
        if len(block) > 1 << 20:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def read_lines(path: Path, kind: type[T]) -> Iterator[T]:
    """Read JSON lines of one type.

    Raises:
        DataError: the file is missing, or a line is not of that type; names the line.
    """
    decoder = msgspec.json.Decoder(kind)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield decoder.decode(line)
                except msgspec.MsgspecError as error:
                    raise DataError(f"{path}:{number}: {error}", hint="the file was changed or cut; run the task again") from error
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", hint="the run was interrupted before it: the same command goes on") from None


def run_path(runs_dir: Path, task: str, model: str, fingerprint: str) -> Path:
    """Return the folder of a run."""
    return runs_dir / safe_name(task) / safe_name(model) / fingerprint


def all_runs(runs_dir: Path) -> list[RunFolder]:
    """Return the run folders below a runs folder that have a plan or a record, in a stable order."""
    found = {path.parent for pattern in ("*/*/*/plan.json", "*/*/*/run.json") for path in runs_dir.glob(pattern)}
    return [RunFolder(path) for path in sorted(found)]


def find_run(name: str, runs_dir: Path) -> RunFolder:
    """Return the run of that folder, record file, fingerprint (or its beginning), `task/model` or `task/model/fingerprint`.

    Raises:
        UsageError: there is none, or more than one.
    """
    path = Path(name)
    if path.name == "run.json":
        path = path.parent
    if (path / "plan.json").is_file() or (path / "run.json").is_file():
        return RunFolder(path)
    runs = {run.path.relative_to(runs_dir).as_posix(): run for run in all_runs(runs_dir)}
    found = [shown for shown in runs if _is_meant(name, *shown.rsplit("/", 1))]
    if len(found) == 1:
        return runs[found[0]]
    if found:
        raise UsageError(f"{len(found)} runs are meant by {name}", hint=f"name one: {', '.join(found)}")
    known = [shown.rpartition("/")[2] for shown in runs]
    raise UsageError(f"no run named {name} in {runs_dir}", hint=f"{suggestion(name, known)}   (medbench runs)")


def _is_meant(name: str, system: str, fingerprint: str) -> bool:
    """Say whether a run of `task/model` with that fingerprint is what somebody typed."""
    typed, _, beginning = name.rpartition("/")
    return name == system or (typed in {"", system} and bool(beginning) and fingerprint.startswith(beginning))
