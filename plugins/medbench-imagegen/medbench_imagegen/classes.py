"""Scores on class probabilities: the Inception Score, and the number of the MEDVQA-GI 2024 organisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import UsageError
from medbench.interfaces import Reals
from medbench.types import Pair
from medbench_imagegen.distances import LARGEST_PART
from medbench_imagegen.features import black_ones, drawn_files, real_files
from medbench_imagegen.frechet import frechet_distance
from medbench_imagegen.networks import INCEPTION, Inception, digest_of_file, find_weights, load_script
from medbench_imagegen.pictures import open_picture

Array = np.ndarray[Any, np.dtype[Any]]
Rows = Mapping[str, Any]

SPLITS = 10
BATCH = 32
SIDE = 299


def inception_score(probabilities: Array, splits: int = SPLITS) -> float:
    """Return the mean over splits of exp(mean KL(p(y|x) || p(y))); NaN with fewer pictures than splits.

    Args:
        probabilities: Shape (n, classes), rows sum to 1.
        splits: Parts of equal size, in order.

    Source: Salimans et al., NeurIPS 2016.
    """
    if len(probabilities) < splits:
        return float("nan")
    scores = []
    for part in np.array_split(np.asarray(probabilities, dtype=np.float64), splits):
        p = np.clip(part, 1e-16, None)
        scores.append(np.exp((p * (np.log(p) - np.log(p.mean(axis=0)))).sum(axis=1).mean()))
    return float(np.mean(scores))


class InceptionScore:
    """The Inception Score, from Inception's own weights; the real pictures do not enter.

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
        """Return class probabilities of the drawn pictures, in order of their digests so that splits depend on nothing else."""
        paths, digests = drawn_files(pairs)
        made = [self._network.probabilities([open_picture(path) for path in paths[at : at + BATCH]]) for at in range(0, len(paths), BATCH)]
        rank = np.argsort(np.argsort(np.array(digests), kind="stable"), kind="stable")
        return {"drawn": np.concatenate(made), "rank": rank, "real": np.zeros(len(reals.evaluated)), "black": black_ones(paths)}

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return `is`."""
        del real
        order = drawn[np.argsort(rows["rank"][drawn], kind="stable")]
        return {"is": inception_score(rows["drawn"][order])}

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return a warning of few pictures."""
        del rows, real
        few = len(drawn) < 5_000
        return {
            "is": f"{len(drawn):,} pictures: far below the 50,000 it is defined on; its classes are photographs of things" if few else ""
        }

    def flags(self, rows: Rows) -> Mapping[str, Any]:
        """Return which drawn pictures are black."""
        return {"empty": rows["black"]}

    def signature(self) -> Mapping[str, Any]:
        """Return which network it was."""
        return {"network": self.identity, "splits": SPLITS}


class MedvqaGi2024:
    """What the organisers of MEDVQA-GI 2024 printed as FID and IS, reproduced with its two peculiarities.

    Means and covariances are those of 1,000 class probabilities, not of features, and pictures are brought to 299 x 299 by
    repeating or cutting their buffer (`numpy.resize`), which resizes nothing.

    Args:
        convention: Unused.
        weights: TorchScript of the ImageNet Inception v3 of Keras, with top: from (n, 3, 299, 299) in -1 to 1 to (n, 1000)
            probabilities. No package ships it; without it nothing is computed.

    Raises:
        UsageError: the weights are not named.
    """

    def __init__(self, convention: Mapping[str, str] | None = None, *, weights: str = "") -> None:
        del convention
        if not weights:
            hint = "--metric-option fid-medvqagi2024.weights=FILE: Keras' Inception v3 with top, as TorchScript"
            raise UsageError("the organisers' number needs the ImageNet classifier of Keras", hint=hint)
        path = Path(weights).expanduser()
        if not path.is_file():
            raise UsageError(f"{path}: no such file", hint="TorchScript of Keras' Inception v3 with top")
        self._path = path
        self.identity = f"keras-{digest_of_file(path)}"

    def measure(self, pairs: Sequence[Pair], reals: Reals) -> Rows:
        """Return class probabilities: `drawn` (n, 1000), `real` (m, 1000)."""
        import torch

        classifier = load_script(self._path, "Keras' Inception v3 with top, as TorchScript")
        paths = drawn_files(pairs)[0]

        def probabilities(files: Sequence[str]) -> Array:
            parts = []
            for at in range(0, len(files), BATCH):
                batch = np.stack([np.resize(open_picture(path), (SIDE, SIDE, 3)) for path in files[at : at + BATCH]])
                with torch.inference_mode():
                    parts.append(classifier(torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1).double().numpy())
            return np.concatenate(parts)

        return {"drawn": probabilities(paths), "real": probabilities(real_files(reals)[0]), "black": black_ones(paths)}

    def reduce_sets(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, float]:
        """Return `fid-medvqagi2024` and `is-medvqagi2024`."""
        x, y = rows["drawn"][drawn], rows["real"][real]
        distance = frechet_distance(x, y) if min(len(x), len(y)) > 1 else float("nan")
        return {"fid-medvqagi2024": distance, "is-medvqagi2024": inception_score(x)}

    def fraction(self, rows: Rows) -> float:
        """Return how large a part of both sets a sub-sample takes."""
        return min(0.5, LARGEST_PART / min(len(rows["drawn"]), len(rows["real"])))

    def notes(self, rows: Rows, drawn: Array, real: Array) -> Mapping[str, str]:
        """Return that this is no FID."""
        del rows, drawn, real
        return {"fid-medvqagi2024": "class probabilities of buffers cut to size: compares with the organisers' table alone"}

    def flags(self, rows: Rows) -> Mapping[str, Any]:
        """Return which drawn pictures are black."""
        return {"empty": rows["black"]}

    def signature(self) -> Mapping[str, Any]:
        """Return which network it was."""
        return {"network": self.identity}
