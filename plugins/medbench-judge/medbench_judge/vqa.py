"""`vqa-judge`: is a short answer right? Overall, closed, open, and by question type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from medbench.builtin.metrics.vqa_rules import annotated_closed
from medbench.types import Sample
from medbench_judge import tally
from medbench_judge.rated import Rated
from medbench_judge.rating import Rating


class VqaJudge(Rating):
    """Asks whether an answer matches the reference or is good enough to stand for it: 1 or 0.

    `meta["answer_type"]` (CLOSED or OPEN) and `meta["question_type"]` are used where they are there; a joined type
    (`POS, PRES`) counts for each of its parts, as under the `medbench` convention of the metric `vqa`.
    """

    name: ClassVar[str] = "vqa-judge"

    def _facts(self, sample: Sample) -> dict[str, Any]:
        written = sample.meta.get("question_type", "")
        types = sorted({part.strip().upper() for part in written.split(",")} - {""})
        closed = annotated_closed(sample.meta.get("answer_type", ""), sample.references[0])
        return {"closed": closed, "types": tuple(types)}

    def reduce(self, rows: Sequence[Rated], weights: Any) -> tally.Reduced:
        """Return the share of right answers, overall and of each part, and all that `Rating` gives but the levels."""
        made = super().reduce(rows, weights)
        overall = made.pop("average")
        return {"overall": overall, **{name: value for name, value in made.items() if not name.startswith("level-")}}

    def _more(self, rows: Sequence[Rated], values: tally.Array, weights: Any) -> tally.Reduced:
        return {name: tally.mean(np.where(mask, values, np.nan), weights) for name, mask in self._parts(rows).items()}

    def lacking(self, rows: Sequence[Rated]) -> dict[str, tally.Array]:
        """Return the rows of each part that have no verdict, and what `Rating` gives."""
        open_ = tally.unscored([row.status for row in rows])
        return {**super().lacking(rows), **{name: mask & open_ for name, mask in self._parts(rows).items()}}

    def _parts(self, rows: Sequence[Rated]) -> dict[str, tally.Array]:
        """Return the parts of the samples that have a score of their own, as masks."""
        closed = np.array([bool(row.closed) for row in rows], dtype=bool)
        parts = {"closed": closed, "open": ~closed}
        for name in sorted({one for row in rows for one in row.types}):
            parts[f"type:{name}"] = np.array([name in row.types for row in rows], dtype=bool)
        return parts

    def per_sample(self, rows: Sequence[Rated]) -> dict[str, tally.Array]:
        """Return 1 or 0 for each row, NaN where the judge gave none."""
        made = super().per_sample(rows)
        return {"overall": made.pop("average"), **made}
