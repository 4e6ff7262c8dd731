"""Concepts: the UMLS concepts of a figure from the vectors of its image, its caption, or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from medbench.builtin.protocols.embedding import Vectors, each_once, image_requests, text_request, unit, vectors_of
from medbench.builtin.protocols.multilabel import task_labels
from medbench.builtin.protocols.probe import ProbeParams, judged, learning, left_out
from medbench.builtin.protocols.shots import ALL
from medbench.errors import DataError
from medbench.interfaces import OutputView
from medbench.types import Condition, Embed, Prediction, Sample

INPUTS = ("image", "caption", "both")
TARGETS = ("all", "first")
FIRST = "first_cui"
"""The column with the first concept of a sample."""


class ConceptsParams(ProbeParams):
    """What a task or a run may set."""

    shots: str | tuple[int | str, ...] = (ALL,)
    seeds: int = 1
    inputs: str | tuple[str, ...] = INPUTS
    """What a head sees (text: separated by commas): the image's vector, the caption's, or both end to end."""
    targets: str | tuple[str, ...] = TARGETS
    """What a head learns: every concept apart (`all`), or the first one as a class (`first`)."""

    def __post_init__(self) -> None:
        """Refuse inputs and targets that there are not."""
        super().__post_init__()
        for name, given, known in (("inputs", self.inputs, INPUTS), ("targets", self.targets, TARGETS)):
            listed = _listed(given)
            strange = next((item for item in listed if item not in known), None)
            if strange is not None or not listed:
                raise ValueError(f"{name}: {strange or 'none'}; known: {', '.join(known)}")


class Concepts:
    """A probe for each input and target (conditions `input` and `target`, beside those of a probe).

    An input that the model gives for no train sample (an image encoder's captions) is left out, and said so.
    """

    Params = ConceptsParams

    def requests(self, samples: Sequence[Sample], params: ConceptsParams) -> Iterator[Embed]:
        """Yield the requests of images and captions that the inputs need.

        Raises:
            DataError: no sample has a label.
            UsageError: `labels` names one that no sample has.
        """
        task_labels(samples, params)
        return each_once(request for name in _parts(params) for sample in samples for request in _asked(sample, name, params))

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: ConceptsParams) -> Iterator[Prediction]:
        """Yield probabilities per evaluated sample, input, target, head, number of shots and seed.

        Raises:
            DataError: no input could be had of any train sample.
        """
        labels = task_labels(samples, params)
        for name, vectors in self._inputs(samples, outputs, params).items():
            for target in _listed(params.targets):
                shown = samples if target == "all" else [_first_alone(sample, labels) for sample in samples]
                extra: Condition = {"input": name, "target": target}
                yield from judged(shown, learning(shown, vectors, labels), params, extra)

    def remarks(self, samples: Sequence[Sample], outputs: OutputView, params: ConceptsParams) -> list[str]:
        """Return which inputs are left out, and how many train samples the heads could choose from."""
        inputs = self._inputs(samples, outputs, params)
        labels = task_labels(samples, params)
        gone = [name for name in _listed(params.inputs) if name not in inputs]
        told = [f"input={', '.join(gone)} left out: the model gives it for no train sample"] if gone else []
        counts = [line for vectors in inputs.values() for line in left_out(samples, learning(samples, vectors, labels), params)]
        return [*told, *dict.fromkeys(counts)]

    @staticmethod
    def _inputs(samples: Sequence[Sample], outputs: OutputView, params: ConceptsParams) -> dict[str, Vectors]:
        """Return input -> vectors, for the inputs that some train sample has."""
        parts = {name: vectors_of([_asked(sample, name, params) for sample in samples], outputs) for name in _parts(params)}
        if "both" in _listed(params.inputs):
            parts["both"] = _joined(parts["image"], parts["caption"])
        train = np.array([sample.split == "train" for sample in samples], dtype=bool)
        found = {name: parts[name] for name in _listed(params.inputs) if (parts[name].there & train).any()}
        if not found:
            fault = next((fault.error for vectors in parts.values() for fault in vectors.failed.values()), "there is none")
            raise DataError(f"no train sample can be learnt from: {fault}", hint="--param inputs=image, or another model")
        return found


def _asked(sample: Sample, name: str, params: ConceptsParams) -> tuple[Embed, ...]:
    if name == "image":
        return image_requests(sample, params.views)
    return (text_request(sample.references[0] if sample.references else ""),)


def _parts(params: ConceptsParams) -> list[str]:
    """Return which of image and caption the inputs are made of."""
    wanted = _listed(params.inputs)
    return [name for name in ("image", "caption") if name in wanted or "both" in wanted]


def _joined(images: Vectors, captions: Vectors) -> Vectors:
    return Vectors(np.hstack([unit(images.matrix), unit(captions.matrix)]), {**captions.failed, **images.failed})


def _first_alone(sample: Sample, labels: Sequence[str]) -> Sample:
    """Return the sample with its first concept as its one class; masked where that is none of the labels."""
    first = sample.meta.get(FIRST, "")
    known = first in labels
    return msgspec.structs.replace(sample, labels={label: float(label == first) if known else None for label in labels})


def _listed(given: str | Sequence[str]) -> tuple[str, ...]:
    items = given.split(",") if isinstance(given, str) else given
    return tuple(dict.fromkeys(name for item in items if (name := item.strip())))
