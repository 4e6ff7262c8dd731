"""MEDVQA-GI 2023: eighteen fixed questions about each of 2,000 endoscopic images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from medbench.builtin.datasets.gi_questions import NOT_OFFICIAL, QUESTIONS, answer_type, image_split, question_number, short_digest
from medbench.builtin.datasets.layout import absent, require_split, unknown_variant
from medbench.builtin.datasets.strict import inner_path, place, read_json, required_field, rows_of, text_field
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.types import Image, Sample, Split

TRUTH = "gt.json"
PICTURES = "images"
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class MedvqaGi:
    """Reads the development set's `gt.json`; questions that are answered by a mask are left out."""

    PARAMS = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if wrong := [*unknown_variant("medvqa-gi", variant, ()), *absent(root)]:
            return wrong
        base, problems = _base(root), []
        if not (base / TRUTH).is_file():
            problems.append(Problem(f"{root}: no {TRUTH}", "it is part of the development set; the test set has no answers"))
        if not any((base / PICTURES).glob("*.jpg")):
            problems.append(Problem(f"{base}: no pictures", f"expected {PICTURES}/<ImageID>.jpg", part="pictures"))
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(root)) if marker and not problems else problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the questions of one split, sorted by id; several answers to one question are joined by commas.

        Raises:
            UsageError: there is no such split.
            DataError: the file is missing or torn, an image is there twice, or a row cannot be used.
        """
        del params
        require_split("medvqa-gi", split, SPLITS)
        if read_marker(root):
            require_whole(root, _counts(root))
        yield from sorted((s for s in _samples(root) if s.split == split), key=lambda sample: sample.id)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return that the split is ours, and what was left out."""
        del params
        rows = [row for _, row in _labels(root)]
        masks = sum(_by_mask(row) for row in rows)
        silent = len(rows) - masks - sum(1 for _ in _samples(root))
        found = [NOT_OFFICIAL]
        if masks:
            found.append(f"{masks} of the {len(rows)} questions are answered by a mask and left out")
        if silent:
            found.append(f"{silent} of the {len(rows)} questions have no answer and are left out")
        if samples:
            none = sum(sample.references[0].lower() in {"none", "no", "0", "not relevant"} for sample in samples)
            found.append(
                f"{none} of the {len(samples)} answers are none, no, 0 or not relevant: what a model gets right by never seeing anything"
            )
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic development set: `size` test images (0: 100)."""
        from medbench.builtin.twins.gi_sets import write_medvqa_gi  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write_medvqa_gi(root, seed, size)


def _base(root: Path) -> Path:
    """Return the folder with `gt.json`: `root`, or the one folder in it that has it."""
    if (root / TRUTH).is_file():
        return root
    inside = sorted(path.parent for path in root.glob(f"*/{TRUTH}"))
    return inside[0] if len(inside) == 1 else root


def _labels(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (image, question) as the file has them."""
    path = _base(root) / TRUTH
    seen: set[str] = set()
    for index, entry in enumerate(rows_of(path, read_json(path))):
        image = inner_path(path, required_field(path, entry, "ImageID", place(index)), place(index))
        if image in seen:
            raise DataError(f"{path}: {place(index)}: the image {image} is there twice", hint="mend the file or fetch it again")
        seen.add(image)
        for row in rows_of(path, entry.get("Labels"), f"{place(index)} ({image}): Labels"):
            yield image, row


def _by_mask(row: Mapping[str, Any]) -> bool:
    return str(row.get("AnswerType", "")).strip().lower() == "segmentation" or question_number(str(row.get("Question", ""))) in {18, 19}


def _samples(root: Path) -> Iterator[Sample]:
    base = _base(root)
    path, prefix = base / TRUTH, PurePosixPath(base.relative_to(root).as_posix()) / PICTURES
    seen: Counter[str] = Counter()
    for image, row in _labels(root):
        if _by_mask(row):
            continue
        question = required_field(path, row, "Question", image)
        answers = _answers(path, row, f"{image}: {question!r}")
        if not answers:
            continue
        number = question_number(question)
        name = f"{image}-{short_digest(question) if number is None else f'{number:02d}'}"
        seen[name] += 1
        kind = "other" if number is None else QUESTIONS[number][1]
        answer = ", ".join(answers)
        yield Sample(
            id=name if seen[name] == 1 else f"{name}-{seen[name]}",
            group=image,
            split=image_split(image),
            images=(Image(path=(prefix / f"{image.removesuffix('.jpg')}.jpg").as_posix()),),
            prompt=question,
            references=(answer,),
            meta={"answer_type": answer_type(kind, answer), "question_type": kind},
        )


def _answers(path: Path, row: Mapping[str, Any], where: str) -> list[str]:
    listed = row.get("Answer")
    given = listed if isinstance(listed, list) else [listed]
    texts = [text_field(path, {"Answer": value}, "Answer", where) for value in given]
    return list(dict.fromkeys(filter(None, texts)))


def _counts(root: Path) -> dict[str, int]:
    counted = Counter(sample.split for sample in _samples(root))
    return {split: counted[split] for split in SPLITS}
