"""Matching: in a batch of images and captions, which belongs to which; the proxy task of contrastive pre-training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from medbench.builtin.protocols.embedding import Array, Temperature, Views, each_once, temperature
from medbench.builtin.protocols.partners import DIRECTIONS, Partners, likely_images, partner_examples, partner_requests, read_partners
from medbench.builtin.protocols.standings import Standings, standings
from medbench.figures import Figure, Matrix
from medbench.identity import hash_order
from medbench.interfaces import Example, OutputView
from medbench.types import Embed, Prediction, Ranking, Sample, Struct

SHOWN = 8
"""Captions whose most likely images are shown."""


class MatchingParams(Struct):
    """What a task or a run may set."""

    batch: int = 64
    """Pairs among which partners are looked for; fewer where there are not so many."""
    seed: int = 0
    """The run's seed: which samples make up a batch."""
    top: int = 4
    """How many of the most likely candidates are kept."""
    logit_scale: float = 0.0
    """By how much cosines are multiplied before they become probabilities; 0: the model's own, 1 where it states none."""
    views: Views = "mean"

    def __post_init__(self) -> None:
        """Refuse what is no batch."""
        if self.batch < 2 or self.top < 1 or self.logit_scale < 0:
            raise ValueError("batch is 2 or more, top 1 or more, logit_scale 0 or more")


class Batch(NamedTuple):
    """Samples by index: all are candidates, the first `queries` of them are looked up."""

    members: Array
    queries: int


class Matching:
    """Batches are drawn by seed; every sample is looked up once in each direction, always among `batch` candidates.

    The last batch is filled up with candidates of others. What fails is no candidate; the batches of the rest stay as they
    are. Candidates whose caption is equal to the right one's are right: their probabilities are added up (the highest of them
    where the model was trained by a sigmoid), and the strict figures beside count the own partner alone.
    """

    Params = MatchingParams

    def requests(self, samples: Sequence[Sample], params: MatchingParams) -> Iterator[Embed]:
        """Yield one request per image and one per caption; raises DataError where a sample lacks one of them."""
        return each_once(partner_requests(samples, params.views))

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: MatchingParams) -> Iterator[Prediction]:
        """Yield a `Ranking` per sample and direction (condition `direction`)."""
        partners = read_partners(samples, outputs, params.views)
        heat = temperature(outputs.facts, params.logit_scale)
        found: dict[tuple[str, int], Ranking] = {}
        for batch in batches(samples, params.batch, params.seed):
            for direction in DIRECTIONS:
                found.update(_looked_up(samples, partners, batch, direction, heat, params.top))
        for direction in DIRECTIONS:
            for at, sample in enumerate(samples):
                value = partners.failure(at) or found[direction, at]
                yield Prediction(sample=sample.id, value=value, condition={"direction": direction})

    def examples(self, samples: Sequence[Sample], params: MatchingParams) -> Iterator[Example]:
        """Yield each image request with the caption that belongs to it as a text; samples that lack one of the two are no examples."""
        return partner_examples(samples, params.views)

    def figures(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], outputs: OutputView, params: MatchingParams
    ) -> Iterator[Figure]:
        """Yield the similarities of the first batch as a heat map, and the most likely images of a few captions."""
        partners = read_partners(samples, outputs, params.views)
        first = next(batches(samples, params.batch, params.seed), None)
        if first is None:
            return
        there = [int(at) for at in first.members if partners.failure(int(at)) is None]
        if there:
            yield _heat_map([samples[at].id for at in there], partners, there)
        strips = likely_images(samples, predictions, [samples[at].id for at in there[:SHOWN]])
        if strips:
            yield strips


def batches(samples: Sequence[Sample], size: int, seed: int) -> Iterator[Batch]:
    """Yield batches of a fixed shuffle of all samples, each of `size` members where there are so many."""
    place = {f"{seed}\0{sample.id}": at for at, sample in enumerate(samples)}
    order = np.array([place[name] for name in hash_order(place)], dtype=np.int64)
    for start in range(0, len(order), size):
        queries = order[start : start + size]
        filled = np.concatenate([queries, order[: max(0, min(size - len(queries), start))]])
        yield Batch(filled, len(queries))


def _looked_up(
    samples: Sequence[Sample], partners: Partners, batch: Batch, direction: str, heat: Temperature, top: int
) -> Iterator[tuple[tuple[str, int], Ranking]]:
    """Yield what was found for each query of a batch that did not fail."""
    asking, answering = partners.sides(direction)
    pool = batch.members[answering.there[batch.members]]
    queries = np.array([at for at in batch.members[: batch.queries] if partners.failure(int(at)) is None], dtype=np.int64)
    if not len(queries):
        return
    own = np.array([int(np.flatnonzero(pool == at)[0]) for at in queries])
    found = standings(asking.matrix[queries], answering.matrix[pool], own, partners.codes[pool], top)
    given = heat.probabilities(asking.matrix[queries] @ answering.matrix[pool].T)
    right = partners.codes[queries][:, None] == partners.codes[pool]
    together = np.where(right, given, 0.0)
    whole = together.sum(axis=1) if heat.bias is None else together.max(axis=1)
    for row, at in enumerate(queries):
        yield (direction, int(at)), _ranking(samples, pool, found, row, min(1.0, float(whole[row])), float(given[row, own[row]]))


def _ranking(samples: Sequence[Sample], pool: Array, found: Standings, row: int, right: float, own: float) -> Ranking:
    return Ranking(
        rank=int(found.rank[row]),
        top=tuple(samples[pool[at]].id for at in found.top[row]),
        probability=right,
        strict_rank=int(found.strict[row]),
        strict_probability=own,
        pool=len(pool),
    )


def _heat_map(names: Sequence[str], partners: Partners, there: Sequence[int]) -> Matrix:
    """Return the cosines of one batch: images down, captions across, in one order, so that partners lie on the diagonal."""
    cosines = partners.images.matrix[list(there)] @ partners.texts.matrix[list(there)].T
    codes = partners.codes[list(there)]
    return Matrix(
        name="similarities",
        title=f"Similarities of the first batch: {len(there)} images and their captions",
        values=tuple(tuple(round(float(value), 4) for value in row) for row in cosines),
        rows=tuple(names),
        columns=tuple(names),
        row_label="image",
        column_label="caption",
        value_label="cosine",
        marked=tuple((int(row), int(column)) for row, column in np.argwhere(codes[:, None] == codes)),
        note="Framed: right partners, equal captions among them.",
    )
