"""SLAKE: questions in English and Chinese about radiology images, in the authors' layout and in the Hugging Face one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from medbench.builtin.datasets.layout import absent, require_split, require_variant, unknown_variant
from medbench.builtin.datasets.strict import inner_path, place, read_json, required_field, rows_of, text_field
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.identity import digest
from medbench.types import Image, Sample, Split, Struct

FILES: dict[Split, tuple[str, ...]] = {"train": ("train.json",), "val": ("validate.json", "validation.json"), "test": ("test.json",)}
"""Split -> the file's names; Hugging Face renamed one."""

FOLDER = "Slake1.0"
PICTURES = "imgs"
VARIANTS = ("en", "zh", "both")

PUBLISHED_TEST = {
    "en": "d901623044f4423351274a2c29072fce",
    "zh": "077e179b890589453d7be13cff7bc707",
}
"""Language -> digest of the (image, question, answer) triplets of the published test file (1,061 and 1,033)."""


class Row(Struct):
    """A question as a file lists it, cleaned."""

    split: Split
    number: str
    image: str
    """`xmlab102/source.jpg`."""
    language: str
    question: str
    answer: str
    meta: dict[str, str]

    @property
    def group(self) -> str:
        """The image's folder: all that the data knows of a patient."""
        return PurePosixPath(self.image).parent.name or PurePosixPath(self.image).stem


class Slake:
    """Reads `train.json`, `validate.json` (or `validation.json`) and `test.json`; the variant chooses the language."""

    PARAMS = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if wrong := [*unknown_variant("slake", variant, VARIANTS), *absent(root)]:
            return wrong
        base = _base(root)
        problems = [
            Problem(f"{base}: no {' or '.join(names)}", "it is part of Slake1.0.zip; the questions and imgs/ lie side by side", part=split)
            for split, names in FILES.items()
            if not any((base / name).is_file() for name in names)
        ]
        if not any((base / PICTURES).glob("*/source.*")):
            problems.append(
                Problem(f"{base}: no pictures", f"expected {PICTURES}/xmlab<N>/source.jpg: unpack imgs.zip there", part="pictures")
            )
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(base)) if marker and not problems else problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the samples of one split in the variant's language, sorted by id.

        Raises:
            UsageError: there is no such split or variant.
            DataError: a file is missing or torn, a question number is there twice, or a row cannot be used.
        """
        require_split("slake", split, tuple(FILES))
        languages, base = _languages(params), _base(root)
        if read_marker(root):
            require_whole(root, _counts(base))
        prefix = PurePosixPath(base.relative_to(root).as_posix()) / PICTURES
        found = (_sample(row, prefix) for row in _rows(base, split) if row.language in languages)
        yield from sorted(found, key=lambda sample: sample.id)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return what the splits share within and across the languages, and which closed questions are no yes/no questions."""
        if not samples:
            return []
        languages, base, split = _languages(params), _base(root), samples[0].split
        others = [row for other in FILES if other != split and _file(base, other) for row in _rows(base, other)]
        found = [*_shared(samples, others, languages), *_other_language(samples, others, languages), *_no_yes_or_no(samples)]
        train = {_plain(row.answer) for row in others if row.split == "train" and row.language in languages}
        if split == "test" and train:
            found += _unseen(samples, train)
        if read_marker(root) is None and split == "test":
            found += [remark for language in sorted(languages) for remark in _other_test_set(list(_rows(base, "test")), language)]
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic SLAKE in the authors' layout: `size` test images in each language (0: 100)."""
        from medbench.builtin.twins.slake import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _languages(params: Mapping[str, Any]) -> frozenset[str]:
    variant = require_variant("slake", params, VARIANTS)
    return frozenset(("en", "zh") if variant == "both" else (variant,))


def _base(root: Path) -> Path:
    """Return the folder of the question files: `root`, or `Slake1.0` in it."""
    inside = root / FOLDER
    return inside if inside.is_dir() and not (root / "test.json").is_file() else root


def _file(base: Path, split: Split) -> Path | None:
    return next((base / name for name in FILES[split] if (base / name).is_file()), None)


def _rows(base: Path, split: Any) -> Iterator[Row]:
    path = _file(base, split)
    if path is None:
        raise DataError(f"{base}: no {' or '.join(FILES[split])}", hint="it is part of Slake1.0.zip")
    seen: set[str] = set()
    for index, raw in enumerate(rows_of(path, read_json(path))):
        row = _row(path, raw, split, place(index))
        if row.number in seen:
            raise DataError(f"{path}: {place(index)}: the qid {row.number} is there twice", hint="mend the file or fetch it again")
        seen.add(row.number)
        yield row


def _row(path: Path, raw: Mapping[str, Any], split: Split, where: str) -> Row:
    language = required_field(path, raw, "q_lang", where)
    if language not in {"en", "zh"}:
        raise DataError(f"{path}: {where}: q_lang is {language!r}", hint="one of en, zh")
    meta = {name: text_field(path, raw, name, where) for name in ("answer_type", "base_type", "location", "modality")}
    meta |= {"question_type": text_field(path, raw, "content_type", where), "q_lang": language}
    return Row(
        split=split,
        number=required_field(path, raw, "qid", where),
        image=inner_path(path, required_field(path, raw, "img_name", where), where),
        language=language,
        question=required_field(path, raw, "question", where),
        answer=required_field(path, raw, "answer", where),
        meta={name: value for name, value in sorted(meta.items()) if value},
    )


def _sample(row: Row, prefix: PurePosixPath) -> Sample:
    return Sample(
        id=f"{row.group}-{row.number}",
        group=row.group,
        split=row.split,
        images=(Image(path=(prefix / row.image).as_posix()),),
        prompt=row.question,
        references=(row.answer,),
        aliases={"qid": row.number},
        meta=row.meta,
    )


def _counts(base: Path) -> dict[str, int]:
    return {split: sum(1 for _ in _rows(base, split)) for split in FILES if _file(base, split)}


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


# --- remarks ----------------------------------------------------------------------------------------------------------


def _shared(samples: Sequence[Sample], others: Sequence[Row], languages: frozenset[str]) -> list[str]:
    images, found = {sample.group for sample in samples}, []
    for other in FILES:
        known = {row.group for row in others if row.split == other and row.language in languages}
        if shared := len(images & known):
            share = f"{shared} of the {len(images)} {samples[0].split} images also occur in {other}"
            found.append(f"{share}: expect optimistic numbers for models trained or chosen on this set")
    return found


def _other_language(samples: Sequence[Sample], others: Iterable[Row], languages: frozenset[str]) -> list[str]:
    images = {sample.group for sample in samples}
    foreign = {row.group for row in others if row.language not in languages}
    if not (shared := len(images & foreign)):
        return []
    share = f"{shared} of the {len(images)} {samples[0].split} images stand in another split of the other language"
    return [f"{share}: training on both languages sees them"]


def _no_yes_or_no(samples: Sequence[Sample]) -> list[str]:
    closed = [s for s in samples if s.meta.get("answer_type") == "CLOSED" and s.meta["q_lang"] == "en"]
    other = sum(_plain(sample.references[0]) not in {"yes", "no"} for sample in closed)
    if not other:
        return []
    return [f"{other} of the {len(closed)} closed English questions have an answer other than yes or no: a yes/no scorer fails them"]


def _unseen(samples: Sequence[Sample], known: set[str]) -> list[str]:
    unseen = sum(_plain(sample.references[0]) not in known for sample in samples)
    if not unseen:
        return []
    share = f"{unseen} of the {len(samples)} test answers never occur in train"
    return [f"{share}: choosing among the answers of train cannot reach 100 %"]


def triplets_digest(rows: Iterable[Row], language: str) -> str:
    """Return a digest of which (image, question, answer) triplets there are in a language, in any order."""
    return digest(*sorted(f"{row.group}\t{_plain(row.question)}\t{_plain(row.answer)}" for row in rows if row.language == language))


def _other_test_set(rows: Sequence[Row], language: str) -> list[str]:
    if triplets_digest(rows, language) == PUBLISHED_TEST[language]:
        return []
    count = Counter(row.language for row in rows)[language]
    return [f"the test set ({count} questions, {language}) is not the published one: its numbers compare with nobody else's"]
