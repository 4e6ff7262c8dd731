"""Zero-shot classification: an image is what the nearest prompts say, by the vectors of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from medbench.builtin.protocols.embedding import (
    Array,
    Temperature,
    Vectors,
    Views,
    each_once,
    image_requests,
    temperature,
    text_request,
    unit,
    vectors_of,
)
from medbench.builtin.protocols.multilabel import MultilabelParams, task_labels
from medbench.builtin.protocols.prompts import Ensemble, Prompts, class_probabilities, finding_probabilities, finding_prompts
from medbench.errors import UsageError, suggestion
from medbench.interfaces import OutputView
from medbench.types import Embed, Failed, Prediction, Probabilities, Sample, Value

Several = dict[str, tuple[str, ...]]
QUESTION = "{question}"
"""Stands in a prompt for what the sample asks about."""


class ZeroShotParams(MultilabelParams):
    """What a task or a run may set."""

    prompts: Several = {}
    """Class -> its prompts, the first of which is `single`; classes exclude each other. Empty: labels are judged one by one."""
    ensemble: Several = {}
    """Class -> the prompts of the two ensembles, where they are others than `prompts`."""
    present: Several = {}
    """Label -> what is said where it is there; `{label}` stands for its name. Where none is stated: BioViL's four prompts."""
    absent: Several = {}
    """Label -> what is said where it is not."""
    mean_of: str = ""
    """`unit` or `raw` vectors are averaged in an ensemble; empty: unit ones of classes (CLIP), raw ones of findings (BioViL)."""
    logit_scale: float = 0.0
    """By how much cosines are multiplied before they become probabilities; 0: the model's own, 1 where it states none."""
    views: Views = "mean"

    def __post_init__(self) -> None:
        """Refuse what cannot be put to a model."""
        if self.mean_of not in {"", "unit", "raw"}:
            raise ValueError("mean_of is unit or raw")
        if self.logit_scale < 0:
            raise ValueError("logit_scale is 0 or more")
        empty = next(
            (label for given in (self.prompts, self.ensemble, self.present, self.absent) for label in given if not given[label]), None
        )
        if empty is not None:
            raise ValueError(f"{empty} has no prompt")


class ZeroShot:
    """Images once, prompts once; single prompts and the two kinds of ensemble are conditions of one run (`prompts`).

    Classes compete by a softmax over the model's scaled cosines, or get a sigmoid each where the model was trained by one
    (it states a `logit_bias`). Labels that do not exclude each other are judged by pairs of prompts, said and denied.
    `{question}` in a prompt stands for what the sample asks about.
    """

    Params = ZeroShotParams

    def requests(self, samples: Sequence[Sample], params: ZeroShotParams) -> Iterator[Embed]:
        """Yield one request per image and one per prompt.

        Raises:
            DataError: no sample has a label.
            UsageError: a label has no prompt, or a prompt is for a label that no sample has.
        """
        return each_once(self._requests(samples, params))

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: ZeroShotParams) -> Iterator[Prediction]:
        """Yield the probabilities of all labels per sample and way of prompting; raises as `requests` does."""
        labels = task_labels(samples, params)
        images = vectors_of([image_requests(sample, params.views) for sample in samples], outputs)
        heat = temperature(outputs.facts, params.logit_scale)
        for how in _ways(labels, params):
            said = _said(labels, params, how)
            found: dict[int, Value] = {}
            for question, rows in _by_question(samples, said).items():
                vectors = _vectors(said, question, outputs)
                found.update(zip(rows, _values(images, rows, labels, vectors, (how, _mean_of(params)), heat), strict=True))
            for at, sample in enumerate(samples):
                yield Prediction(sample=sample.id, value=found[at], condition={"prompts": how})

    def _requests(self, samples: Sequence[Sample], params: ZeroShotParams) -> Iterator[Embed]:
        labels = task_labels(samples, params)
        for sample in samples:
            yield from image_requests(sample, params.views)
        for how in _ways(labels, params):
            said = _said(labels, params, how)
            for question in _by_question(samples, said):
                for prompts in said.values():
                    yield from (text_request(prompt.replace(QUESTION, question)) for prompt in (*prompts.present, *prompts.absent))


def _ways(labels: Sequence[str], params: ZeroShotParams) -> list[Ensemble]:
    """Return the ways of prompting: the ensembles where any label has several prompts."""
    several = params.ensemble or any(
        len(prompts.present) > 1 or len(prompts.absent) > 1 for prompts in _said(labels, params, "ensemble-embeddings").values()
    )
    return ["single", "ensemble-embeddings", "ensemble-probabilities"] if several else ["single"]


def _said(labels: Sequence[str], params: ZeroShotParams, how: Ensemble) -> dict[str, Prompts]:
    """Return label -> what is said of it."""
    strange = next(
        (label for given in (params.prompts, params.ensemble, params.present, params.absent) for label in given if label not in labels),
        None,
    )
    if strange is not None:
        raise UsageError(f"a prompt is stated for {strange}, which is no label of this task", hint=suggestion(strange, labels))
    if params.ensemble and not params.prompts:
        raise UsageError("parameter ensemble is stated without prompts", hint="[params.prompts] names the single prompt of each class")
    classes = params.ensemble if params.ensemble and how != "single" else params.prompts
    if not params.prompts:
        said = {label: finding_prompts(label, params.present, params.absent) for label in labels}
    else:
        if lacking := [label for label in labels if label not in classes]:
            raise UsageError(f"no prompt for {', '.join(lacking)}", hint="[params.prompts] of the task names one for each class")
        said = {label: Prompts(classes[label]) for label in labels}
    if how == "single":
        return {label: Prompts(prompts.present[:1], prompts.absent[:1]) for label, prompts in said.items()}
    return said


def _by_question(samples: Sequence[Sample], said: Mapping[str, Prompts]) -> dict[str, list[int]]:
    """Return what is asked about -> the samples, by index; all under one empty question where no prompt names it."""
    if not any(QUESTION in prompt for prompts in said.values() for part in prompts for prompt in part):
        return {"": list(range(len(samples)))} if samples else {}
    found: dict[str, list[int]] = {}
    for at, sample in enumerate(samples):
        found.setdefault(sample.prompt, []).append(at)
    return found


def _mean_of(params: ZeroShotParams) -> str:
    return params.mean_of or ("unit" if params.prompts else "raw")


def _vectors(said: Mapping[str, Prompts], question: str, outputs: OutputView) -> list[tuple[Array, Array]] | Failed:
    """Return for each label the vectors of what is said and denied, as the model gives them; or why one could not be had."""
    asked = [[(text_request(prompt.replace(QUESTION, question)),) for prompt in part] for prompts in said.values() for part in prompts]
    found = vectors_of([requests for part in asked for requests in part], outputs)
    if found.failed:
        return next(iter(found.failed.values()))
    parts = np.split(found.matrix, np.cumsum([len(part) for part in asked])[:-1])
    return list(zip(parts[::2], parts[1::2], strict=True))


def _values(
    images: Vectors,
    rows: Sequence[int],
    labels: tuple[str, ...],
    said: list[tuple[Array, Array]] | Failed,
    way: tuple[Ensemble, str],
    heat: Temperature,
) -> list[Value]:
    """Return what is predicted for some of the samples; a prompt that failed fails them all."""
    if isinstance(said, Failed):
        return [images.failed.get(at) or said for at in rows]
    shown = unit(images.matrix[list(rows)])
    if images.there.any() and shown.shape[1] != said[0][0].shape[1]:
        fault = Failed(kind="model", error=f"an image has {shown.shape[1]} numbers and a text {said[0][0].shape[1]}: no common space")
        return [images.failed.get(at) or fault for at in rows]
    if not images.there.any():
        return [images.failed[at] for at in rows]
    if len(said[0][1]):
        given = np.stack([finding_probabilities(shown, present, absent, *way, heat) for present, absent in said], axis=1)
    else:
        given = class_probabilities(shown, [present for present, _ in said], *way, heat)
    return [
        images.failed.get(at) or Probabilities(labels=labels, values=tuple(float(p) for p in row))
        for at, row in zip(rows, given, strict=True)
    ]
