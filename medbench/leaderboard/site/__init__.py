"""The static site of boards: works from a folder on disk, fetches nothing, and is the same bytes from the same entries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from medbench.errors import PluginError, UsageError
from medbench.files import storage
from medbench.leaderboard.building import Held
from medbench.leaderboard.site.board_page import board_page, replicates_script
from medbench.leaderboard.site.entry_page import entry_page
from medbench.leaderboard.site.index_page import index_page
from medbench.leaderboard.site.model_index import model_index
from medbench.leaderboard.site.plots import Plots

HERE = Path(__file__).parent
HINT = "pip install 'medbench[site]'"
_EXPORT = re.compile(r"export\s*\{([^{}]*)\}\s*;?")

CELLS_WITH_REPLICATES = 5_000
"""A board with more cells ships replicates of its primary score alone: pages must stay small enough to open."""


def write_site(boards: Sequence[Held], out: Path, *, url: str = "") -> Path:
    """Write the pages of boards and return the first one.

    Args:
        boards: What was built.
        out: The site's folder; pages of entries that are gone are removed from it.
        url: Where the site will be, for permalinks; empty: links are to the pages as they lie.

    Raises:
        UsageError: jinja2 or the table library is not installed.
        StorageError: the folder cannot be written.
    """
    pages = environment()
    base = url.rstrip("/")
    plots = Plots()
    files: dict[str, bytes] = {f"assets/{name}": content for name, content in _assets().items()}
    files["index.html"] = pages.get_template("index.html").render(index_page(boards)).encode()
    for held in boards:
        files |= _board_files(held, pages, base, plots)
    with storage(out, "--site another folder"):
        _write(out, files, {held.board.name for held in boards})
    return out / "index.html"


def environment() -> Any:
    """Return the templates, with everything that is put into them escaped.

    Raises:
        UsageError: jinja2 is not installed.
    """
    if find_spec("jinja2") is None:
        raise UsageError("writing pages needs jinja2", hint=HINT)
    import jinja2  # noqa: PLC0415 - an extra

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _board_files(held: Held, pages: Any, base: str, plots: Plots) -> dict[str, bytes]:
    """Return path -> content of everything below one board's folder."""
    name = held.board.name
    files = {f"{name}/{view}": content for view, content in held.views.items()}
    cost = plots.cost(held)
    if cost:
        files[f"{name}/cost.svg"] = cost
    plot = "cost.svg" if cost else ""
    files[f"{name}/index.html"] = pages.get_template("board.html").render(board_page(held, base, plot)).encode()
    every = len(held.entries) * len(held.board.columns) <= CELLS_WITH_REPLICATES
    template = pages.get_template("entry.html")
    for entry in held.entries:
        curves = plots.curves(entry, held.board)
        files |= {f"{name}/entries/{place}": content for place, content in curves.items()}
        context = entry_page(entry, held, base, f"../{plot}" if plot else "", tuple(curves), held.verified.get(entry.hash, {}))
        files[f"{name}/entries/{entry.id}.html"] = template.render(context).encode()
        files[f"{name}/entries/{entry.id}.model-index.yaml"] = model_index(
            entry, held.board, f"{base}/{name}/entries/{entry.id}.html" if base else ""
        ).encode()
        files[f"{name}/data/{entry.id}.js"] = replicates_script(entry, held.board, every=every)
    return files


def _write(out: Path, files: dict[str, bytes], boards: set[str]) -> None:
    """Write what changed, and remove pages of entries that are gone."""
    old = [path for name in boards for kind in ("entries", "data") for path in (out / name / kind).glob("*")]
    for path in old:
        if path.relative_to(out).as_posix() not in files:
            path.unlink()
    for folder in sorted({(out / place).parent for place in files}):
        folder.mkdir(parents=True, exist_ok=True)
    for place, content in files.items():
        (out / place).write_bytes(content)


def _assets() -> dict[str, bytes]:
    """Return the page's own script and style, and the table library as itables ships it, made into a classic script.

    A module cannot be loaded from `file://`; the bundle has a single export, at its end.

    Raises:
        UsageError: itables is not installed.
        PluginError: its bundle is not of the form this version knows.
    """
    spec = find_spec("itables")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("writing pages needs itables (the table library DataTables, for use offline)", hint=HINT)
    bundle = Path(spec.submodule_search_locations[0]) / "html"
    text = (bundle / "dt_bundle.js").read_text(encoding="utf-8")
    exported = _EXPORT.findall(text)
    names = dict(reversed(part.split(" as ")) for part in exported[0].replace("\n", " ").split(",") if " as " in part) if exported else {}
    wanted = {public.strip(): own.strip() for public, own in names.items()}
    if len(exported) != 1 or "jQuery" not in wanted:
        raise PluginError("itables: its bundle has another form than expected", hint=f"{HINT} installs a version that was tried")
    script = f'(() => {{"use strict";{_EXPORT.sub("", text)}\nwindow.medbenchTables = {{ jQuery: {wanted["jQuery"]} }};\n}})();\n'
    return {
        "tables.js": script.encode(),
        "tables.css": (bundle / "dt_bundle.css").read_bytes(),
        **{name: (HERE / "assets" / name).read_bytes() for name in ("site.js", "site.css")},
    }
