"""Scores on class probabilities: the Inception Score, and the number of the MEDVQA-GI 2024 organisers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import UsageError
from medbench.interfaces import Reals
from medbench.types import Pair
from medbench_imagegen.features import drawn_files, features_of, real_files
from medbench_imagegen.frechet import frechet_distance
from medbench_imagegen.networks import INCEPTION, Inception, digest_of_file, find_weights, load_script
from medbench_imagegen.pictures import open_buffer
from medbench_imagegen.sets import PictureSets, Rows, measured

Array = np.ndarray[Any, np.dtype[Any]]

SPLITS = 10
SIDE = 299
FEW = 5_000
KERAS = "Keras' Inception v3 with top, as TorchScript"
KERAS_VARIABLE = "MEDBENCH_KERAS_INCEPTION"


def inception_scores(probabilities: Array, splits: int = SPLITS) -> Array:
    """Return exp(mean KL(p(y|x) || p(y))) of each split; empty with fewer pictures than splits.

    Args:
        probabilities: Shape (n, classes), rows sum to 1.
        splits: Parts of equal size, in order; what remains after the last is left out, as in the organisers' program.

    Source: Salimans et al., NeurIPS 2016.
    """
    size = len(probabilities) // splits
    if not size:
        return np.empty(0)
    p = np.asarray(probabilities[: size * splits], dtype=np.float64).reshape(splits, size, -1)
    divergence = p * (np.log(p + 1e-16) - np.log(p.mean(axis=1, keepdims=True) + 1e-16))
    scores: Array = np.exp(divergence.sum(axis=2).mean(axis=1))
    return scores


def _mean(scores: Array) -> float:
    return float(scores.mean()) if len(scores) else float("nan")


class _InceptionClasses:
    """Class probabilities of Inception in the place of its features: kept like them."""

    name = "is"

    def __init__(self, network: Inception) -> None:
        self.identity = f"{network.identity}-classes"
        self.features = network.probabilities


class InceptionScore(PictureSets):
    """The Inception Score, from Inception's own weights; what the real pictures have stands beside it.

    Args:
        convention: Unused.
        weights: `inception-2015-12-05.pt`; empty: by the environment.

    Raises:
        UsageError: the weights are not at hand.
    """

    def __init__(self, convention: Mapping[str, str] | None = None, *, weights: str = "") -> None:
        del convention
        path = find_weights(weights, INCEPTION)
        assert path is not None
        self._network = Inception(path)
        self.identity = self._network.identity

    def measure(self, pairs: Sequence[Pair], reals: Reals) -> Rows:
        """Return class probabilities: `drawn` (n, 1008), `real` (m, 1008); and the order of files by digest, for the splits."""
        network = _InceptionClasses(self._network)
        drawn, real = drawn_files(pairs), real_files(reals)
        return {
            **measured(pairs, reals),
            "drawn": features_of(*drawn, network),
            "real": features_of(*real, network),
            "rank": _ranks(drawn[1]),
            "real_rank": _ranks(real[1]),
        }

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return `is`."""
        del real
        return {"is": _mean(inception_scores(rows["drawn"][_ordered(drawn, rows["rank"])]))}

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return the score of as many real pictures, and a warning of few."""
        size = min(len(drawn), len(real))
        sides = (rows["real"][_ordered(real, rows["real_rank"])[:size]], rows["drawn"][_ordered(drawn, rows["rank"])[:size]])
        of_real, of_drawn = (_mean(inception_scores(side)) for side in sides)
        few = f"{len(drawn):,} pictures: far below the 50,000 it is defined on; its classes are photographs of things"
        beside = f"of {size:,} pictures each: real {of_real:.3g}, drawn {of_drawn:.3g}" if np.isfinite([of_real, of_drawn]).all() else ""
        return {"is": "; ".join(filter(None, (self.unusual(rows, drawn), few if len(drawn) < FEW else "", beside)))}

    def signature(self) -> Mapping[str, Any]:
        """Return which network it was."""
        return {**super().signature(), "splits": SPLITS}


def _ranks(digests: Sequence[str]) -> Array:
    return np.argsort(np.argsort(np.array(digests), kind="stable"), kind="stable")


def _ordered(chosen: Array, rank: Array) -> Array:
    ordered: Array = chosen[np.argsort(rank[chosen], kind="stable")]
    return ordered


class _KerasClasses:
    """The organisers' classifier on buffers cut or repeated to size (`numpy.resize`), which resizes nothing."""

    name = "medvqagi2024"

    def __init__(self, path: Path) -> None:
        self.identity = f"keras-{digest_of_file(path)}"
        self._path = path
        self._classifier: Any = None

    @staticmethod
    def open(path: str) -> Array:
        """Return the first 299 x 299 x 3 values of a picture's buffer, grey and transparent ones as their files have them."""
        return np.resize(open_buffer(path), (SIDE, SIDE, 3))

    def features(self, pictures: Sequence[Array]) -> Array:
        """Return class probabilities, shape (n, 1000)."""
        import torch

        if self._classifier is None:
            self._classifier = load_script(self._path, KERAS)
        batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode():
            made: Array = self._classifier(batch).float().numpy()
        if made.ndim != 2 or abs(float(made.sum(axis=1).mean()) - 1) > 1e-2:
            raise UsageError(f"{self._path}: does not give class probabilities", hint=f"expected {KERAS}")
        return made


class MedvqaGi2024(PictureSets):
    """What the organisers of MEDVQA-GI 2024 printed as FID and IS, reproduced with its peculiarities.

    Means and covariances are those of 1,000 class probabilities, not of features, and pictures are brought to 299 x 299 by
    repeating or cutting their buffer. Their splits follow the order in which a disk lists files, ours that of the samples; their
    matrix root of a singular product is off by about 1e-5, ours is exact.

    Args:
        convention: Unused.
        weights: TorchScript of the ImageNet Inception v3 of Keras, with top: from (n, 3, 299, 299) in -1 to 1 to (n, 1000)
            probabilities; empty: by the environment. No package ships it; without it nothing is computed.

    Raises:
        UsageError: the weights are not named.
    """

    def __init__(self, convention: Mapping[str, str] | None = None, *, weights: str = "") -> None:
        del convention
        named = weights or os.environ.get(KERAS_VARIABLE, "")
        if not named:
            hint = f"{KERAS_VARIABLE}=FILE, or --metric-option fid-medvqagi2024.weights=FILE: {KERAS} (never downloaded)"
            raise UsageError("the organisers' number needs the ImageNet classifier of Keras", hint=hint)
        path = Path(named).expanduser()
        if not path.is_file():
            raise UsageError(f"{path}: no such file", hint=KERAS)
        self._network = _KerasClasses(path)
        self.identity = self._network.identity

    def measure(self, pairs: Sequence[Pair], reals: Reals) -> Rows:
        """Return class probabilities: `drawn` (n, 1000), `real` (m, 1000)."""
        drawn, real = (features_of(*files, self._network) for files in (drawn_files(pairs), real_files(reals)))
        return {**measured(pairs, reals), "drawn": drawn, "real": real}

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return `fid-medvqagi2024` and `is-medvqagi2024`."""
        x, y = rows["drawn"][drawn], rows["real"][real]
        distance = frechet_distance(x, y) if min(len(x), len(y)) > 1 else float("nan")
        return {"fid-medvqagi2024": distance, "is-medvqagi2024": _mean(inception_scores(x))}

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return that this is no FID, what two halves of the real set are apart, and the splits of the other number."""
        y = rows["real"][np.random.default_rng(0).permutation(real)]
        half = len(y) // 2
        floor = f"; two halves of the real set, {half:,} each: {frechet_distance(y[:half], y[half:]):.3g}" if half > 1 else ""
        said = {"fid-medvqagi2024": f"class probabilities of buffers cut to size: compares with the organisers' table alone{floor}"}
        scores = inception_scores(rows["drawn"][drawn])
        if len(scores):
            said["is-medvqagi2024"] = f"over {SPLITS} splits: standard deviation {scores.std():.3g}, median {np.median(scores):.3g}"
        if unusual := self.unusual(rows, drawn):
            said["fid-medvqagi2024"] += f"; {unusual}"
        return said
