"""Retrieval: the caption of an image among all captions of the split, and the image of a caption among all images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from medbench.builtin.protocols.embedding import Views, each_once
from medbench.builtin.protocols.partners import DIRECTIONS, Partners, likely_images, partner_examples, partner_requests, read_partners
from medbench.builtin.protocols.standings import standings
from medbench.figures import Figure
from medbench.identity import hash_order
from medbench.interfaces import Example, OutputView
from medbench.types import Embed, Prediction, Ranking, Sample, Struct

SHOWN = 8
"""Captions whose most likely images are shown."""


class RetrievalParams(Struct):
    """What a task or a run may set."""

    top: int = 5
    """How many of the nearest candidates are kept."""
    views: Views = "mean"

    def __post_init__(self) -> None:
        """Refuse a number of candidates that is none."""
        if self.top < 1:
            raise ValueError("top is 1 or more")


class Retrieval:
    """Every sample is looked up once in each direction, by cosine, among all samples that did not fail.

    Candidates with the very same caption are right; the strict ranks beside count the own partner alone. Ties count against.
    Similarities are worked through block by block, so that 100,000 pairs need no more memory than their vectors.
    """

    Params = RetrievalParams

    def requests(self, samples: Sequence[Sample], params: RetrievalParams) -> Iterator[Embed]:
        """Yield one request per image and one per caption; raises DataError where a sample lacks one of them."""
        return each_once(partner_requests(samples, params.views))

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: RetrievalParams) -> Iterator[Prediction]:
        """Yield a `Ranking` without probability per sample and direction (condition `direction`)."""
        partners = read_partners(samples, outputs, params.views)
        for direction in DIRECTIONS:
            found = _looked_up(samples, partners, direction, params.top)
            for at, sample in enumerate(samples):
                yield Prediction(sample=sample.id, value=partners.failure(at) or found[at], condition={"direction": direction})

    def examples(self, samples: Sequence[Sample], params: RetrievalParams) -> Iterator[Example]:
        """Yield each image request with the caption that belongs to it as a text; samples that lack one of the two are no examples."""
        return partner_examples(samples, params.views)

    def figures(
        self,
        samples: Sequence[Sample],
        predictions: Sequence[Prediction],
        outputs: OutputView,  # noqa: ARG002 - the interface's parameter
        params: RetrievalParams,  # noqa: ARG002 - the interface's parameter
    ) -> Iterator[Figure]:
        """Yield the most likely images of a few captions, chosen by the hash of their ids."""
        strips = likely_images(samples, predictions, hash_order(sample.id for sample in samples)[:SHOWN])
        if strips:
            yield strips


def _looked_up(samples: Sequence[Sample], partners: Partners, direction: str, top: int) -> dict[int, Ranking]:
    asking, answering = partners.sides(direction)
    pool = np.flatnonzero(answering.there)
    queries = np.flatnonzero(asking.there & answering.there)
    place = np.full(len(samples), -1, dtype=np.int64)
    place[pool] = np.arange(len(pool))
    found = standings(asking.matrix[queries], answering.matrix[pool], place[queries], partners.codes[pool], top)
    return {
        int(at): Ranking(
            rank=int(found.rank[row]),
            top=tuple(samples[pool[near]].id for near in found.top[row]),
            strict_rank=int(found.strict[row]),
            pool=len(pool),
        )
        for row, at in enumerate(queries)
    }
