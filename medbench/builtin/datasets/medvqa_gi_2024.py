"""MEDVQA-GI 2024: prompts and the endoscopic images that they describe, for drawing such images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from medbench.builtin.datasets.gi_questions import NOT_OFFICIAL, image_split, short_digest
from medbench.builtin.datasets.layout import absent, require_split, unknown_variant
from medbench.builtin.datasets.strict import inner_path
from medbench.builtin.datasets.tables import filled, read_table
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem
from medbench.types import Image, Sample, Split

PROMPTS = "prompt-gt.csv"
CENTRES = "centres.csv"
"""Which centre an image is from (`Filename;Centre`): the user's own; the organisers scored by centre and never said which is which."""
FOLDER = "Dev-Dataset"
PICTURES = "images"
TARGET = "target"
"""Role of the real image: what a drawn one is compared with, never what a model is shown."""

SPLITS: tuple[Split, ...] = ("train", "val", "test")


class MedvqaGi2024:
    """Reads `Dev-Dataset/prompt-gt.csv`; one sample for each prompt of each image."""

    PARAMS = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if wrong := [*unknown_variant("medvqa-gi-2024", variant, ()), *absent(root)]:
            return wrong
        base, problems = _base(root), []
        if not (base / PROMPTS).is_file():
            problems.append(Problem(f"{root}: no {PROMPTS}", f"expected it here or in {FOLDER}/"))
        if not any((base / PICTURES).glob("*.*")):
            problems.append(Problem(f"{base}: no pictures", f"expected {PICTURES}/<Filename>", part="pictures"))
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(root)) if marker and not problems else problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the prompts of one split, sorted by id; a prompt that stands twice with one image counts once.

        Where `centres.csv` lies beside the prompts, samples have the column `centre`.

        Raises:
            UsageError: there is no such split.
            DataError: the table is missing or torn, or a file name leads out of the folder.
        """
        del params
        require_split("medvqa-gi-2024", split, SPLITS)
        if read_marker(root):
            require_whole(root, _counts(root))
        found = {sample.id: sample for sample in _samples(root) if sample.split == split}
        yield from (found[name] for name in sorted(found))

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return that the split is ours, and how many prompts share an image or repeat."""
        del params
        images = {sample.group for sample in samples}
        found = [NOT_OFFICIAL, f"{len(samples)} prompts describe {len(images)} images: set metrics compare with the images, each once"]
        every = [sample.id for sample in _samples(root)]
        if twice := len(every) - len(set(every)):
            found.append(f"{twice} of the {len(every)} rows repeat a prompt of the same image and are left out")
        if len(images) < 2048:
            found.append(f"{len(images)} real images are fewer than the 2,048 that a Frechet distance of 2,048 features needs")
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic development set: `size` test images (0: 100)."""
        from medbench.builtin.twins.gi_sets import write_medvqa_gi_2024  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write_medvqa_gi_2024(root, seed, size)


def _base(root: Path) -> Path:
    return root / FOLDER if (root / FOLDER / PROMPTS).is_file() else root


def _samples(root: Path) -> Iterator[Sample]:
    """Yield a sample for each row; rows that say the same have the same id."""
    base = _base(root)
    path, prefix = base / PROMPTS, PurePosixPath(base.relative_to(root).as_posix()) / PICTURES
    centres = _centres(base / CENTRES)
    for line, (raw, name) in read_table(path, ("Prompt", "Filename"), delimiter=";"):
        prompt = filled(path, line, "Prompt", raw)
        file = PurePosixPath(inner_path(path, filled(path, line, "Filename", name), f"line {line}"))
        image = file.stem
        yield Sample(
            id=f"{image}-{short_digest(prompt)}",
            group=image,
            split=image_split(image),
            images=(Image(path=(prefix / (file if file.suffix else f"{file}.jpg")).as_posix(), role=TARGET),),
            prompt=prompt,
            meta={"centre": centres[image]} if image in centres else {},
        )


def _centres(path: Path) -> dict[str, str]:
    """Return image -> centre; empty where nobody says.

    Raises:
        DataError: the table is torn, or gives an image two centres.
    """
    found: dict[str, str] = {}
    for line, (raw, name) in read_table(path, ("Filename", "Centre"), delimiter=";") if path.is_file() else ():
        image, centre = PurePosixPath(raw.strip()).stem, filled(path, line, "Centre", name)
        if found.setdefault(image, centre) != centre:
            raise DataError(f"{path}: line {line}: {image} is of {found[image]} and of {centre}", hint="leave one of the lines out")
    return found


def _counts(root: Path) -> dict[str, int]:
    counted = Counter(sample.split for sample in _samples(root))
    return {split: counted[split] for split in SPLITS}
