"""MEDIQA-M3G 2024: what people ask dermatologists, with pictures, and what those answered, in three languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from medbench.builtin.datasets.layout import absent, require_split, require_variant, unknown_variant
from medbench.builtin.datasets.roco_layouts import names_in
from medbench.builtin.datasets.strict import inner_path, place, read_json, required_field, rows_of, text_field
from medbench.builtin.datasets.tables import filled, read_table, refuse
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.types import Image, Sample, Split, Struct

VARIANTS = ("en", "zh", "es")
NAMES: dict[Split, str] = {"train": "train", "val": "valid", "test": "test"}
AUTHORS = "df_userinfo.csv"
PUBLISHED_COUNTS = {"train": 842, "val": 56, "test": 100}

WEIGHTS = "reference_weights"
"""Column with one weight for each reference, as the organisers' metric takes them."""


class Author(Struct):
    """What the organisers know of somebody who answered."""

    doctor: bool
    """A certificate of a medical doctor was shown."""
    rank: int
    """0 to 8, by how useful earlier answers were found."""


class MediqaM3g:
    """Reads `train.json`, `valid.json` and `test.json` with `images_<split>/`; the variant chooses the language."""

    PARAMS = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if wrong := [*unknown_variant("mediqa-m3g", variant, VARIANTS), *absent(root)]:
            return wrong
        problems = []
        for name in NAMES.values():
            if not _candidates(root, name):
                problems.append(Problem(f"{root}: no {name}.json", "it is part of the challenge's data (Codabench 1632)"))
            if not (root / f"images_{name}").is_dir():
                problems.append(Problem(f"{root}: no images_{name}/", f"expected images_{name}/IMG_<encounter>_<number>.*"))
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(root)) if marker and not problems else problems

    def read(self, root: Path, split: Any, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the encounters of one split, sorted by id; every answer in the language is a reference, with its weight.

        Raises:
            UsageError: there is no such split or variant.
            DataError: a file is missing or torn, an encounter is there twice, or a row cannot be used.
        """
        require_split("mediqa-m3g", split, tuple(NAMES))
        language = require_variant("mediqa-m3g", params, VARIANTS)
        if read_marker(root):
            require_whole(root, _counts(root))
        authors, held = _authors(root / AUTHORS), _by_stem(root / f"images_{NAMES[split]}")
        found = (_sample(path, row, where, split, language, authors, held) for path, row, where in _entries(root, split))
        yield from sorted((sample for sample in found if sample), key=lambda sample: sample.id)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return what is translated, what has no text or weights, and whether the counts are the published ones."""
        if not samples:
            return []
        language, split = require_variant("mediqa-m3g", params, VARIANTS), samples[0].split
        listed = sum(1 for _ in _entries(root, split))
        found = []
        if language != "zh":
            by = "machine" if split == "train" else "people"
            found.append(f"the original is Chinese: these texts were translated by {by}")
        if left := listed - len(samples):
            found.append(f"{left} of the {listed} encounters have no question in {language} and are left out")
        if not (root / AUTHORS).is_file():
            found.append(f"no {AUTHORS}: all references weigh 1, which the organisers' metric does only where no Chinese is scored")
        if read_marker(root) is None and listed != PUBLISHED_COUNTS[split]:
            found.append(f"the {split} split holds {listed} encounters; the published one holds {PUBLISHED_COUNTS[split]}")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic MEDIQA-M3G: `size` test encounters (0: 100)."""
        from medbench.builtin.twins.mediqa_m3g import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def weight_of(author: Author | None, complete: bool, frequent: bool) -> float:
    """Return what a reference weighs in the organisers' metric, 0.6 to 1.

    A tenth is lost for each of: no doctor, a rank below 4, not the most frequent answer, an incomplete answer.

    >>> weight_of(Author(doctor=True, rank=6), complete=True, frequent=True), weight_of(None, complete=False, frequent=False)
    (1.0, 0.6)
    """
    merits = sum((author is not None and author.doctor, author is not None and author.rank >= 4, frequent, complete))
    return (6 + merits) / 10


def _candidates(root: Path, name: str) -> list[Path]:
    """Return the files that may hold a split: `train.json` itself, else every `*train*.json`."""
    exact = root / f"{name}.json"
    return [exact] if exact.is_file() else sorted(path for path in root.glob(f"*{name}*.json") if path.is_file())


def _entries(root: Path, split: Any) -> Iterator[tuple[Path, dict[str, Any], str]]:
    found = _candidates(root, NAMES[split])
    if len(found) != 1:
        listed = f"; there are {', '.join(path.name for path in found)}" if found else ""
        raise DataError(f"{root}: no {NAMES[split]}.json{listed}", hint=f"name the one to be read {NAMES[split]}.json")
    path = found[0]
    seen: set[str] = set()
    for index, row in enumerate(rows_of(path, read_json(path))):
        name = required_field(path, row, "encounter_id", place(index))
        if name in seen:
            raise DataError(f"{path}: {place(index)}: the encounter {name} is there twice", hint="mend the file or fetch it again")
        seen.add(name)
        yield path, row, f"{place(index)} ({name})"


def _sample(
    path: Path, row: Mapping[str, Any], where: str, split: Any, language: str, authors: Mapping[str, Author], held: Mapping[str, str]
) -> Sample | None:
    """Make a sample; None: it asks nothing in the language."""
    title, content = (text_field(path, row, f"query_{part}_{language}", where) for part in ("title", "content"))
    prompt = "\n".join(filter(None, (title, content)))
    if not prompt:
        return None
    answers = _answers(path, row, where, language, authors)
    name = required_field(path, row, "encounter_id", where)
    weights = {WEIGHTS: " ".join(f"{weight:g}" for _, weight in answers)} if authors and answers else {}
    return Sample(
        id=name,
        group=name,
        split=split,
        images=tuple(Image(path=f"images_{NAMES[split]}/{picture}") for picture in _pictures(path, row, where, held)),
        prompt=prompt,
        references=tuple(text for text, _ in answers),
        meta=weights,
    )


def _answers(path: Path, row: Mapping[str, Any], where: str, language: str, authors: Mapping[str, Author]) -> list[tuple[str, float]]:
    found = []
    for response in rows_of(path, row.get("responses") or [], f"{where}: responses"):
        text = text_field(path, response, f"content_{language}", where)
        if text:
            author = authors.get(text_field(path, response, "author_id", where))
            complete, frequent = (text_field(path, response, key, where) in {"1", "1.0"} for key in ("completeness", "contains_freq_ans"))
            found.append((text, weight_of(author, complete=complete, frequent=frequent)))
    return found


def _pictures(path: Path, row: Mapping[str, Any], where: str, held: Mapping[str, str]) -> list[str]:
    """Return the pictures of an encounter; ids come with a suffix or without."""
    listed = row.get("image_ids")
    if not isinstance(listed, list) or not all(isinstance(image, str) for image in listed):
        raise DataError(f"{path}: {where}: image_ids is no list of names", hint='expected ["IMG_ENC0001_00001.jpg"]')
    names = [inner_path(path, image, where) for image in listed]
    return [held.get(PurePosixPath(image).stem, image) for image in names]


def _by_stem(folder: Path) -> dict[str, str]:
    return {PurePosixPath(name).stem: name for name in sorted(names_in(folder))}


def _authors(path: Path) -> dict[str, Author]:
    if not path.is_file():
        return {}
    found = {}
    for line, (name, validation, rank) in read_table(path, ("author_id", "validation_level", "rank_level")):
        level = rank.strip().removeprefix("level_")
        if level in {"unk", ""}:
            level = "0"
        if not level.isdecimal():
            refuse(path, line, f"rank_level is {rank!r}", "expected level_0 to level_8 or unk")
        found[filled(path, line, "author_id", name)] = Author(doctor=validation.strip().startswith("md"), rank=int(level))
    return found


def _counts(root: Path) -> dict[str, int]:
    return {split: sum(1 for _ in _entries(root, split)) for split in NAMES}
