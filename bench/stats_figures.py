"""How fast the vectorised statistics are beside loops over other libraries, both measured in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from medbench.stats import agreement, classification, paired, ranking
from medbench.stats.bootstrap import draws

Figure = tuple[str, float, str, str, str, bool]
"""Name, value, unit, what it is measured against, bar, whether the bar is met."""

ROWS, LABELS, RESAMPLES, LOOPED = 3000, 14, 1000, 8


def _seconds(work: Callable[[], Any], times: int = 3) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _weights() -> np.ndarray[Any, Any]:
    return next(draws(ROWS, RESAMPLES, seed=0, block=RESAMPLES))


def _labelled() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return truth with 2 to 40 % positives and probabilities of three decimals, so that there are ties."""
    rng = np.random.default_rng(0)
    truth = (rng.random((ROWS, LABELS)) < np.linspace(0.02, 0.4, LABELS)).astype(np.int64)
    return truth, np.round(1 / (1 + np.exp(1 - rng.normal(size=(ROWS, LABELS)) - 1.2 * truth)), 3)


def _faster(name: str, ours: Callable[[], Any], loop: Callable[[], Any], looped: int, bar: float) -> Figure:
    """Return how many times faster `ours`, on all resamples, is than a loop of which `looped` resamples are timed."""
    ratio = _seconds(loop, times=1) / looped * RESAMPLES / _seconds(ours)
    return (
        name,
        round(ratio, 1),
        "x",
        f"scikit-learn in a loop, extrapolated from {looped} of {RESAMPLES} resamples",
        f">= {bar:g}",
        ratio >= bar,
    )


def _areas() -> Figure:
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth, scores = _labelled()
    picks = np.random.default_rng(1).integers(0, ROWS, (LOOPED, ROWS))

    def loop() -> None:
        for rows in picks:
            for label in range(LABELS):
                roc_auc_score(truth[rows, label], scores[rows, label])
                average_precision_score(truth[rows, label], scores[rows, label])

    name = f"bootstrap of AUROC and AUPRC, {LABELS} labels, n = {ROWS}, draws included"
    return _faster(name, lambda: ranking.areas(truth, scores, _weights()), loop, LOOPED, 50.0)


def _decisions() -> Figure:
    from sklearn.metrics import accuracy_score, f1_score

    truth, scores = _labelled()
    decided, weights = (scores > 0.5).astype(np.int64), _weights()
    picks = np.random.default_rng(1).integers(0, ROWS, (40, ROWS))

    def loop() -> None:
        for rows in picks:
            f1_score(truth[rows], decided[rows], average=None, zero_division=0)
            accuracy_score(truth[rows], decided[rows])

    def ours() -> None:
        classification.f1(truth, decided, weights, "none")
        classification.subset_accuracy(truth, decided, weights)

    name = f"bootstrap of F1 and subset accuracy, {LABELS} labels, n = {ROWS}, draws given to both"
    return _faster(name, ours, loop, len(picks), 80.0)


def _kappa() -> Figure:
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    one = rng.integers(1, 6, ROWS)
    other = np.clip(one + rng.integers(-1, 2, ROWS), 1, 5)
    picks, weights = rng.integers(0, ROWS, (100, ROWS)), _weights()

    def loop() -> None:
        for rows in picks:
            cohen_kappa_score(one[rows], other[rows], weights="quadratic", labels=range(1, 6))

    name = f"bootstrap of quadratic kappa, n = {ROWS}, draws given to both"
    ours = lambda: agreement.quadratic_kappa(one, other, range(1, 6), weights)  # noqa: E731 - timed as it stands
    return _faster(name, ours, loop, len(picks), 40.0)


def _sign_flips() -> Figure:
    from scipy.stats import permutation_test

    differences = np.random.default_rng(0).normal(size=ROWS) * 0.5 + 0.005
    options = {"permutation_type": "samples", "vectorized": True, "n_resamples": 9999}
    theirs = _seconds(lambda: permutation_test((differences,), np.mean, **options), times=1)
    ratio = theirs / _seconds(lambda: paired.sign_flip(differences, np.arange(ROWS)))
    return (f"9,999 sign flips, n = {ROWS}", round(ratio, 1), "x", "scipy.stats.permutation_test", ">= 5", ratio >= 5.0)


def _draws() -> Figure:
    seconds = _seconds(lambda: [counts.shape for counts in draws(100_000, RESAMPLES, seed=0, block=16)], times=1)
    return ("1,000 resamples of 100,000 groups", round(seconds, 2), "s", "no other: a budget", "<= 2", seconds <= 2.0)


def figures() -> Iterator[Figure]:
    """Yield one figure after the other; needs scikit-learn and SciPy."""
    for measure in (_draws, _areas, _decisions, _kappa, _sign_flips):
        yield measure()
