"""Where a dataset lies: given, named by the environment, written in `medbench.toml`, or a twin made on the spot."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from medbench.cards import ReaderCard
from medbench.errors import Problem, UsageError
from medbench.files import cache_folder, storage
from medbench.registry import load

TWIN = "twin"
MARKER = ".medbench_synthetic.json"
"""A folder that holds this file is synthetic, and so is every result from it."""


def variable(dataset: str) -> str:
    """Return the environment variable that names a dataset's folder.

    >>> variable("vqa-rad")
    'MEDBENCH_DATA_VQA_RAD'
    """
    return f"MEDBENCH_DATA_{dataset.upper().replace('-', '_')}"


def find_root(card: ReaderCard, data: str | None) -> Path | Problem:
    """Return the folder of a dataset, or why there is none. A twin's folder need not exist yet: `ensure_twin` writes it."""
    if data == TWIN:
        return twin_folder(card) if card.twin else Problem(f"{card.name} has no twin", "give its folder with --data DIR")
    said, named = "--data", data
    if not named:
        said, named = variable(card.name), os.environ.get(variable(card.name))
    if not named:
        said, named = "medbench.toml", _settled(card.name)
    if not named:
        where = f"no --data, no {variable(card.name)}, nothing in medbench.toml"
        expected = "; ".join(card.expects)
        lines = [f"expected {expected}" if expected else "", f"obtain it: {card.obtain}", "or try --data twin" if card.twin else ""]
        return Problem(f"{card.name} was not found: {where}", "\n".join(line for line in lines if line))
    root = Path(named).expanduser()
    if not root.is_dir():
        return Problem(f"{card.name}: {root} ({said}) is not a folder", f"expected a folder with {'; '.join(card.expects)}")
    return root


def _settled(dataset: str) -> str:
    """Return the folder that `medbench.toml` gives a dataset; empty: none."""
    table = read_settings().get("data", {})
    named = table.get(dataset, "") if isinstance(table, dict) else None
    if not isinstance(named, str):
        raise UsageError(f"medbench.toml: [data] {dataset} is not a folder's name", hint=f'[data]\n{dataset} = "/where/it/is"')
    return named


def twin_folder(card: ReaderCard) -> Path:
    """Return where the default twin of a dataset is kept."""
    return cache_folder("twins", f"{card.name}-v{card.version}")


def ensure_twin(card: ReaderCard, root: Path) -> None:
    """Write the default twin of a dataset unless it is there."""
    if not (root / MARKER).is_file():
        with storage(root, "name another cache folder with MEDBENCH_CACHE"):
            root.parent.mkdir(parents=True, exist_ok=True)
            load(card)().write_twin(root, seed=0, size=0)


def is_synthetic(root: Path) -> bool:
    """Say whether a folder is marked as synthetic."""
    return (root / MARKER).is_file()


def access_of(card: ReaderCard, root: Path) -> str:
    """Return the access tier of the data in a folder: a twin's is `synthetic`, unless its marker states another one.

    A marker that cannot be read proves nothing: the data is then guarded as the dataset is.
    """
    try:
        stated: Any = json.loads((root / MARKER).read_bytes())
    except (OSError, ValueError):
        return card.access
    return str(stated.get("access", "synthetic")) if isinstance(stated, dict) else card.access


def read_settings() -> dict[str, Any]:
    """Return `medbench.toml` of the working folder, else of the user's configuration folder; empty when there is none.

    Raises:
        UsageError: it is not valid TOML.
    """
    path = settings_file()
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}", hint="mend that line") from error


def settings_file() -> Path | None:
    """Return the `medbench.toml` that is read; None: there is none."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "medbench"
    return next((path for path in (Path("medbench.toml"), home / "medbench.toml") if path.is_file()), None)
