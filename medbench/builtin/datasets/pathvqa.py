"""PathVQA: questions about pathology images, from the authors' pickles (or JSON of the same rows) or from parquet."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from medbench.builtin.datasets.layout import absent, require_split, require_variant, unknown_variant
from medbench.builtin.datasets.parquet import parquet_rows, text_cell
from medbench.builtin.datasets.pickles import read_pickle
from medbench.builtin.datasets.strict import inner_path, place, read_json, required_field, rows_of
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.members import member_path
from medbench.types import Image, Sample, Split, Struct

VARIANTS = ("original", "parquet")
SPLITS: tuple[Split, ...] = ("train", "val", "test")
PARQUET_NAMES = {"train": "train", "val": "validation", "test": "test"}
PUBLISHED_PARQUET = {"train": 19_654, "val": 6_259, "test": 6_719}
"""Rows of the Hugging Face edition, which leaves out what stands twice."""

_WORDS = ("what", "where", "when", "whose", "how", "why", "who", "which")


class Row(Struct):
    """A question and where its picture is."""

    image: str
    picture: str
    question: str
    answer: str


class PathVqa:
    """Reads `qas/<split>/<split>_qa.pkl` (or `.json`), `qas/<split>_vqa.pkl`, or `data/<split>-*.parquet`."""

    PARAMS = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if wrong := [*unknown_variant("pathvqa", variant, VARIANTS), *absent(root)]:
            return wrong
        if variant == "parquet":
            gone = [name for split, name in PARQUET_NAMES.items() if not _parquet_files(root, split)]
            return [Problem(f"{root}: no data/{name}-*.parquet", "Hugging Face flaviagiammarino/path-vqa") for name in gone]
        base = _base(root)
        problems = [
            Problem(f"{base}: no questions of {split}", f"expected qas/{split}/{split}_qa.pkl (or .json) or qas/{split}_vqa.pkl")
            for split in SPLITS
            if _question_file(base, split) is None
        ]
        if len(problems) == len(SPLITS) and _parquet_files(root, "test"):
            return [Problem(f"{root}: no pvqa/qas/", "parquet files are there: --variant parquet")]
        if not any((base / "images" / "test").glob("*.jpg")):
            problems.append(Problem(f"{base}: no pictures", "expected images/{train,val,test}/*.jpg", part="pictures"))
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(root)) if marker and not problems else problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the questions of one split, sorted by id.

        The two packagings have different ids: the parquet files name none of their pictures.

        Raises:
            UsageError: there is no such split or variant.
            DataError: a file is missing or torn, a pickle holds more than plain data, or a row cannot be used.
        """
        require_split("pathvqa", split, SPLITS)
        variant = require_variant("pathvqa", params, VARIANTS)
        if read_marker(root):
            require_whole(root, _counts(root))
        rows = sorted(_rows(root, split, variant), key=lambda row: (row.image, row.question, row.answer))
        yield from sorted(_samples(rows, split), key=lambda sample: sample.id)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return what repeats, which answers train never has, and whether the counts are the published ones."""
        if not samples:
            return []
        variant, split = require_variant("pathvqa", params, VARIANTS), samples[0].split
        found = []
        triplets = Counter((s.group, s.prompt.lower(), s.references[0].lower()) for s in samples)
        if repeated := len(samples) - len(triplets):
            found.append(f"{repeated} of the {len(samples)} {split} questions repeat an earlier one (same image, question and answer)")
        if split != "train":
            known = {answer.lower() for answer in _answers(root, "train", variant)}
            unseen = sum(sample.references[0].lower() not in known for sample in samples)
            share = f"{unseen} of the {len(samples)} {split} answers never occur in train"
            found += [f"{share}: choosing among the answers of train cannot reach 100 %"] if unseen else []
        if variant == "parquet" and len(samples) != PUBLISHED_PARQUET[split]:
            found.append(f"the {split} split holds {len(samples)} questions; the published parquet files hold {PUBLISHED_PARQUET[split]}")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic PathVQA in the authors' layout: `size` test images (0: 100)."""
        from medbench.builtin.twins.pathvqa import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def _base(root: Path) -> Path:
    """Return the folder with `qas/` and `images/`: `root`, or `pvqa` in it."""
    return root / "pvqa" if (root / "pvqa" / "qas").is_dir() else root


def _question_file(base: Path, split: str) -> Path | None:
    qas = base / "qas"
    names = (
        f"{split}/{split}_qa.pkl",
        f"{split}/{split}_qa.json",
        f"{split}_qa.pkl",
        f"{split}_qa.json",
        f"{split}_vqa.pkl",
        f"{split}_vqa.json",
    )
    return next((qas / name for name in names if (qas / name).is_file()), None)


def _parquet_files(root: Path, split: str) -> list[Path]:
    name = f"{PARQUET_NAMES[split]}-*.parquet"
    return sorted([*root.glob(name), *root.glob(f"data/{name}")])


def _rows(root: Path, split: str, variant: str) -> Iterator[Row]:
    return _from_parquet(root, split) if variant == "parquet" else _from_files(root, split)


def _from_files(root: Path, split: str) -> Iterator[Row]:
    base = _base(root)
    path = _question_file(base, split)
    if path is None:
        raise DataError(f"{base}: no questions of {split}", hint=f"expected qas/{split}/{split}_qa.pkl (or .json) or qas/{split}_vqa.pkl")
    prefix = PurePosixPath(base.relative_to(root).as_posix()) / "images" / split
    content = read_pickle(path) if path.suffix == ".pkl" else read_json(path)
    for index, row in enumerate(rows_of(path, content)):
        where = place(index)
        plain = "question" in row
        name = inner_path(path, required_field(path, row, "image" if plain else "img_id", where), where).removesuffix(".jpg")
        yield Row(
            image=name,
            picture=(prefix / f"{name}.jpg").as_posix(),
            question=required_field(path, row, "question" if plain else "sent", where),
            answer=required_field(path, row, "answer", where) if plain else _best_label(path, row, where),
        )


def _best_label(path: Path, row: Mapping[str, Any], where: str) -> str:
    """Return the answer of a row in the manner of VQA-v2: the one with the highest score."""
    labels = row.get("label")
    if not isinstance(labels, dict) or not labels or not all(isinstance(name, str) for name in labels):
        raise DataError(f"{path}: {where}: label is no dict of answers", hint='expected {"answer": 1.0}')
    scores = {name: score for name, score in labels.items() if isinstance(score, int | float)}
    if not scores:
        raise DataError(f"{path}: {where}: label has no scores", hint='expected {"answer": 1.0}')
    best: str = max(scores, key=lambda name: (scores[name], name))
    return best.strip()


def _from_parquet(root: Path, split: str) -> Iterator[Row]:
    """Yield the rows of parquet files; a picture is known by its bytes, and read where it stands first."""
    files = _parquet_files(root, split)
    if not files:
        raise DataError(f"{root}: no data/{PARQUET_NAMES[split]}-*.parquet", hint="Hugging Face flaviagiammarino/path-vqa")
    first: dict[str, str] = {}
    for path in files:
        for number, (image, question, answer) in parquet_rows(path, ("image", "question", "answer")):
            raw = image.get("bytes") if isinstance(image, dict) else image
            if not isinstance(raw, bytes):
                raise DataError(f"{path}: row {number}: image holds no bytes", hint="is this the right file?")
            name = hashlib.sha256(raw).hexdigest()[:10]
            yield Row(
                image=name,
                picture=first.setdefault(name, member_path(path.relative_to(root).as_posix(), "image", number)),
                question=text_cell(path, number, "question", question),
                answer=text_cell(path, number, "answer", answer),
            )


def _answers(root: Path, split: str, variant: str) -> Iterator[str]:
    """Yield the answers of a split; no picture is read."""
    if variant != "parquet":
        yield from (row.answer for row in _from_files(root, split))
        return
    for path in _parquet_files(root, split):
        yield from (text_cell(path, number, "answer", answer) for number, (answer,) in parquet_rows(path, ("answer",)))


def _samples(rows: Sequence[Row], split: Any) -> Iterator[Sample]:
    seen: Counter[str] = Counter()
    for row in rows:
        # repacks go round in which two splits use the same file names
        image = row.image if row.image.startswith(split) else f"{split}-{row.image}"
        name = f"{image}-{hashlib.sha256(f'{row.question}{chr(0)}{row.answer}'.encode()).hexdigest()[:8]}"
        seen[name] += 1
        closed = row.answer.strip().lower() in {"yes", "no"}
        asked = row.question.lower().split()[0].strip("?,'s") if row.question else ""
        yield Sample(
            id=name if seen[name] == 1 else f"{name}-{seen[name]}",
            group=image,
            split=split,
            images=(Image(path=row.picture),),
            prompt=row.question,
            references=(row.answer,),
            meta={
                "answer_type": "CLOSED" if closed else "OPEN",
                "question_type": "yes/no" if closed else asked if asked in _WORDS else "other",
            },
        )


def _counts(root: Path) -> dict[str, int]:
    return {split: sum(1 for _ in _from_files(root, split)) for split in SPLITS}
