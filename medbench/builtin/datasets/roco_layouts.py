"""The files of ROCO and of ROCOv2: captions, concepts, articles and licences, row by row."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from medbench.builtin.datasets.archives import read_text
from medbench.builtin.datasets.tables import filled, header_of, read_table, refuse
from medbench.errors import DataError
from medbench.types import Split, Struct

V1_FOLDERS: dict[Split, str] = {"train": "train", "val": "validation", "test": "test"}
V2_NAMES: dict[Split, str] = {"train": "train", "val": "valid", "test": "test"}
SUBSETS = ("radiology", "non-radiology")

MAX_CAPTIONS = 256 << 20
"""Most bytes of a caption file; the largest known has 20 million."""

_ARTICLE = re.compile(r"PMC\d+")


class Item(Struct):
    """A figure and what is known of it."""

    id: str
    picture: str
    """Relative to the data root; empty: the picture is not there."""
    caption: str
    article: str
    """PMC id of the article that it is from; the figure's own id where that is unknown."""
    concepts: tuple[str, ...]
    """UMLS CUIs, in the order of the file."""
    manual: tuple[str, ...]
    """CUIs that people checked: modality, region, direction (ROCOv2 only)."""
    licence: str
    subset: str


# --- ROCO -------------------------------------------------------------------------------------------------------------


def v1_base(root: Path) -> Path | None:
    """Return the folder that holds `train/radiology` …: `root`, or `data` in it."""
    return next((p for p in (root, root / "data") if any((p / name / SUBSETS[0]).is_dir() for name in V1_FOLDERS.values())), None)


def v1_items(root: Path, split: Split, subsets: tuple[str, ...]) -> Iterator[Item]:
    """Yield the figures of a split, in the order of the caption files.

    Raises:
        DataError: a file is missing, torn or not UTF-8, or an id is there twice.
    """
    base = v1_base(root)
    for subset in subsets:
        folder = (base or root) / V1_FOLDERS[split] / subset
        if not folder.is_dir() and subset != SUBSETS[0]:
            continue
        yield from _v1_folder(root, folder, subset)


def _v1_folder(root: Path, folder: Path, subset: str) -> Iterator[Item]:
    held = names_in(folder / "images")
    prefix = PurePosixPath(folder.relative_to(root).as_posix()) / "images"
    concepts = {name: _concepts(rest) for _, name, rest in _tabbed(folder / "cuis.txt")} if (folder / "cuis.txt").is_file() else {}
    articles, licences = _v1_sources(folder)
    seen: set[str] = set()
    for line, name, rest in _tabbed(folder / "captions.txt"):
        if name in seen:
            refuse(folder / "captions.txt", line, f"the id {name} is there twice")
        seen.add(name)
        yield Item(
            id=name,
            picture=(prefix / f"{name}.jpg").as_posix() if f"{name}.jpg" in held else "",
            caption=rest.strip(),
            article=articles.get(name, name),
            concepts=concepts.get(name, ()),
            manual=(),
            licence=licences.get(name, ""),
            subset=subset,
        )


def _v1_sources(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return id -> article and id -> licence, from `licences.txt`; articles also from the download links."""
    articles: dict[str, str] = {}
    if (folder / "dlinks.txt").is_file():
        links = ((name, _ARTICLE.search(rest)) for _, name, rest in _tabbed(folder / "dlinks.txt"))
        articles = {name: found[0] for name, found in links if found}
    if not (folder / "licences.txt").is_file():
        return articles, {}
    rows = [row for _, row in read_table(folder / "licences.txt", ("ROCO_ID", "PMC_ID", "CC"))]
    articles |= {name.strip(): article.strip() for name, article, _ in rows if article.strip()}
    return articles, {name.strip(): licence.strip() for name, _, licence in rows}


def _tabbed(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield (line, id, what stands after the first tab) of a file without a header."""
    for number, line in enumerate(read_text(path, MAX_CAPTIONS).split("\n"), 1):
        if not line.strip():
            continue
        name, tab, rest = line.rstrip("\r").partition("\t")
        if not tab:
            refuse(path, number, "there is no tab after the id", "is the download complete?")
        yield number, filled(path, number, "the id", name), rest


def _concepts(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cui for cui in re.split(r"[\t;\s]+", text) if cui))


# --- ROCOv2 -----------------------------------------------------------------------------------------------------------


def v2_items(root: Path, split: Split) -> Iterator[Item]:
    """Yield the figures of a split, in the order of the caption file.

    Raises:
        DataError: a file is missing, torn or not UTF-8, or an id is there twice.
    """
    name = V2_NAMES[split]
    path = root / f"{name}_captions.csv"
    folder = v2_folder(root, split)
    held = names_in(folder) if folder else frozenset()
    prefix = PurePosixPath(folder.relative_to(root).as_posix()) if folder else PurePosixPath()
    concepts, manual = (_v2_concepts(root / f"{name}_{kind}.csv") for kind in ("concepts", "concepts_manual"))
    articles, licences = _v2_sources(root / "license_information.csv")
    seen: set[str] = set()
    for line, (raw, caption) in read_table(path, _named(path, "ID", "Caption")):
        figure = filled(path, line, "ID", raw)
        if figure in seen:
            refuse(path, line, f"the id {figure} is there twice")
        seen.add(figure)
        yield Item(
            id=figure,
            picture=(prefix / f"{figure}.jpg").as_posix() if f"{figure}.jpg" in held else "",
            caption=caption.strip(),
            article=articles.get(figure, figure),
            concepts=concepts.get(figure, ()),
            manual=manual.get(figure, ()),
            licence=licences.get(figure, ""),
            subset=SUBSETS[0],
        )


def v2_folder(root: Path, split: Split) -> Path | None:
    """Return the folder of a split's pictures: users unpack the zips in different ways."""
    name = V2_NAMES[split]
    places = (root / f"{name}_images" / name, root / f"{name}_images", root / name, root / "images" / name)
    return next((place for place in places if place.is_dir()), None)


def _v2_concepts(path: Path) -> Mapping[str, tuple[str, ...]]:
    if not path.is_file():
        return {}
    return {name.strip(): _concepts(cuis) for _, (name, cuis) in read_table(path, _named(path, "ID", "CUIs"))}


def _v2_sources(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return id -> article and id -> licence; which columns there are is not known for certain, so any PMC id counts."""
    if not path.is_file():
        return {}, {}
    columns = header_of(path)
    place = next((n for n, column in enumerate(columns) if column.strip() == "ID"), 0)
    articles: dict[str, str] = {}
    licences: dict[str, str] = {}
    for _, row in read_table(path, columns):
        name = row[place].strip()
        found = _ARTICLE.search(" ".join(row))
        if found:
            articles[name] = found[0]
        licence = re.search(r"CC[ -]BY[A-Z-]*", " ".join(row))
        licences[name] = licence[0] if licence else ""
    return articles, licences


def _named(path: Path, *wanted: str) -> list[str]:
    """Return the header's own spelling of some columns: copies with spaces around the names go round."""
    spelt = {column.strip(): column for column in header_of(path)}
    return [spelt.get(name, name) for name in wanted]


def names_in(folder: Path) -> frozenset[str]:
    """Return the names of the files in a folder; none where there is no such folder.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})", hint="check the permissions of the folder") from error
