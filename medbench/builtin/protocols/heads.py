"""Heads on frozen vectors: scikit-learn's, with their one hyper-parameter chosen inside the examples they get."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from medbench.builtin.protocols.embedding import Array
from medbench.identity import hash_order

Head = Literal["logistic", "mlp"]

STRENGTHS: dict[Head, tuple[float, ...]] = {"logistic": (1e-4, 1e-3, 1e-2, 1e-1, 1.0), "mlp": (1e-4, 1e-2, 1.0)}
"""What is chosen among: C of the logistic regression, alpha (L2) of the network."""
UNCHOSEN: dict[Head, float] = {"logistic": 1e-1, "mlp": 1e-2}
"""Where too few examples are there to choose."""
HIDDEN = (128, 64)
"""Two dense ReLU layers under a logistic output, as in the small CLIP's report, which leaves their widths open."""
EPOCHS = 100
FOLDS = 3
ONE_FOLD = 400
"""From so many examples on, one held-out third chooses as well as three."""


def fit_predict(head: Head, seen: Array, truth: Array, asked: Array, *, exclusive: bool, groups: Sequence[str], seed: int) -> Array:
    """Return the probability of each label for each vector that is asked about, (asked, labels).

    Vectors are standardised by the examples alone. A label of which the examples know one kind only gets its smoothed share.

    Args:
        head: `logistic` or `mlp`.
        seen: Vectors of the examples, (examples, dimensions).
        truth: 1, 0 or NaN (not known: the example does not count for this label), (examples, labels).
        asked: Vectors, (asked, dimensions).
        exclusive: Whether each example has exactly one of the labels: one head tells them apart, instead of one for each.
        groups: Group of each example: none is on both sides of the inner validation.
        seed: Seed of the folds and of the network's first weights.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - a requirement of scikit-learn

    with threadpool_limits(limits=1):  # sums in one order whatever the number of cores, and threads cost more than they save here
        return _all_labels(head, seen, truth, asked, exclusive=exclusive, fold=_folds(groups, seed), seed=seed)


def _all_labels(head: Head, seen: Array, truth: Array, asked: Array, *, exclusive: bool, fold: Array, seed: int) -> Array:
    seen, asked = _standardised(seen, asked)
    if head == "logistic" and len(seen) < seen.shape[1]:
        seen, asked = _within_span(seen, asked)  # a penalty on the length of the weights leaves them in the examples' span
    if exclusive:
        return _one_head(head, seen, truth.argmax(axis=1), asked, truth.shape[1], fold, seed)
    made = np.empty((len(asked), truth.shape[1]))
    for label in range(truth.shape[1]):
        known = ~np.isnan(truth[:, label])
        kinds = truth[known, label].astype(np.int64)
        made[:, label] = _one_head(head, seen[known], kinds, asked, 2, fold[known], seed)[:, 1]
    return made


def _one_head(head: Head, seen: Array, kinds: Array, asked: Array, n_kinds: int, fold: Array, seed: int) -> Array:
    """Return the probability of each kind, (asked, kinds)."""
    present = np.unique(kinds)
    if len(present) < 2:
        shares = (np.bincount(kinds, minlength=n_kinds) + 1.0) / (len(kinds) + n_kinds)
        return np.tile(shares, (len(asked), 1))
    strength = _chosen(head, seen, kinds, fold, seed)
    return _fitted(head, strength, seen, kinds, asked, n_kinds, seed)


def _chosen(head: Head, seen: Array, kinds: Array, fold: Array, seed: int) -> float:
    """Return the strength with the lowest log loss on held-out examples; of equals, the one that binds most."""
    splits = []
    for held in range(1 if len(seen) >= ONE_FOLD else FOLDS):
        inside, outside = fold != held, fold == held
        if outside.any() and set(kinds[outside]) <= set(kinds[inside]) and len(set(kinds[inside])) > 1:
            splits.append((inside, outside))
    if not splits:
        return UNCHOSEN[head]
    losses: dict[float, float] = {}
    for strength in STRENGTHS[head]:
        total = 0.0
        for inside, outside in splits:
            given = _fitted(head, strength, seen[inside], kinds[inside], seen[outside], int(kinds.max()) + 1, seed)
            right = given[np.arange(len(given)), kinds[outside]]
            total -= float(np.log(np.clip(right, 1e-7, 1.0)).mean())
        losses[strength] = total
    binding = sorted(losses, reverse=head == "mlp")  # a small C binds, and so does a large alpha
    return min(binding, key=losses.__getitem__)


def _fitted(head: Head, strength: float, seen: Array, kinds: Array, asked: Array, n_kinds: int, seed: int) -> Array:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - of the extra `probe`

    model = _model(head, strength, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of steps is part of what a head is
        model.fit(seen, kinds)
    made = np.zeros((len(asked), n_kinds))
    made[:, model.classes_] = model.predict_proba(asked)
    return made


def _model(head: Head, strength: float, seed: int) -> Any:
    if head == "logistic":
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - of the extra `probe`

        return LogisticRegression(C=strength, max_iter=500)
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415 - of the extra `probe`

    return MLPClassifier(hidden_layer_sizes=HIDDEN, alpha=strength, max_iter=EPOCHS, random_state=seed % 2**32)


def _folds(groups: Sequence[str], seed: int) -> Array:
    """Return the fold of each example: groups dealt out in the order of their hashes."""
    order = hash_order({f"{seed}\0{group}" for group in groups})
    dealt = {name.partition("\0")[2]: place % FOLDS for place, name in enumerate(order)}
    return np.array([dealt[group] for group in groups], dtype=np.int64)


def _standardised(seen: Array, asked: Array) -> tuple[Array, Array]:
    """Return both with mean 0 and deviation 1 over the examples; a dimension that never varies there is 0 in both."""
    seen, asked = seen.astype(np.float64), asked.astype(np.float64)
    mean, spread = seen.mean(axis=0), seen.std(axis=0)
    varies = spread > 1e-7 * np.maximum(np.abs(mean), spread.max(initial=0.0))
    scale = np.where(varies, spread, np.inf)
    return (seen - mean) / scale, (asked - mean) / scale


def _within_span(seen: Array, asked: Array) -> tuple[Array, Array]:
    """Return both in coordinates of the span of the examples, at most as many as there are examples."""
    _, lengths, axes = np.linalg.svd(seen, full_matrices=False)
    axes = axes[lengths > 1e-9 * lengths.max(initial=1e-9)]
    if not len(axes):
        return seen[:, :1], asked[:, :1]
    return seen @ axes.T, asked @ axes.T
