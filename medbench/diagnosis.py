"""What is at hand on this machine: settings, data folders, plugins, packages, accelerator; looked at, never changed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from medbench.cards import AnyCard, ReaderCard
from medbench.errors import MedbenchError, Problem, suggestion
from medbench.files import cache_folder
from medbench.registry import Registry, load, missing_modules
from medbench.roots import find_root, read_settings, settings_file, variable
from medbench.types import Struct

State = Literal["ok", "absent", "wrong"]

EXTRAS = {
    "pydicom": "DICOM pictures: pip install 'medbench[dicom]'",
    "pyarrow": "Parquet: pip install 'medbench[parquet]'",
    "jinja2": "HTML reports and boards: pip install 'medbench[site]'",
    "matplotlib": "figures: pip install 'medbench[plots]'",
    "sklearn": "few-shot probes: pip install 'medbench[probe]'",
    "torch": "models with weights: pip install a medbench plugin that needs it",
}
TABLES = ("data",)
"""Tables that `medbench.toml` may have."""
TIGHT = 2_000_000_000
"""Less free space than so many bytes is a finding: weights and outputs will not fit."""

_TORCH = "import torch;c=torch.cuda;print(torch.__version__, ', '.join(c.get_device_name(i) for i in range(c.device_count())) or 'no GPU')"


class Finding(Struct):
    """One thing that was looked at."""

    area: str
    name: str
    state: State
    said: str = ""
    hint: str = ""


class Setting(Struct):
    """One setting, its value, and who says so."""

    name: str
    value: str
    source: str


def settings(registry: Registry) -> list[Setting]:
    """Return the settings in force: folders of data, cache, plugins; those that nobody set are left out.

    Raises:
        UsageError: `medbench.toml` is not valid TOML.
    """
    path = settings_file()
    made = [Setting(name="settings", value=str(path) if path else "none", source="working folder, else user's configuration")]
    data = read_settings().get("data", {})
    for card in _readers(registry):
        name = variable(card.name)
        if os.environ.get(name):
            made.append(Setting(name=f"data.{card.name}", value=os.environ[name], source=name))
        elif isinstance(data, dict) and card.name in data:
            made.append(Setting(name=f"data.{card.name}", value=str(data[card.name]), source=str(path)))
    said = next((name for name in ("MEDBENCH_CACHE", "XDG_CACHE_HOME") if os.environ.get(name)), "default")
    made.append(Setting(name="cache", value=str(cache_folder()), source=said))
    if "MEDBENCH_PLUGINS" in os.environ:
        value = os.environ["MEDBENCH_PLUGINS"] or "none but the built-in one"
        made.append(Setting(name="plugins", value=value, source="MEDBENCH_PLUGINS"))
    return made


def _readers(registry: Registry) -> list[ReaderCard]:
    return [entry.card for entry in registry.entries(ReaderCard) if isinstance(entry.card, ReaderCard)]


def diagnose(registry: Registry, runs_dir: Path) -> Iterator[Finding]:
    """Yield what was found: what is wrong stands beside what is only absent.

    Args:
        registry: The cards at hand.
        runs_dir: Where runs would be written.
    """
    version = importlib.metadata.version("medbench")
    yield Finding(
        area="program", name="medbench", state="ok", said=f"{version} · Python {platform.python_version()} · {platform.platform()}"
    )
    yield from _settings(registry)
    yield from _folders({"runs": runs_dir, "cache": cache_folder()})
    yield from _plugins(registry)
    yield from _packages()
    yield from _files(registry)
    yield from _data(registry)


def _settings(registry: Registry) -> Iterator[Finding]:
    """Yield mistakes in `medbench.toml`: a name that means nothing is silently without effect otherwise."""
    path = settings_file()
    if path is None:
        yield Finding(area="settings", name="medbench.toml", state="absent", said="none", hint='[data]\nvqa-rad = "/where/it/is"')
        return
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        yield Finding(area="settings", name=str(path), state="wrong", said=f"not valid TOML: {error}", hint="mend that line")
        return
    known = registry.names(ReaderCard)
    data = found.get("data", {})
    wrong = [(name, suggestion(name, TABLES)) for name in found if name not in TABLES]
    wrong += [(f"data.{name}", suggestion(name, known)) for name in (data if isinstance(data, Mapping) else ()) if name not in known]
    for name, hint in wrong:
        yield Finding(area="settings", name=str(path), state="wrong", said=f"{name} is unknown and has no effect", hint=hint)
    if not wrong:
        yield Finding(area="settings", name=str(path), state="ok", said=f"{len(data)} data folder{'s' if len(data) != 1 else ''}")


def _folders(folders: Mapping[str, Path]) -> Iterator[Finding]:
    for name, path in folders.items():
        there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            hint = "--runs-dir DIR" if name == "runs" else "MEDBENCH_CACHE=DIR"
            yield Finding(area="folders", name=name, state="wrong", said=f"{path} cannot be written", hint=hint)
            continue
        free = shutil.disk_usage(there).free
        tight = free < TIGHT
        state: State = "wrong" if tight else "ok"
        said, hint = f"{path} · {free / 1e9:,.1f} GB free", "free some" if tight else ""
        yield Finding(area="folders", name=name, state=state, said=said, hint=hint)


def _plugins(registry: Registry) -> Iterator[Finding]:
    """Yield each plugin, and what its cards still need."""
    for plugin in registry.plugins.found:
        if plugin.error:
            yield Finding(area="plugins", name=plugin.name, state="wrong", said=plugin.error, hint=f"pip install --upgrade {plugin.name}")
            continue
        needed: dict[str, tuple[AnyCard, list[str]]] = {c.name: (c, missing) for c in plugin.cards if (missing := missing_modules(c))}
        said = f"{plugin.version} · {len(plugin.cards)} cards".removeprefix(" · ")
        yield Finding(area="plugins", name=plugin.name, state="ok", said=said)
        for name, (card, missing) in sorted(needed.items()):
            said, hint = f"needs {', '.join(missing)}", card.install or "install it into this environment"
            yield Finding(area="plugins", name=f"{plugin.name}: {name}", state="absent", said=said, hint=hint)


def _files(registry: Registry) -> Iterator[Finding]:
    """Yield the files that cards ask the user for: where they are, or how to name them."""
    wanted = {name: (plugin.name, what) for plugin in registry.plugins.found for card in plugin.cards for name, what in card.files.items()}
    for name, (plugin, what) in sorted(wanted.items()):
        said = os.environ.get(name, "")
        if not said:
            yield Finding(area="weights", name=name, state="absent", said=f"not set; {plugin} wants {what}", hint=f"{name}=FILE")
        elif not Path(said).expanduser().exists():
            yield Finding(area="weights", name=name, state="wrong", said=f"{said}: no such file", hint=f"{plugin} wants {what}")
        else:
            yield Finding(area="weights", name=name, state="ok", said=said)


def _packages() -> Iterator[Finding]:
    for module, hint in EXTRAS.items():
        name = "scikit-learn" if module == "sklearn" else module
        try:
            said = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(area="packages", name=name, state="absent", said="not installed", hint=hint)
            continue
        yield _torch() if module == "torch" else Finding(area="packages", name=name, state="ok", said=said)


def _torch() -> Finding:
    """Return whether torch can be imported, and what it sees; in a process of its own, since it may crash."""
    try:
        done = subprocess.run([sys.executable, "-c", _TORCH], capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - this very interpreter
    except subprocess.TimeoutExpired:
        return Finding(area="packages", name="torch", state="wrong", said="cannot be imported within 120 s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"its process ended with code {done.returncode}"])[-1]
        return Finding(area="packages", name="torch", state="wrong", said=last, hint="install torch and torchvision from the same index")
    version, _, devices = done.stdout.strip().partition(" ")
    return Finding(area="packages", name="torch", state="ok", said=f"{version} · {devices}")


def _data(registry: Registry) -> Iterator[Finding]:
    """Yield the data folders that are named somewhere, checked by their readers; the others have a twin."""
    unnamed = []
    for card in _readers(registry):
        try:
            root = find_root(card, None)
            problems = [root] if isinstance(root, Problem) else load(card)().check(root)
        except MedbenchError as error:
            problems, root = [Problem(error.message, error.hint)], Path()
        if isinstance(root, Problem) and " was not found: " in root.message:
            unnamed.append(card.name)
        elif problems:
            yield Finding(area="data", name=card.name, state="wrong", said=problems[0].message, hint=problems[0].hint)
        else:
            yield Finding(area="data", name=card.name, state="ok", said=str(root))
    if unnamed:
        hint = "MEDBENCH_DATA_<NAME>=DIR, or [data] in medbench.toml; --data twin needs none"
        yield Finding(area="data", name=f"{len(unnamed)} datasets", state="absent", said=f"not named: {', '.join(unnamed)}", hint=hint)
