"""Inference between two sentences: how near their vectors are says whether one follows from the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from medbench.builtin.protocols.embedding import each_once, text_request, unit, vectors_of
from medbench.builtin.protocols.multilabel import MultilabelParams, task_labels
from medbench.errors import DataError, UsageError
from medbench.interfaces import OutputView
from medbench.types import Embed, Prediction, Probabilities, Sample


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
    1, which leaves the order (and so AUROC) as it is. BioViL's authors chose the threshold on a development set.
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
        asked = [_sentences(sample) for sample in samples]
        first = vectors_of([(text_request(one),) for one, _ in asked], outputs)
        second = vectors_of([(text_request(other),) for _, other in asked], outputs)
        if not (first.there.any() and second.there.any()):
            cosines = np.zeros(len(samples))
        else:
            cosines = (unit(first.matrix).astype(np.float64) * unit(second.matrix)).sum(axis=1)
        given = np.interp(cosines, [-1.0, params.threshold, 1.0], [0.0, 0.5, 1.0])
        for at, sample in enumerate(samples):
            value = Probabilities(labels=labels, values=(float(given[at]),))
            yield Prediction(sample=sample.id, value=first.failed.get(at) or second.failed.get(at) or value)


def _label(samples: Sequence[Sample], params: NliParams) -> tuple[str, ...]:
    labels = task_labels(samples, params)
    if len(labels) > 1:
        raise UsageError(f"one label is judged, and the samples have {', '.join(labels)}", hint="--param labels=NAME")
    return labels


def _sentences(sample: Sample) -> tuple[str, str]:
    if not sample.prompt.strip() or not sample.references:
        raise DataError(f"sample {sample.id} has no two sentences", hint="the prompt and the first reference are compared")
    return sample.prompt, sample.references[0]
