"""Kvasir-VQA: questions about 6,500 endoscopic images, as a table with a folder of pictures or as parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.gi_questions import NOT_OFFICIAL, QUESTIONS, answer_type, image_split, question_number, short_digest
from medbench.builtin.datasets.layout import absent, require_split, unknown_variant
from medbench.builtin.datasets.parquet import parquet_rows, text_cell
from medbench.builtin.datasets.strict import inner_path
from medbench.builtin.datasets.tables import filled, read_table
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.members import member_path
from medbench.types import Image, Sample, Split, Struct

TABLE = "metadata.csv"
PICTURES = "images"
COLUMNS = ("source", "question", "answer", "img_id")
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Row(Struct):
    """A question and where its picture is."""

    image: str
    picture: str
    source: str
    question: str
    answer: str


class KvasirVqa:
    """Reads `metadata.csv` with `images/`, as the authors' notebook writes them, or the parquet files of `data/`."""

    PARAMS = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if wrong := [*unknown_variant("kvasir-vqa", variant, ()), *absent(root)]:
            return wrong
        if not (root / TABLE).is_file():
            if _parquet_files(root):
                return []
            return [Problem(f"{root}: no {TABLE} with {PICTURES}/, and no data/*.parquet", "Hugging Face SimulaMet-HOST/Kvasir-VQA")]
        problems = (
            []
            if any((root / PICTURES).glob("*.jpg"))
            else [Problem(f"{root}: no pictures", f"expected {PICTURES}/<img_id>.jpg", part="pictures")]
        )
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(root)) if marker and not problems else problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the questions of one split, sorted by id. The split goes by image, never by row.

        Raises:
            UsageError: there is no such split.
            DataError: a file is missing or torn, or a row cannot be used.
        """
        del params
        require_split("kvasir-vqa", split, SPLITS)
        if read_marker(root):
            require_whole(root, _counts(root))
        rows = sorted(
            (row for row in _rows(root) if image_split(row.image) == split), key=lambda row: (row.image, row.question, row.answer)
        )
        yield from sorted(_samples(rows), key=lambda sample: sample.id)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return that the split is ours, and what a split by row would have done."""
        del samples, params
        asked = Counter((row.image, row.question) for row in _rows(root))
        images = Counter(image for image, _ in asked)
        several = sum(count > 1 for count in images.values())
        found = [NOT_OFFICIAL]
        if several:
            share = f"{several} of the {len(images)} images have more than one question"
            found.append(f"{share}: numbers from a split by row, as some papers have it, are of images seen in training")
        if repeated := sum(asked.values()) - len(asked):
            found.append(f"{repeated} of the {sum(asked.values())} questions repeat one about the same image")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic Kvasir-VQA as table and pictures: `size` test images (0: 100)."""
        from medbench.builtin.twins.gi_sets import write_kvasir_vqa  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write_kvasir_vqa(root, seed, size)


def _parquet_files(root: Path) -> list[Path]:
    return sorted([*root.glob("*.parquet"), *root.glob("data/*.parquet")])


def _rows(root: Path) -> Iterator[Row]:
    path = root / TABLE
    if not path.is_file():
        yield from _parquet_table(root)
        return
    for line, (source, question, answer, image) in read_table(path, COLUMNS):
        name = inner_path(path, filled(path, line, "img_id", image), f"line {line}").removesuffix(".jpg")
        yield Row(
            image=name,
            picture=f"{PICTURES}/{name}.jpg",
            source=source.strip(),
            question=filled(path, line, "question", question),
            answer=filled(path, line, "answer", answer),
        )


def _parquet_table(root: Path) -> Iterator[Row]:
    """Yield the rows of parquet files; the picture of an image is the one in its first row."""
    files = _parquet_files(root)
    if not files:
        raise DataError(f"{root}: no {TABLE} and no data/*.parquet", hint="is this the right data folder?")
    first: dict[str, str] = {}
    for path in files:
        for number, (source, question, answer, image) in parquet_rows(path, COLUMNS):
            name = text_cell(path, number, "img_id", image)
            picture = first.setdefault(name, member_path(path.relative_to(root).as_posix(), "image", number))
            yield Row(
                image=name,
                picture=picture,
                source=str(source or ""),
                question=text_cell(path, number, "question", question),
                answer=text_cell(path, number, "answer", answer),
            )


def _samples(rows: Sequence[Row]) -> Iterator[Sample]:
    seen: Counter[str] = Counter()
    for row in rows:
        number = question_number(row.question)
        name = f"{row.image}-{short_digest(row.question)}"
        seen[name] += 1
        kind = "other" if number is None else QUESTIONS[number][1]
        meta = {"answer_type": answer_type(kind, row.answer), "question_type": kind, "source": row.source}
        yield Sample(
            id=name if seen[name] == 1 else f"{name}-{seen[name]}",
            group=row.image,
            split=image_split(row.image),
            images=(Image(path=row.picture),),
            prompt=row.question,
            references=(row.answer,),
            meta={key: value for key, value in meta.items() if value},
        )


def _counts(root: Path) -> dict[str, int]:
    counted = Counter(image_split(row.image) for row in _rows(root))
    return {split: counted[split] for split in SPLITS}
