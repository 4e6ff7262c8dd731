"""Suites: one TOML file that names tasks, models, options and seeds, read strictly and spread out into runs."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.errors import UsageError, suggestion
from medbench.identity import digest_of
from medbench.options import RunOptions
from medbench.types import Struct

FIELDS = {
    "data": "data",
    "split": "split",
    "variant": "variant",
    "protocol": "protocol",
    "param": "params",
    "images": "images",
    "limit": "limit",
    "batch_size": "batch_size",
    "device": "device",
    "workers": "workers",
    "model_option": "model_options",
    "metric": "metrics",
    "metric_option": "metric_options",
    "convention": "conventions",
    "by": "by",
    "judge": "judge",
    "judge_option": "judge_options",
    "executor": "executor",
    "max_cost": "max_cost",
    "i_have_permission_to_send": "permission",
}
"""What a suite may say about its runs: the option's name on the command line -> the field of `RunOptions`."""
TABLES = ("params", "model_options", "metric_options", "judge_options")
LISTS = ("images", "metrics", "conventions", "by")

MOST_RUNS = 10_000


class Entry(Struct):
    """A task or a model of a suite, with what is said for it alone."""

    name: str
    options: dict[str, Any] = {}
    axes: dict[str, list[Any]] = {}


class Suite(Struct):
    """A matrix of tasks, models, axes and seeds."""

    name: str
    title: str
    tasks: tuple[Entry, ...]
    models: tuple[Entry, ...]
    seeds: tuple[int, ...] = (0,)
    options: dict[str, Any] = {}
    axes: dict[str, list[Any]] = {}
    path: str = ""


class Cell(Struct):
    """One run of a suite."""

    task: str
    model: str
    seed: int
    axes: dict[str, Any]
    """Axis -> its value here."""
    options: RunOptions

    @property
    def label(self) -> str:
        """What the run is called in messages."""
        axes = "".join(f" {name}={value}" for name, value in self.axes.items())
        return f"{self.model} on {self.task}{axes} seed={self.seed}"

    @property
    def weights(self) -> str:
        """A digest that runs of the same loaded model share."""
        return digest_of([self.model, self.options.model_options, self.options.device, self.options.executor])


def read_suite(path: Path) -> Suite:
    """Read a suite file.

    Raises:
        UsageError: there is no such file, or it has a mistake: names the file, the key and the value.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file", hint="medbench suite FILE.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: {error}", hint="a suite is a TOML file") from error
    known = ("title", "tasks", "models", "seeds", "options", "axes")
    for key in raw:
        if key not in known:
            raise UsageError(f"{path}: unknown key {key}", hint=suggestion(key, known))
    suite = Suite(
        name=path.stem,
        title=_text(raw.get("title", path.stem), path, "title"),
        tasks=_entries(raw.get("tasks"), path, "tasks"),
        models=_entries(raw.get("models"), path, "models"),
        seeds=_seeds(raw.get("seeds", [0]), path),
        options=_options(raw.get("options", {}), path, "options"),
        axes=_axes(raw.get("axes", {}), path, "axes"),
        path=str(path),
    )
    count = sum(1 for _ in itertools.islice(_cells(suite, "runs"), MOST_RUNS + 1))
    if count > MOST_RUNS:
        raise UsageError(f"{path}: more than {MOST_RUNS:,} runs", hint="fewer axes, or several suites")
    return suite


def cells(suite: Suite, runs_dir: str) -> list[Cell]:
    """Return the runs of a suite: those that share a loaded model one after another, otherwise in the order of the file."""
    made = list(_cells(suite, runs_dir))
    first = {cell.weights: number for number, cell in reversed(list(enumerate(made)))}
    return sorted(made, key=lambda cell: first[cell.weights])


def _cells(suite: Suite, runs_dir: str) -> Iterator[Cell]:
    for model, task in itertools.product(suite.models, suite.tasks):
        axes = {**suite.axes, **task.axes, **model.axes}
        common = _together(suite.options, task.options, model.options)
        for values in itertools.product(*axes.values()):
            here = dict(zip(axes, values, strict=True))
            given = _fields(_together(common, _nested(here)))
            for seed in suite.seeds:
                options = RunOptions(task=task.name, model=model.name, seed=seed, runs_dir=runs_dir, **given)
                yield Cell(task=task.name, model=model.name, seed=seed, axes=here, options=options)


def _together(*given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of several levels, the later ones over the earlier; tables are joined key by key."""
    made: dict[str, Any] = {}
    for options in given:
        for name, value in options.items():
            made[name] = {**made.get(name, {}), **value} if isinstance(value, Mapping) else value
    return made


def _nested(axes: Mapping[str, Any]) -> dict[str, Any]:
    """Return axes as options: `param.shots` becomes a key of the table `param`."""
    made: dict[str, Any] = {}
    for name, value in axes.items():
        option, sign, key = name.partition(".")
        made = _together(made, {option: {key: value} if sign else value})
    return made


def _fields(options: Mapping[str, Any]) -> dict[str, Any]:
    made = {FIELDS[name]: value for name, value in options.items()}
    return {name: (tuple(value) if isinstance(value, list) else (value,)) if name in LISTS else value for name, value in made.items()}


def _entries(given: Any, path: Path, key: str) -> tuple[Entry, ...]:
    """Return the tasks or the models: names, or tables with a name, options and axes of their own."""
    if not isinstance(given, list) or not given:
        raise UsageError(f"{path}: {key}: a list of names is needed", hint=f'{key} = ["NAME", {{ name = "NAME", data = "DIR" }}]')
    return tuple(_entry(one, path, f"{key}[{number}]") for number, one in enumerate(given))


def _entry(given: Any, path: Path, where: str) -> Entry:
    if isinstance(given, str) and given:
        return Entry(name=given)
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise UsageError(f"{path}: {where}: a name, or a table with a name", hint='"NAME" or { name = "NAME", model_option = { k = 5 } }')
    rest = {name: value for name, value in given.items() if name not in {"name", "axes"}}
    return Entry(name=given["name"], options=_options(rest, path, where), axes=_axes(given.get("axes", {}), path, f"{where}.axes"))


def _options(given: Any, path: Path, where: str) -> dict[str, Any]:
    """Return options under the names of the command line, checked as far as their shape goes; the plan checks the rest."""
    if not isinstance(given, dict):
        raise UsageError(f"{path}: {where}: a table is needed")
    made: dict[str, Any] = {}
    for name, value in given.items():
        made[_option(name, path, where)] = value
    try:
        msgspec.convert({"task": "", **_fields(made)}, RunOptions)
    except (msgspec.ValidationError, TypeError) as error:
        fault, _, place = str(error).partition(" - at `$.")
        raise UsageError(f"{path}: {where}: {place.rstrip('`')}: {fault[:1].lower()}{fault[1:]}") from error
    return made


def _axes(given: Any, path: Path, where: str) -> dict[str, list[Any]]:
    if not isinstance(given, dict):
        raise UsageError(f"{path}: {where}: a table is needed", hint='[axes] "param.shots" = [1, 4, 16]')
    made: dict[str, list[Any]] = {}
    for name, values in given.items():
        option, sign, key = name.partition(".")
        known = _option(option, path, where)
        if not isinstance(values, list) or not values:
            raise UsageError(f"{path}: {where}.{name}: a list of values is needed", hint=f'"{name}" = [1, 2]')
        if (FIELDS[known] in TABLES) is not bool(sign):
            raise UsageError(f"{path}: {where}.{name}: not an option of a run", hint=f"{known}.KEY" if not sign else known)
        made[f"{known}{sign}{key}"] = values
    return made


def _option(name: str, path: Path, where: str) -> str:
    plain = name.replace("-", "_")
    if plain == "seed":
        raise UsageError(f"{path}: {where}.{name}: seeds have their own key", hint="seeds = [0, 1, 2]")
    if plain not in FIELDS:
        raise UsageError(f"{path}: {where}.{name}: unknown option", hint=suggestion(plain, FIELDS))
    return plain


def _seeds(given: Any, path: Path) -> tuple[int, ...]:
    whole = isinstance(given, list) and given and all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in given)
    if not whole or len(set(given)) != len(given):
        raise UsageError(f"{path}: seeds: {given}: different whole numbers, 0 or more, are needed", hint="seeds = [0, 1, 2]")
    return tuple(given)


def _text(given: Any, path: Path, key: str) -> str:
    if not isinstance(given, str):
        raise UsageError(f"{path}: {key}: a text is needed")
    return given


def shared_axes(found: Sequence[Cell]) -> dict[str, str]:
    """Return the axes of some runs in their order, and what a table calls each: without its table's name where that is enough.

    >>> cell = Cell(task="t", model="m", seed=0, axes={"param.shots": 1, "limit": 9}, options=RunOptions(task="t"))
    >>> shared_axes([cell])
    {'param.shots': 'shots', 'limit': 'limit'}
    """
    names = list(dict.fromkeys(name for cell in found for name in cell.axes))
    bare = [name.partition(".")[2] or name for name in names]
    return {name: short if bare.count(short) == 1 else name for name, short in zip(names, bare, strict=True)}
