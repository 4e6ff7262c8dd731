"""The baselines that always say the same: the most frequent answer, the most frequent report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.models.answers import (
    FILE,
    AnswerTable,
    count_answers,
    not_fitted,
    nothing_to_learn,
    read_weights,
    spellings,
    targets,
    write_weights,
)
from medbench.interfaces import Example, FitEvents
from medbench.types import Generate, Struct, Text


class Majority:
    """Says the most frequent train answer for the kind of question, whatever is asked.

    Answers are counted after stripping and whatever their case, and given in their most frequent spelling; ties go to the
    answer that sorts first. A kind that train does not have falls back to its comma-separated parts, then to all of train.

    Args:
        weights: folder that `fit` wrote; empty: not fitted yet.

    Raises:
        DataError: `weights` is no folder of this model.
    """

    def __init__(self, *, weights: str = "") -> None:
        self._table = read_weights(weights, FILE, AnswerTable) if weights else None
        self._chosen: dict[str, Text] = {}

    def fit(
        self,
        examples: Iterable[Example],
        validation: Iterable[Example],
        out: Path,
        seed: int,
        events: FitEvents | None,
    ) -> Mapping[str, Any]:
        """Count the answers of `examples` into `out` and return what was counted; `validation` is not needed."""
        table = count_answers(examples, seed)
        write_weights(out, FILE, table)
        if events:
            events({"step": table.n_examples, "steps": table.n_examples})
        return _facts(table)

    def generate(self, requests: Sequence[Generate]) -> list[Text]:
        """Return one answer per request, in order."""
        return [self._answer(request.kind) for request in requests]

    def facts(self) -> Mapping[str, Any]:
        """Return how much was counted; no answer, since facts travel with the record and answers may be private."""
        return _facts(self._table) if self._table else {}

    def _answer(self, kind: str) -> Text:
        if self._table is None:
            raise not_fitted("majority")
        if kind not in self._chosen:
            self._chosen[kind] = Text(text=next(iter(spellings(self._table.counts(kind)))), finish_reason="stop")
        return self._chosen[kind]


class CommonReport(Struct):
    """What `MostCommonReport` learns."""

    n_examples: int
    count: int
    """How often the report occurs in train."""
    report: str


class MostCommonReport:
    """Writes the report that occurs most often in train, verbatim; among equally frequent ones the first in sorting order.

    Args:
        weights: folder that `fit` wrote; empty: not fitted yet.

    Raises:
        DataError: `weights` is no folder of this model.
    """

    FILE = "report.json"

    def __init__(self, *, weights: str = "") -> None:
        self._learnt = read_weights(weights, self.FILE, CommonReport) if weights else None

    def fit(
        self,
        examples: Iterable[Example],
        validation: Iterable[Example],
        out: Path,
        seed: int,
        events: FitEvents | None,
    ) -> Mapping[str, Any]:
        """Count the reports of `examples`, leave the most frequent one in `out`, and return how often it occurs."""
        counts = Counter(text for _, text in targets(examples))
        if not counts:
            raise nothing_to_learn()
        report = min(counts, key=lambda text: (-counts[text], text))
        learnt = CommonReport(n_examples=counts.total(), count=counts[report], report=report)
        write_weights(out, self.FILE, learnt)
        if events:
            events({"step": learnt.n_examples, "steps": learnt.n_examples})
        return {"n_examples": learnt.n_examples, "n_reports": len(counts), "count": learnt.count}

    def generate(self, requests: Sequence[Generate]) -> list[Text]:
        """Return the same report for every request."""
        if self._learnt is None:
            raise not_fitted("most-common-report")
        return [Text(text=self._learnt.report, finish_reason="stop")] * len(requests)

    def facts(self) -> Mapping[str, Any]:
        """Return how often the report occurs in train, out of how many."""
        return {"n_examples": self._learnt.n_examples, "count": self._learnt.count} if self._learnt else {}


def _facts(table: AnswerTable) -> dict[str, Any]:
    return {"n_examples": table.n_examples, "n_kinds": len(table.kinds)}
