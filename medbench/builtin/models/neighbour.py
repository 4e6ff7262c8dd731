"""The baseline that copies: the answer or report of the most alike train sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medbench.builtin.models.answers import not_fitted, nothing_to_learn, read_weights, targets, write_weights
from medbench.builtin.models.thumbnails import MAX_SIZE, SCALE, Thumbnails, content
from medbench.builtin.models.words import WordIndex
from medbench.errors import DataError, InputError, UsageError
from medbench.interfaces import Example, FitEvents
from medbench.types import Failed, Generate, Image, Struct, Text

FILE = "neighbour.json"
DEFAULT_SIZE = 32
DECODED_AT_ONCE = 512
"""Studies whose images are decoded before their vectors go to disk."""
CELLS = 1 << 24
"""Largest number of similarities held at once (64 MiB of float32)."""
ROWS = 4096
"""Train vectors that are brought from disk and widened to float32 at once."""

Array = np.ndarray[Any, np.dtype[Any]]
Study = tuple[Image, ...]


class Learnt(Struct):
    """What a fit leaves beside its arrays."""

    size: int
    """Side of the thumbnails in pixels."""
    n_examples: int
    """Train examples that can be copied from."""
    n_left_out: int
    """Train examples with an image that cannot be decoded."""
    n_studies: int
    """Distinct sets of images."""
    n_questions: int
    """Distinct prompts."""
    words: tuple[str, ...]


class NearestNeighbour:
    """Gives the answer of the train sample whose images and question are most alike, the first in train among equals.

    Likeness is (1 - text_weight) x cosine of contrast-normalised thumbnails + text_weight x cosine of the question's words,
    weighted by rarity. Where all prompts are equal (reports) only images count; a request without image goes by words only.
    An answer depends on the request and on train alone: all sums over images are exact, whatever the window.

    Args:
        weights: folder that `fit` wrote; empty: not fitted yet.
        size: side of the thumbnails in pixels, 2 to 128; None: what the weights were fitted with, or 32.
        text_weight: how much the question counts, 0 to 1.

    Raises:
        UsageError: an option is out of its range, or `size` is not that of the weights.
        DataError: `weights` is no folder of this model.
    """

    def __init__(self, *, weights: str = "", size: int | None = None, text_weight: float = 0.5) -> None:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 2 <= size <= MAX_SIZE):
            raise UsageError(f"nearest-neighbour: size = {size!r}", hint=f"allowed: a whole number of pixels, 2 to {MAX_SIZE}")
        if isinstance(text_weight, bool) or not isinstance(text_weight, int | float) or not 0 <= text_weight <= 1:
            raise UsageError(f"nearest-neighbour: text_weight = {text_weight!r}", hint="allowed: a number from 0 to 1")
        self._index = _Index(Path(weights)) if weights else None
        if self._index and size not in (None, self._index.learnt.size):
            fitted = self._index.learnt.size
            raise UsageError(
                f"nearest-neighbour: size = {size}, but {weights} was fitted with {fitted}", hint="leave size out, or fit again"
            )
        self._text_weight = float(text_weight)
        self._size = self._index.learnt.size if self._index else size or DEFAULT_SIZE
        self._thumbnails = Thumbnails(self._size)

    def fit(
        self,
        examples: Iterable[Example],
        validation: Iterable[Example],
        out: Path,
        seed: int,
        events: FitEvents | None,
    ) -> Mapping[str, Any]:
        """Write vectors, words and answers of `examples` to `out`; nothing is random, and `validation` is not needed.

        Examples with an image that cannot be decoded are left out and counted in the facts returned.

        Raises:
            DataError: no example is left.
        """
        train = _Train()
        for request, text in targets(examples):
            train.add(request, text)
        out.mkdir(parents=True, exist_ok=True)
        readable = self._write_vectors(list(train.studies.values()), out, events)
        rows = np.array(train.rows, dtype=np.int32).reshape(-1, 2)
        kept = np.array([study < 0 or readable[study] for study in rows[:, 0].tolist()], dtype=bool)
        if not kept.any():
            raise nothing_to_learn()
        index = WordIndex.of(list(train.prompts))
        _write_answers([text for text, keep in zip(train.answers, kept.tolist(), strict=True) if keep], out)
        for name, array in (
            ("rows", rows[kept]),
            ("word_starts", index.starts),
            ("word_texts", index.texts),
            ("word_weights", index.weights),
        ):
            np.save(out / f"{name}.npy", array, allow_pickle=False)
        learnt = Learnt(
            size=self._size,
            n_examples=int(kept.sum()),
            n_left_out=int((~kept).sum()),
            n_studies=len(readable),
            n_questions=index.size,
            words=index.words,
        )
        write_weights(out, FILE, learnt)
        return _facts(learnt)

    def generate(self, requests: Sequence[Generate]) -> list[Text | Failed]:
        """Return one answer per request, in order; `Failed` where an image cannot be decoded."""
        index = self._index
        if index is None:
            raise not_fitted("nearest-neighbour")
        answers: dict[int, Text | Failed] = {}
        askers: dict[tuple[Any, ...], list[int]] = {}
        for number, request in enumerate(requests):
            askers.setdefault(tuple(content(image) for image in request.images), []).append(number)
        blind = askers.pop((), [])
        answers.update((number, index.answer(index.nearest(requests[number].prompt, None, 1.0))) for number in blind)
        groups = list(askers.values())
        width = max(1, CELLS // (index.learnt.n_studies + 1))
        for start in range(0, len(groups), width):
            answers.update(self._answer_groups(index, requests, groups[start : start + width]))
        return [answers[number] for number in range(len(requests))]

    def facts(self) -> Mapping[str, Any]:
        """Return what the weights hold: the size of thumbnails and the number of examples, images, questions and words."""
        return _facts(self._index.learnt) if self._index else {}

    def _answer_groups(self, index: _Index, requests: Sequence[Generate], groups: Sequence[list[int]]) -> dict[int, Text | Failed]:
        """Answer requests grouped by their images."""
        vectors = self._thumbnails.vectors([requests[group[0]].images for group in groups])
        answers: dict[int, Text | Failed] = {}
        seen: list[Array] = []
        asked: list[list[int]] = []
        for group, vector in zip(groups, vectors, strict=True):
            if isinstance(vector, InputError):
                answers.update(dict.fromkeys(group, Failed(kind="input", error=str(vector))))
            else:
                seen.append(vector)
                asked.append(group)
        if seen:
            for group, likeness in zip(asked, index.likeness(np.stack(seen)), strict=True):
                for number in group:
                    answers[number] = index.answer(index.nearest(requests[number].prompt, likeness, self._text_weight))
        return answers

    def _write_vectors(self, studies: Sequence[Study], out: Path, events: FitEvents | None) -> list[bool]:
        """Write one vector per study and return which ones could be decoded; the others stay zero and are not referred to."""
        readable: list[bool] = []
        shape = (len(studies), self._size * self._size)
        if not studies:
            np.save(out / "images.npy", np.zeros(shape, dtype=np.int16), allow_pickle=False)
            return readable
        made = np.lib.format.open_memmap(out / "images.npy", mode="w+", dtype=np.int16, shape=shape)
        for start in range(0, len(studies), DECODED_AT_ONCE):
            for number, vector in enumerate(self._thumbnails.vectors(studies[start : start + DECODED_AT_ONCE]), start):
                readable.append(not isinstance(vector, InputError))
                if not isinstance(vector, InputError):
                    made[number] = vector
            if events:
                events({"step": len(readable), "steps": len(studies)})
        made.flush()
        return readable


class _Train:
    """The train split while it is read: every distinct study and prompt once."""

    def __init__(self) -> None:
        self.studies: dict[tuple[Any, ...], Study] = {}
        self.prompts: dict[str, int] = {}
        self.rows: list[tuple[int, int]] = []
        self.answers: list[str] = []
        self._numbers: dict[tuple[Any, ...], int] = {(): -1}

    def add(self, request: Generate, text: str) -> None:
        """Take one example."""
        key = tuple(content(image) for image in request.images)
        if key not in self._numbers:
            self._numbers[key] = len(self.studies)
            self.studies[key] = request.images
        self.rows.append((self._numbers[key], self.prompts.setdefault(request.prompt, len(self.prompts))))
        self.answers.append(text)


class _Index:
    """The weights folder, opened: vectors and answers stay on disk."""

    def __init__(self, folder: Path) -> None:
        self.learnt = read_weights(folder, FILE, Learnt)
        self._images = _array(folder / "images.npy", mapped=self.learnt.n_studies > 0)
        rows = _array(folder / "rows.npy", mapped=False)
        self._study, self._question = rows[:, 0], rows[:, 1]
        self._text, self._starts = _array(folder / "answers.npy"), _array(folder / "answer_starts.npy")
        starts, texts, weights = (_array(folder / f"word_{name}.npy", mapped=False) for name in ("starts", "texts", "weights"))
        self._words = WordIndex(self.learnt.words, starts, texts, weights, self.learnt.n_questions)

    def likeness(self, vectors: Array) -> Array:
        """Return the cosine of vectors, shape (queries, size * size), with every train study: shape (queries, studies + 1).

        The last column is zero: it stands for train samples without image, whose study is numbered -1.
        """
        queries = vectors.astype(np.float32)
        found = np.zeros((len(queries), self.learnt.n_studies + 1), dtype=np.float32)
        for start in range(0, self.learnt.n_studies, ROWS):
            block = self._images[start : start + ROWS].astype(np.float32)
            found[:, start : start + len(block)] = queries @ block.T
        found /= np.float32(SCALE * SCALE)
        return found

    def nearest(self, prompt: str, likeness: Array | None, text_weight: float) -> int:
        """Return the number of the train example most like a prompt and images of that likeness to each study."""
        scores = self._words.cosines(prompt)[self._question] * np.float32(text_weight)
        if likeness is not None:
            scores += likeness[self._study] * np.float32(1 - text_weight)
        return int(scores.argmax())

    def answer(self, example: int) -> Text:
        """Return the target of a train example."""
        start, end = self._starts[example : example + 2].tolist()
        return Text(text=self._text[start:end].tobytes().decode(), finish_reason="stop")


def _write_answers(answers: Sequence[str], out: Path) -> None:
    encoded = [text.encode() for text in answers]
    starts = np.cumsum([0, *(len(text) for text in encoded)], dtype=np.int64)
    np.save(out / "answers.npy", np.frombuffer(b"".join(encoded), dtype=np.uint8), allow_pickle=False)
    np.save(out / "answer_starts.npy", starts, allow_pickle=False)


def _array(path: Path, *, mapped: bool = True) -> Array:
    try:
        made: Array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: {error}", hint="fit the model again") from error
    return made


def _facts(learnt: Learnt) -> dict[str, Any]:
    counts = {name: getattr(learnt, name) for name in ("size", "n_examples", "n_left_out", "n_studies", "n_questions")}
    return {**counts, "n_words": len(learnt.words)}
