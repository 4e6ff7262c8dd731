"""Choice: a model that writes is asked for one of several classes, and its words are turned into their probabilities."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from medbench.builtin.protocols.multilabel import MultilabelParams, task_labels
from medbench.builtin.protocols.per_sample import placeholders
from medbench.errors import UsageError
from medbench.interfaces import Example, OutputView
from medbench.types import Generate, Output, Prediction, Probabilities, Sample, Text, Value


class ChoiceParams(MultilabelParams):
    """What a task or a run may set."""

    question: str = "Which of these is it: {options}? Answer with one of them."
    """How it is put; `{options}` stands for the classes, `{question}` for what a sample asks about."""
    max_new_tokens: int = 16

    def __post_init__(self) -> None:
        """Refuse a template that names what it cannot."""
        strange = [name for name in placeholders(self.question) if name not in {"options", "question"}]
        if strange:
            raise ValueError(f"question: no such placeholder {{{strange[0]}}}; known: options, question")


class Choice:
    """One `Generate` with options per sample.

    Where the model scores the options, their probabilities are those scores brought to a sum of 1; else the one class that its
    answer names has probability 1. An answer that names none, or several, has no probability for any: it is wrong and counted
    as unparsable.
    """

    Params = ChoiceParams

    def requests(self, samples: Sequence[Sample], params: ChoiceParams) -> Iterator[Generate]:
        """Return one request per sample, in order.

        Raises:
            DataError: no sample has a label.
            UsageError: there are fewer than two classes, or `labels` names one that no sample has.
        """
        labels = _classes(samples, params)
        return (_request(sample, labels, params) for sample in samples)

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: ChoiceParams) -> Iterator[Prediction]:
        """Return one prediction per sample, in order; raises as `requests` does."""
        labels = _classes(samples, params)
        return (Prediction(sample=sample.id, value=_value(outputs[_request(sample, labels, params)], labels)) for sample in samples)

    def examples(self, samples: Sequence[Sample], params: ChoiceParams) -> Iterator[Example]:
        """Return the very requests that would be asked, each with the right class as text; raises as `requests` does."""
        labels = _classes(samples, params)
        for sample in samples:
            right = [label for label in labels if sample.labels.get(label) == 1]
            if len(right) == 1:
                yield _request(sample, labels, params), Text(text=right[0])


def _classes(samples: Sequence[Sample], params: ChoiceParams) -> tuple[str, ...]:
    labels = task_labels(samples, params)
    if samples and len(labels) < 2:
        raise UsageError(f"there is nothing to choose from: {', '.join(labels)} alone", hint="--protocol another of the task's")
    return labels


def _request(sample: Sample, labels: tuple[str, ...], params: ChoiceParams) -> Generate:
    asked = params.question.replace("{options}", ", ".join(labels)).replace("{question}", sample.prompt)
    return Generate(prompt=asked, images=sample.images, options=labels, max_new_tokens=params.max_new_tokens)


def _value(output: Output, labels: tuple[str, ...]) -> Value:
    if not isinstance(output, Text):
        return output
    scored = [output.option_logprobs.get(label) for label in labels]
    known = [value for value in scored if value is not None]
    if known and len(known) == len(labels) and np.isfinite(max(known)):
        shares = np.exp(np.array(known) - max(known))
        return Probabilities(labels=labels, values=tuple(float(share) for share in shares / shares.sum()))
    named = named_option(output.text, labels)
    return Probabilities(labels=labels, values=tuple(float(label == named) for label in labels))


def named_option(text: str, options: Sequence[str]) -> str:
    """Return the one option that a text names as whole words, whatever the case; empty: none or several.

    >>> named_option("It is Stable.", ["stable", "unstable"]), named_option("stable or worse", ["stable", "worse"])
    ('stable', '')
    """
    low = " ".join(text.lower().split())
    found = [option for option in options if re.search(rf"(?<!\w){re.escape(option.lower())}(?!\w)", low)]
    inside = [one for one in found if any(one != other and one.lower() in other.lower() for other in found)]
    kept = [one for one in found if one not in inside]  # "mild edema" names no "edema" besides
    return kept[0] if len(kept) == 1 else ""
