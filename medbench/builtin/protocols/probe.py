"""Few-shot and linear probes: a small head is fitted on frozen vectors of some train samples and judges the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from medbench.builtin.protocols.embedding import Array, Vectors, Views, each_once, image_requests, vectors_of
from medbench.builtin.protocols.heads import Head, fit_predict
from medbench.builtin.protocols.multilabel import MultilabelParams, task_labels
from medbench.builtin.protocols.shots import ALL, are_exclusive, draw, known_labels, strata, truth_of, wanted_shots
from medbench.errors import DataError
from medbench.identity import sample_seed
from medbench.interfaces import OutputView
from medbench.types import Condition, Embed, Prediction, Probabilities, Sample

HEADS: tuple[Head, ...] = ("logistic", "mlp")


class ProbeParams(MultilabelParams):
    """What a task or a run may set."""

    shots: str | tuple[int | str, ...] = (10, 25, 50, 100, 250, 500, ALL)
    """Numbers of train samples (text: separated by commas), each a condition; `all` for all of them."""
    seeds: int = 5
    """How many draws of each number; scores are averaged over them."""
    heads: str | tuple[str, ...] = ("logistic",)
    """`logistic` and `mlp` (text: separated by commas), each a condition."""
    seed: int = 0
    """The run's seed, of which the draws' seeds are made."""
    views: Views = "mean"

    def __post_init__(self) -> None:
        """Refuse numbers and heads that there are not."""
        wanted_shots(self.shots)
        if self.seeds < 1:
            raise ValueError("seeds is 1 or more")
        strange = next((head for head in self.head_names if head not in HEADS), None)
        if strange is not None or not self.head_names:
            raise ValueError(f"heads: {strange or 'none'}; known: {', '.join(HEADS)}")

    @property
    def head_names(self) -> tuple[str, ...]:
        """The heads, each once."""
        given = self.heads.split(",") if isinstance(self.heads, str) else self.heads
        return tuple(dict.fromkeys(name for head in given if (name := head.strip())))


class Learning(NamedTuple):
    """Train samples that have a vector and a known label, and what is to be judged."""

    train: list[Sample]
    seen: Array
    """Vectors of the train samples, (train samples, dimensions)."""
    truth: Array
    """1, 0 or NaN, (train samples, labels)."""
    labels: tuple[str, ...]
    asked: Vectors
    exclusive: bool


class Probe:
    """Vectors of train and of the evaluated samples in one pass; heads are fitted while predictions are made.

    Conditions are `head`, `shots` and `seed`; a number of shots that train does not have is left out. Draws are stratified
    and the same for every model; the head's hyper-parameter is chosen by cross-validation inside the draw, never on what is
    evaluated. Train samples that failed, or of which no label is known, are left out and counted.
    """

    Params = ProbeParams

    def requests(self, samples: Sequence[Sample], params: ProbeParams) -> Iterator[Embed]:
        """Yield one request per image.

        Raises:
            DataError: no sample has a label.
            UsageError: `labels` names one that no sample has.
        """
        task_labels(samples, params)
        return each_once(request for sample in samples for request in image_requests(sample, params.views))

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: ProbeParams) -> Iterator[Prediction]:
        """Yield probabilities per evaluated sample, head, number of shots and seed.

        Raises:
            DataError: no train sample can be learnt from.
        """
        vectors = vectors_of([image_requests(sample, params.views) for sample in samples], outputs)
        yield from judged(samples, learning(samples, vectors, task_labels(samples, params)), params, {})

    def remarks(self, samples: Sequence[Sample], outputs: OutputView, params: ProbeParams) -> list[str]:
        """Return how many train samples the heads could choose from."""
        vectors = vectors_of([image_requests(sample, params.views) for sample in samples], outputs)
        return left_out(samples, learning(samples, vectors, task_labels(samples, params)), params)


def learning(samples: Sequence[Sample], vectors: Vectors, labels: Sequence[str]) -> Learning:
    """Return what heads learn from and are asked about.

    Args:
        samples: Train and evaluated samples.
        vectors: Their vectors.
        labels: What is predicted; those that no train sample knows are left out.

    Raises:
        DataError: no train sample has both a vector and a known label.
    """
    is_train = np.array([sample.split == "train" for sample in samples], dtype=bool)
    truth = truth_of(samples, labels)
    usable = is_train & vectors.there & ~np.isnan(truth).all(axis=1)
    if not usable.any():
        failed = next((fault.error for at, fault in vectors.failed.items() if is_train[at]), "")
        why = f": {failed}" if failed else " has a known label"
        raise DataError(f"none of the {int(is_train.sum()):,} train samples can be learnt from{why}", hint="a probe needs a train split")
    kept = known_labels(truth[usable], labels)
    truth = truth[:, [at for at, label in enumerate(labels) if label in kept]]
    asked = np.flatnonzero(~is_train)
    place = {int(at): row for row, at in enumerate(asked)}
    return Learning(
        train=[sample for sample, there in zip(samples, usable, strict=True) if there],
        seen=vectors.matrix[usable],
        truth=truth[usable],
        labels=kept,
        asked=Vectors(vectors.matrix[asked], {place[at]: fault for at, fault in vectors.failed.items() if at in place}),
        exclusive=are_exclusive(truth[usable]),
    )


def judged(samples: Sequence[Sample], learnt: Learning, params: ProbeParams, extra: Condition) -> Iterator[Prediction]:
    """Yield the predictions of every head, number of shots and seed.

    Args:
        samples: Train and evaluated samples.
        learnt: What heads learn from and are asked about.
        params: Which heads, shots and seeds.
        extra: What is added to each condition.
    """
    evaluated = [sample for sample in samples if sample.split != "train"]
    stratum = strata(learnt.truth)
    for head in params.head_names:
        for shots in wanted_shots(params.shots):
            count = len(learnt.train) if shots == ALL else int(shots)
            if count > len(learnt.train):
                continue
            for number in range(1 if shots == ALL and head == "logistic" else params.seeds):
                chosen = draw(learnt.train, stratum, count, f"{params.seed}-{number}")
                given = _given(head, learnt, chosen, sample_seed(params.seed, str(number)))
                condition: Condition = {**extra, "head": head, "shots": shots, "seed": number}
                for at, sample in enumerate(evaluated):
                    value = learnt.asked.failed.get(at) or Probabilities(labels=learnt.labels, values=tuple(given[at].tolist()))
                    yield Prediction(sample=sample.id, value=value, condition=condition)


def left_out(samples: Sequence[Sample], learnt: Learning, params: ProbeParams) -> list[str]:
    """Return what is said of the train samples: how many there are to draw from, and which draws are larger."""
    total = sum(sample.split == "train" for sample in samples)
    told = [f"probe: shots are drawn from {len(learnt.train):,} train samples"]
    if total > len(learnt.train):
        told[0] += f"; {total - len(learnt.train):,} are left out (their images failed, or none of their labels is known)"
    more = [str(shots) for shots in wanted_shots(params.shots) if shots != ALL and int(shots) > len(learnt.train)]
    return [*told, f"probe: train has no {', '.join(more)} samples to learn from"] if more else told


def _given(head: str, learnt: Learning, chosen: Array, seed: int) -> Array:
    """Return the probabilities of a head that was fitted on some of the train samples, (evaluated, labels), within 0 and 1."""
    groups = [learnt.train[at].group for at in chosen]
    kind: Head = "mlp" if head == "mlp" else "logistic"
    made = fit_predict(
        kind, learnt.seen[chosen], learnt.truth[chosen], learnt.asked.matrix, exclusive=learnt.exclusive, groups=groups, seed=seed
    )
    return np.clip(made, 0.0, 1.0)
