"""Any metric of Hugging Face's evaluate library, from a local folder or, online, from the hub."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import UsageError
from medbench.types import Pair, Struct
from medbench_lexical.conventions import raw_texts
from medbench_lexical.weighting import Reduced


class Said(Struct):
    """A prediction and its references: all that a metric of unknown inside can be computed from."""

    prediction: str
    references: tuple[str, ...]


class HfEvaluate:
    """What `evaluate.load(name).compute(predictions, references)` gives, number by number, unchanged and unscaled.

    The library computes on whole corpora only, so resamples are not vectorised: the card says `weighted = False`, and there is
    no interval. Scripts from the hub are code of others, and some of them download more when they run.

    Args:
        convention: Not used: each of these metrics has its own tokens.
        name: What stands behind the colon: a metric of the hub, or a folder with its script.
        compute: Further arguments of `compute`, for example `{"use_aggregator": False}`.
    """

    Row = Said

    def __init__(self, *, convention: Mapping[str, str] | None = None, name: str = "", compute: Mapping[str, Any] | None = None) -> None:
        del convention
        if not name:
            raise UsageError("hf-evaluate: which metric?", hint="hf-evaluate:rouge, or hf-evaluate:FOLDER with its script")
        self._name = name
        self._arguments = dict(compute or {})
        self._loaded: Any = None

    def measure(self, pairs: Sequence[Pair]) -> list[Said]:
        """Return prediction and references of each pair.

        Raises:
            UsageError: the metric cannot be loaded.
        """
        self._metric()
        hypotheses, references = raw_texts(pairs)
        return [Said(prediction=ours, references=tuple(theirs)) for ours, theirs in zip(hypotheses, references, strict=True)]

    def reduce(self, rows: Sequence[Said], weights: Any) -> Reduced:
        """Return each number that `compute` gives, per resample; a row of weight two is given twice."""
        used = np.ones(len(rows), dtype=bool)
        computed = [self._compute([row for row, n in zip(rows, line, strict=True) for _ in range(int(n))]) for line in np.asarray(weights)]
        names = sorted({name for one in computed for name in one})
        return {name: (np.array([one.get(name, np.nan) for one in computed], dtype=np.float64), used) for name in names}

    def signature(self) -> dict[str, Any]:
        """Return the metric's name, and the version of the library."""
        return {"hf-evaluate": Path(self._name).name, "evaluate": import_module("evaluate").__version__, "compute": self._arguments}

    def _compute(self, rows: Sequence[Said]) -> dict[str, float]:
        if not rows:
            return {}
        single = all(len(row.references) == 1 for row in rows)
        references: list[Any] = [row.references[0] for row in rows] if single else [list(row.references) for row in rows]
        made = self._metric().compute(predictions=[row.prediction for row in rows], references=references, **self._arguments)
        return {name: float(value) for name, value in (made or {}).items() if isinstance(value, (int, float, np.number))}

    def _metric(self) -> Any:
        if self._loaded is None:
            self._loaded = load_metric(self._name)
        return self._loaded


def load_metric(name: str) -> Any:
    """Load a metric from a folder, or from the hub.

    Raises:
        UsageError: `evaluate` is not installed, or the metric cannot be had; one line says why.
    """
    try:
        evaluate = import_module("evaluate")
    except ImportError as error:
        raise UsageError("hf-evaluate needs the package evaluate", hint="pip install 'medbench-lexical[hf]'") from error
    local = Path(name).exists()
    try:
        return evaluate.load(name)
    except Exception as error:
        offline = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("HF_EVALUATE_OFFLINE")
        where = "its folder" if local else "the hub, offline" if offline else "the hub"
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(
            f"hf-evaluate:{name} cannot be loaded from {where}: {reason}",
            hint="some metrics download code or models when they load; a folder with the metric's script works offline: hf-evaluate:FOLDER",
        ) from error
