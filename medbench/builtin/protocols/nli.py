"""Inference between two sentences: how near their vectors are says whether one follows from the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from medbench.builtin.protocols.embedding import each_once, text_request, unit, vectors_of
from medbench.builtin.protocols.multilabel import MultilabelParams, task_labels
from medbench.errors import DataError, UsageError
from medbench.interfaces import OutputView
from medbench.types import Embed, Failed, Prediction, Probabilities, Sample

Array = np.ndarray[Any, np.dtype[Any]]


class NliParams(MultilabelParams):
    """What a task or a run may set."""

    threshold: float = 0.0
    """The cosine at or above which the second sentence follows from the first, -1 to 1: a probability of 0.5."""

    def __post_init__(self) -> None:
        """Refuse what is no cosine."""
        if not -1 < self.threshold < 1:
            raise ValueError("threshold is a cosine, between -1 and 1")


class Nli:
    """The sample's prompt and its first reference are the two sentences; the one label says whether the second follows.

    The value is no calibrated probability: the cosine is mapped so that the threshold becomes 0.5, -1 becomes 0 and 1 becomes
    1, which leaves the order (and so AUROC) as it is. BioViL's authors chose the threshold on a development set; the remarks of a
    run with `--split val` say which is best.
    """

    Params = NliParams

    def requests(self, samples: Sequence[Sample], params: NliParams) -> Iterator[Embed]:
        """Yield one request per sentence.

        Raises:
            DataError: a sample has fewer than two sentences, or none has a label.
            UsageError: there are several labels.
        """
        _label(samples, params)
        return each_once(text_request(sentence) for sample in samples for sentence in _sentences(sample))

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: NliParams) -> Iterator[Prediction]:
        """Yield one probability per sample; raises as `requests` does."""
        labels = _label(samples, params)
        cosines, failed = _cosines(samples, outputs)
        given = np.interp(cosines, [-1.0, params.threshold, 1.0], [0.0, 0.5, 1.0])
        for at, sample in enumerate(samples):
            yield Prediction(sample=sample.id, value=failed.get(at) or Probabilities(labels=labels, values=(float(given[at]),)))

    def remarks(self, samples: Sequence[Sample], outputs: OutputView, params: NliParams) -> list[str]:
        """Return, of a development set, the threshold of highest accuracy; of others, that theirs was stated by nobody."""
        if any(sample.split != "val" for sample in samples):
            unstated = params.threshold == NliParams().threshold
            return (
                [f"accuracy is at a cosine of {params.threshold:g}, which nobody chose: --split val says which to state"]
                if unstated
                else []
            )
        (label,) = _label(samples, params)
        cosines, failed = _cosines(samples, outputs)
        known = [(cosines[at], truth) for at, s in enumerate(samples) if at not in failed and (truth := s.labels.get(label)) in {0.0, 1.0}]
        if not known:
            return []
        threshold, accuracy = best_threshold(*map(np.array, zip(*known, strict=True)))
        return [f"highest accuracy on these {len(known):,} pairs: {accuracy:.1%} at --param threshold={round(threshold, 4) + 0.0:.4f}"]


def best_threshold(cosines: Array, truth: Array) -> tuple[float, float]:
    """Return the threshold between -1 and 1 of highest accuracy, and that accuracy; of several the one farthest from any cosine.

    Args:
        cosines: (pairs,).
        truth: (pairs,), 1 where the second sentence follows, else 0.

    >>> best_threshold(np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1]))
    (0.4, 1.0)
    """
    edges = np.unique([-1.0, *np.clip(cosines, -1.0, 1.0), 1.0])
    middles, room = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    right = ((cosines[None, :] >= middles[:, None]) == (truth == 1)[None, :]).mean(axis=1)
    best = max(range(len(middles)), key=lambda at: (right[at], room[at]))
    return float(middles[best]), float(right[best])


def _cosines(samples: Sequence[Sample], outputs: OutputView) -> tuple[Array, dict[int, Failed]]:
    """Return how near the two sentences of each sample are (0 where unknown), and which could not be embedded."""
    asked = [_sentences(sample) for sample in samples]
    first = vectors_of([(text_request(one),) for one, _ in asked], outputs)
    second = vectors_of([(text_request(other),) for _, other in asked], outputs)
    failed = {**second.failed, **first.failed}
    if not (first.there.any() and second.there.any()):
        return np.zeros(len(samples)), failed
    return (unit(first.matrix).astype(np.float64) * unit(second.matrix)).sum(axis=1), failed


def _label(samples: Sequence[Sample], params: NliParams) -> tuple[str, ...]:
    labels = task_labels(samples, params)
    if len(labels) > 1:
        raise UsageError(f"one label is judged, and the samples have {', '.join(labels)}", hint="--param labels=NAME")
    return labels


def _sentences(sample: Sample) -> tuple[str, str]:
    if not sample.prompt.strip() or not sample.references:
        raise DataError(f"sample {sample.id} has no two sentences", hint="the prompt and the first reference are compared")
    return sample.prompt, sample.references[0]
