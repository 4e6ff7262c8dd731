"""Tasks: one TOML file each, read strictly, found in the wheel, in the repository, in plugins, or by path."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import msgspec

from medbench.cards import TaskCard
from medbench.errors import UsageError, nearest, suggestion
from medbench.registry import Registry
from medbench.types import Struct


class Published(Struct):
    """A number that somebody else reported for this task."""

    system: str
    metric: str
    value: float
    source: str
    convention: str = ""
    verified: bool = False
    """Whether the source was read and says so."""


class ReferenceSet(Struct):
    """The real pictures that set metrics compare drawn ones with."""

    split: Literal["", "train", "val", "test"] = ""
    """Empty: the evaluated split."""
    role: str = "target"
    """Role of the pictures that are real."""


class Task(Struct):
    """What is evaluated: data, split, protocol, parameters, metrics, and the facts around them."""

    name: str
    title: str
    dataset: str
    protocol: tuple[str, ...]
    """In order of preference: the first one that the model's capabilities allow is taken."""
    metrics: tuple[str, ...]
    split: Literal["train", "val", "test"] = "test"
    variant: str = ""
    """The packaging or label set of the dataset; empty: its default."""
    params: dict[str, Any] = {}
    """Parameters of the protocol."""
    reader: dict[str, Any] = {}
    """Parameters of the reader."""
    conventions: dict[str, str] = {}
    """Family -> the convention under which this task is scored by default."""
    reference_set: ReferenceSet = ReferenceSet()
    primary: str = ""
    """`metric/name` of the number that stands for the task."""
    columns: tuple[str, ...] = ()
    """`metric/name` of the columns of its board, the primary one first; empty: the metrics' primary scores."""
    subgroups: tuple[str, ...] = ()
    """Columns of the data whose values are scored apart."""
    citation: str = ""
    notes: str = ""
    published: tuple[Published, ...] = ()
    path: str = ""
    """Where the task was read from."""


def task_files(registry: Registry) -> dict[str, list[tuple[str, Path]]]:
    """Return task name -> [(plugin, file)], without reading the files: a file is named as its task is."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for path in sorted(_shipped().glob("*/*.toml")):
        found.setdefault(path.stem, []).append(("medbench", path))
    for entry in registry.entries(TaskCard):
        found.setdefault(entry.card.name, []).append((entry.plugin, _inside_package(entry.card.load)))
    return dict(sorted(found.items()))


def get_task(name: str, registry: Registry) -> Task:
    """Return the task of that name, or of that TOML file.

    Raises:
        UsageError: there is none, two packages claim it, or the file has a mistake.
    """
    if name.endswith(".toml"):
        return read_task(Path(name))
    plugin, _, bare = name.rpartition("/")
    found = task_files(registry)
    claims = [(p, path) for p, path in found.get(bare, []) if not plugin or plugin in (p, p.removeprefix("medbench-"))]
    if not claims:
        raise UsageError(f"no task named {name}", hint=f"{suggestion(bare, found)}   (medbench list tasks)")
    if len(claims) > 1:
        listed = ", ".join(f"{p}/{bare}" for p, _ in claims)
        raise UsageError(f"{len(claims)} packages offer a task named {name}", hint=f"choose one: {listed}")
    return read_task(claims[0][1])


def read_task(path: Path) -> Task:
    """Read one task file.

    Raises:
        UsageError: names the file, the key, and what is allowed there.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file", hint="a task is a name (medbench list tasks) or a TOML file") from None
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror})", hint="a task is a name (medbench list tasks) or a TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}", hint="mend that line") from error
    table.setdefault("name", path.stem)
    if isinstance(table.get("protocol"), str):
        table["protocol"] = [table["protocol"]]
    table["path"] = str(path)
    try:
        task = msgspec.convert(table, Task)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {_explain(str(error))}", hint=_allowed(str(error))) from error
    _require_sense(task, path)
    return task


def _require_sense(task: Task, path: Path) -> None:
    if task.name != path.stem:
        raise UsageError(f"{path}: name is {task.name!r}", hint=f"a task is named as its file: {path.stem!r}")
    if not task.protocol or not task.metrics:
        raise UsageError(f"{path}: a task needs at least one protocol and one metric", hint='protocol = ["vqa"], metrics = ["vqa"]')
    for key, named in (("primary", (task.primary,)), ("columns", task.columns)):
        for score in filter(None, named):
            if score.partition("/")[0] not in task.metrics or not score.partition("/")[2]:
                raise UsageError(
                    f"{path}: {key}: {score!r} is no score of this task", hint=f"metric/name, of the metrics {', '.join(task.metrics)}"
                )


def _shipped() -> Path:
    """Return the folder of the shipped tasks: beside the package when installed editable, inside it in a wheel."""
    package = Path(str(files("medbench")))
    inside = package / "_tasks"
    return inside if inside.is_dir() else package.parent / "tasks"


def _inside_package(load: str) -> Path:
    module, _, relative = load.partition(":")
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        spec = None
    places = spec.submodule_search_locations if spec else None
    # a card of a package that is not there is a file that is not there: its own task's mistake, not every task's
    return Path(places[0] if places else module) / relative


def _explain(message: str) -> str:
    """Turn msgspec's message into key and fault: `metrics: expected array, got str`."""
    where = re.search(r" - at `\$\.?([^`]*)`", message)
    text = re.sub(r" - at `[^`]*`", "", message)
    unknown = re.search(r"unknown field `([^`]+)`", text)
    if unknown:
        return f"unknown key {(where[1] + '.') if where and where[1] else ''}{unknown[1]}"
    missing = re.search(r"missing required field `([^`]+)`", text)
    if missing:
        return f"key {missing[1]} is missing"
    key = where[1] if where else ""
    return f"{key}: {text[0].lower()}{text[1:]}" if key else text


def _allowed(message: str) -> str:
    unknown = re.search(r"unknown field `([^`]+)`", message)
    fields = list(Published.__struct_fields__ if "$.published" in message else Task.__struct_fields__)
    if unknown:
        close = nearest(unknown[1], fields)
        return f"did you mean {close[0]}?" if close else f"allowed keys: {', '.join(f for f in fields if f != 'path')}"
    if "$.split" in message:
        return "allowed: train, val, test"
    return f"keys of a task: {', '.join(f for f in fields if f != 'path')}"
