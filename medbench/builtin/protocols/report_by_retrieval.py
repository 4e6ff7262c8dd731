"""Reports by retrieval: the nearest train report stands for what an encoder would write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from medbench.builtin.protocols.embedding import Vectors, Views, each_once, image_requests, text_request, unit, vectors_of
from medbench.builtin.protocols.partners import partner_examples
from medbench.builtin.protocols.standings import BLOCK_CELLS, nearest
from medbench.errors import DataError
from medbench.interfaces import Example, OutputView
from medbench.types import Embed, Failed, Prediction, Sample, Struct, Text


class ReportByRetrievalParams(Struct):
    """What a task or a run may set."""

    by: Literal["image", "text"] = "image"
    """What of a train sample is compared with the image: its own image, or its report's text."""
    views: Views = "mean"


class ReportByRetrieval:
    """The report of the train sample whose image, or whose report, is nearest by cosine; of equally near ones, the first.

    Train samples without a report, or whose vector could not be had, are not candidates.
    """

    Params = ReportByRetrievalParams

    def requests(self, samples: Sequence[Sample], params: ReportByRetrievalParams) -> Iterator[Embed]:
        """Yield one request per evaluated image and one per candidate."""
        return each_once(request for requests in self._asked(samples, params) for request in requests)

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: ReportByRetrievalParams) -> Iterator[Prediction]:
        """Yield one report per evaluated sample.

        Raises:
            DataError: train has no candidate, or images and texts have no common space.
        """
        vectors = vectors_of(self._asked(samples, params), outputs)
        candidates = _candidates(samples, vectors)
        evaluated = [at for at, sample in enumerate(samples) if sample.split != "train"]
        queries, known = unit(vectors.matrix[evaluated]), unit(vectors.matrix[candidates])
        step = max(1, BLOCK_CELLS // len(candidates))
        for start in range(0, len(evaluated), step):
            found = nearest(queries[start : start + step] @ known.T, 1)[:, 0]
            for at, near in zip(evaluated[start : start + step], found, strict=True):
                report = Text(text=samples[candidates[int(near)]].references[0], finish_reason="stop")
                yield Prediction(sample=samples[at].id, value=vectors.failed.get(at) or report)

    def examples(self, samples: Sequence[Sample], params: ReportByRetrievalParams) -> Iterator[Example]:
        """Yield each image request with the report that belongs to it as a text; samples that lack one of the two are no examples."""
        return partner_examples(samples, params.views)

    def remarks(self, samples: Sequence[Sample], outputs: OutputView, params: ReportByRetrievalParams) -> list[str]:
        """Return among how many train reports was looked."""
        total = sum(sample.split == "train" for sample in samples)
        count = len(_candidates(samples, vectors_of(self._asked(samples, params), outputs)))
        left = f"; {total - count:,} have none, or could not be embedded" if count < total else ""
        return [f"reports are taken from {count:,} of {total:,} train samples, by their {params.by}{left}"]

    @staticmethod
    def _asked(samples: Sequence[Sample], params: ReportByRetrievalParams) -> list[tuple[Embed, ...]]:
        """Return what is asked about each sample."""
        return [
            (text_request(sample.references[0] if sample.references else ""),)
            if params.by == "text" and sample.split == "train"
            else image_requests(sample, params.views)
            for sample in samples
        ]


def _candidates(samples: Sequence[Sample], vectors: Vectors) -> list[int]:
    there = vectors.there
    found = [at for at, sample in enumerate(samples) if sample.split == "train" and sample.references and there[at]]
    if found:
        return found
    fault: Failed | None = next(
        (vectors.failed[at] for at, sample in enumerate(samples) if sample.split == "train" and not there[at]), None
    )
    why = f": {fault.error}" if fault else ""
    raise DataError(f"no train report can be retrieved{why}", hint="--param by=image compares images with images, by=text with reports")
