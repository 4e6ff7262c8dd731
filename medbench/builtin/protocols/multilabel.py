"""Classification: the images of a sample in, a probability for each label out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from medbench.errors import DataError, UsageError, suggestion
from medbench.interfaces import Example, OutputView
from medbench.types import Classify, Failed, Output, Prediction, Probabilities, Sample, Struct, Value


class MultilabelParams(Struct):
    """What a task or a run may set."""

    labels: str | tuple[str, ...] = ()
    """What is asked and scored, in this order (text: separated by commas); empty: every label of the samples, sorted."""


class Multilabel:
    """One `Classify` per sample; the prediction has the task's labels in the task's order, whatever more the model gave.

    A model's labels are found by name. An output that lacks one, or gives one twice or no probability for it, has failed.
    """

    Params = MultilabelParams

    def requests(self, samples: Sequence[Sample], params: MultilabelParams) -> Iterator[Classify]:
        """Return one request per sample, in order.

        Raises:
            DataError: no sample has a label.
            UsageError: `labels` names one that no sample has.
        """
        labels = task_labels(samples, params)
        return (_request(sample, labels) for sample in samples)

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: MultilabelParams) -> Iterator[Prediction]:
        """Return one prediction per sample, in order; raises as `requests` does."""
        labels = task_labels(samples, params)
        return (Prediction(sample=sample.id, value=_value(outputs[_request(sample, labels)], labels)) for sample in samples)

    def examples(self, samples: Sequence[Sample], params: MultilabelParams) -> Iterator[Example]:
        """Return the very requests that would be asked, each with what is known of the truth; raises as `requests` does.

        A sample of which no label is known is no example.
        """
        labels = task_labels(samples, params)
        return ((_request(sample, labels), target) for sample in samples if (target := _target(sample, labels)).labels)


def task_labels(samples: Sequence[Sample], params: MultilabelParams) -> tuple[str, ...]:
    """Return the labels that are asked for, each once.

    >>> sample = Sample(id="1", group="1", split="test", labels={"edema": 1.0, "Nodule": None, "effusion": 0.0})
    >>> task_labels([sample], MultilabelParams()), task_labels([sample], MultilabelParams(labels="effusion, edema"))
    (('Nodule', 'edema', 'effusion'), ('effusion', 'edema'))

    Raises:
        DataError: no sample has a label.
        UsageError: `params.labels` names one that no sample has.
    """
    if not samples:
        return ()
    known = sorted({label for sample in samples for label in sample.labels})
    if not known:
        raise DataError(f"none of the {len(samples):,} samples has a label", hint="a task of this protocol needs a dataset with labels")
    given = params.labels.split(",") if isinstance(params.labels, str) else params.labels
    wanted = tuple(dict.fromkeys(name for label in given if (name := label.strip())))
    strange = next((label for label in wanted if label not in known), None)
    if strange is not None:
        raise UsageError(f"parameter labels: no sample has the label {strange}", hint=suggestion(strange, known))
    return wanted or tuple(known)


def _request(sample: Sample, labels: tuple[str, ...]) -> Classify:
    return Classify(images=sample.images, labels=labels)


def _value(output: Output, labels: tuple[str, ...]) -> Value:
    """Return the probabilities of the task's labels, or what stands for them."""
    if not isinstance(output, Probabilities):
        return output
    if len(output.labels) != len(output.values):
        return _failed(f"{len(output.values)} probabilities for {len(output.labels)} labels")
    times = Counter(output.labels)
    if twice := [label for label in labels if times[label] > 1]:
        return _failed(f"several probabilities for {', '.join(twice)}")
    if missing := [label for label in labels if label not in times]:
        return _failed(f"no probability for {', '.join(missing)}")
    given = dict(zip(output.labels, output.values, strict=True))
    wrong = next((label for label in labels if not 0.0 <= given[label] <= 1.0), None)
    if wrong is not None:
        return _failed(f"{wrong}: {given[wrong]} is no probability")
    return Probabilities(labels=labels, values=tuple(given[label] for label in labels))


def _failed(error: str) -> Failed:
    return Failed(kind="model", error=error)


def _target(sample: Sample, labels: tuple[str, ...]) -> Probabilities:
    known = {label: value for label in labels if (value := sample.labels.get(label)) is not None and not math.isnan(value)}
    return Probabilities(labels=tuple(known), values=tuple(known.values()))
