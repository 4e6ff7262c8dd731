"""A dataset for tests: questions that end in a word, a third of them with another word for an answer."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.errors import DataError, Problem
from medbench.identity import digest
from medbench.roots import MARKER
from medbench.types import Image, Sample, Split, Struct

FILE = "fake.json"
CLOSED, OPEN = ("yes", "no"), ("heart", "liver", "spine", "brain")
SITES = ("east", "west")


class FakeData(Struct):
    """All there is to know of the dataset: its samples follow from it."""

    n: int = 12
    """Samples of each split."""
    groups: int = 5
    """Groups of each split; sample i is of group i modulo their number."""
    seed: int = 0
    images: int = 1
    """Pictures of each sample; the samples of a group share them."""


def write_fake_data(root: Path, *, n: int = 12, groups: int = 5, seed: int = 0, images: int = 1, access: str = "synthetic") -> Path:
    """Write the dataset `fake-qa` and return its folder.

    Sample i (`test-000` …) asks `Question 0: heart` and the like: the last word of even ones is yes or no, that of odd ones
    an organ. It is the reference as well, except of every third sample; so `fake-echo` is right on the others.

    Args:
        root: The folder, made when absent.
        n: Samples of each split (`train`, `test`).
        groups: Groups of each split.
        seed: Seed of the words and pictures.
        images: Pictures of each sample, 8 x 8 pixels; 0: none.
        access: What the marker of synthetic data states; `credentialed` lets the guards of such data be tried.
    """
    facts = FakeData(n=n, groups=groups, seed=seed, images=images)
    for split in ("train", "test"):
        for group in range(groups):
            for number in range(images):
                _write_picture(root / _picture(split, group, number), f"{seed} {split} {group} {number}")
    root.mkdir(parents=True, exist_ok=True)
    (root / FILE).write_bytes(msgspec.json.encode(facts))
    (root / MARKER).write_bytes(msgspec.json.encode({"dataset": "fake-qa", "access": access}))
    return root


class FakeReader:
    """Reads the folder that `write_fake_data` wrote."""

    def check(self, root: Path, variant: str = "") -> list[Problem]:  # noqa: ARG002 - the interface's parameter
        """Return that the one file is missing, if it is."""
        return [] if (root / FILE).is_file() else [Problem(f"{root}: no {FILE}", "medbench.testing.write_fake_data writes it")]

    def read(self, root: Path, split: Split, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the samples of `train` or `test`; the parameter `site` keeps those of one site.

        Raises:
            DataError: the file is missing or torn.
        """
        facts = _facts(root / FILE)
        words = random.Random(f"{facts.seed} {split}")  # noqa: S311 - made-up words, no secret
        samples = [_sample(facts, split, index, words) for index in range(facts.n)]
        return (sample for sample in samples if params.get("site", sample.meta["site"]) == sample.meta["site"])

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 - the interface's parameters
        """Return one fact, so that tests see where remarks go."""
        return [f"{len(samples)} made-up questions"]

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write the dataset with `size` groups of three samples (0: 5)."""
        write_fake_data(root, n=3 * (size or 5), groups=size or 5, seed=seed)


def _facts(path: Path) -> FakeData:
    try:
        return msgspec.json.decode(path.read_bytes(), type=FakeData)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: {error}", hint="medbench.testing.write_fake_data writes it") from error


def _sample(facts: FakeData, split: Split, index: int, words: random.Random) -> Sample:
    closed = index % 2 == 0
    said, other = words.sample(CLOSED if closed else OPEN, 2)
    group = index % facts.groups
    return Sample(
        id=f"{split}-{index:03d}",
        group=f"{split}-g{group:03d}",
        split=split,
        images=tuple(Image(path=_picture(split, group, number)) for number in range(facts.images)),
        prompt=f"Question {index}: {said}",
        references=(other if index % 3 == 2 else said,),
        aliases={"qid": str(100 + index), "position": str(index)},
        meta={
            "answer_type": "CLOSED" if closed else "OPEN",
            "question_type": "PRES" if closed else "ORGAN",
            "site": SITES[group % len(SITES)],
        },
    )


def _picture(split: str, group: int, number: int) -> str:
    return f"images/{split}-g{group:03d}-{number}.png"


def _write_picture(path: Path, named: str) -> None:
    """Draw 8 x 8 grey pixels that follow from a name."""
    from PIL import Image as Pil  # noqa: PLC0415 - a test without pictures does without Pillow

    path.parent.mkdir(parents=True, exist_ok=True)
    Pil.frombytes("L", (8, 8), (digest(named) * 2).encode()).save(path)
