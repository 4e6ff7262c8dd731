"""Prompts of classes and of findings, and what a model's vectors of them say about an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from medbench.builtin.protocols.embedding import Array, Temperature, sigmoid, unit

Ensemble = Literal["single", "ensemble-embeddings", "ensemble-probabilities"]
"""One prompt of each label; the mean of its prompts' vectors; the mean of the probabilities under each prompt."""

PRESENT = (
    "Findings consistent with {label}",
    "Findings suggesting {label}",
    "This opacity can represent {label}",
    "Findings are most compatible with {label}",
)
ABSENT = ("There is no {label}", "No evidence of {label}", "No evidence of acute {label}", "No signs of {label}")
"""The prompts that BioViL was evaluated with (Boecking et al., ECCV 2022, arXiv 2204.09817), with a finding's name in braces."""

NORMAL = ("No acute cardiopulmonary process", "The lungs are clear", "No abnormal findings")
ABNORMAL = ("Acute cardiopulmonary process", "Findings consistent with disease", "There are abnormal findings")
NORMAL_LABELS = ("No Finding", "normal")
"""Labels that say that there is nothing: "findings consistent with no finding" is no sentence."""


class Prompts(NamedTuple):
    """What is said of one label."""

    present: tuple[str, ...]
    absent: tuple[str, ...] = ()
    """Empty: the label is one of several classes that exclude each other."""


def finding_prompts(label: str, present: Mapping[str, Sequence[str]], absent: Mapping[str, Sequence[str]]) -> Prompts:
    """Return what is said where a finding is there and where it is not: as stated for it, else the general prompts.

    >>> finding_prompts("Pleural Effusion", {}, {"Pleural Effusion": ["clear angles"]})[1]
    ('clear angles',)
    >>> finding_prompts("Pleural Effusion", {}, {}).present[0]
    'Findings consistent with pleural effusion'
    """
    said, denied = (NORMAL, ABNORMAL) if label in NORMAL_LABELS else (PRESENT, ABSENT)
    named = label.replace("_", " ").lower()
    return Prompts(
        tuple(prompt.replace("{label}", named) for prompt in present.get(label, said)),
        tuple(prompt.replace("{label}", named) for prompt in absent.get(label, denied)),
    )


def class_probabilities(images: Array, prompts: Sequence[Array], how: Ensemble, mean_of: str, heat: Temperature) -> Array:
    """Return the probability of each class, (images, classes).

    The mean of probabilities is taken over the prompts of each class after a softmax over all prompts of all classes, and
    brought to a sum of 1; a class may so have more prompts than another.

    Args:
        images: Unit vectors, (images, dimensions).
        prompts: For each class the vectors of its prompts as the model gives them, (prompts, dimensions).
        how: How several prompts become one.
        mean_of: `unit` or `raw` vectors are averaged.
        heat: What turns cosines into probabilities.
    """
    if how != "ensemble-probabilities":
        return heat.probabilities(images @ np.stack([_one(vectors, how, mean_of) for vectors in prompts]).T)
    counts = [len(vectors) for vectors in prompts]
    each = heat.probabilities(images @ unit(np.concatenate(list(prompts))).T)
    starts = np.cumsum([0, *counts[:-1]])
    means = np.add.reduceat(each, starts, axis=1) / np.array(counts)
    return np.asarray(means / means.sum(axis=1, keepdims=True) if heat.bias is None else means)


def finding_probabilities(images: Array, present: Array, absent: Array, how: Ensemble, mean_of: str, heat: Temperature) -> Array:
    """Return the probability that a finding is there, (images,): a softmax over what is said if it is and if it is not.

    Args:
        images: Unit vectors, (images, dimensions).
        present: Vectors of what is said where it is there, as the model gives them, (prompts, dimensions).
        absent: The same where it is not.
        how: How several prompts become one; the mean of probabilities is over all pairs of a prompt of either kind.
        mean_of: `unit` or `raw` vectors are averaged.
        heat: What turns cosines into probabilities; a bias cancels out.
    """
    if how != "ensemble-probabilities":
        return sigmoid(heat.scale * (images @ (_one(present, how, mean_of) - _one(absent, how, mean_of))).astype(np.float64))
    said, denied = images @ unit(present).T, images @ unit(absent).T
    apart = said[:, :, None].astype(np.float64) - denied[:, None, :]
    return np.asarray(sigmoid(heat.scale * apart).mean(axis=(1, 2)))


def _one(vectors: Array, how: Ensemble, mean_of: str) -> Array:
    """Return the unit vector that stands for several prompts."""
    if how == "single":
        return np.asarray(unit(vectors[:1])[0])
    together = unit(vectors) if mean_of == "unit" else vectors
    return np.asarray(unit(together.mean(axis=0, keepdims=True))[0])
