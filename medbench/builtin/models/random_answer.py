"""The baseline that guesses: a train answer of the same kind, drawn at random."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from medbench.builtin.models.answers import FILE, AnswerTable, count_answers, not_fitted, read_weights, spellings, write_weights
from medbench.errors import UsageError
from medbench.identity import request_key
from medbench.interfaces import Example, FitEvents
from medbench.types import Generate, Text


class RandomAnswer:
    """Draws a train answer for the kind of question; fallbacks for unknown kinds are those of `majority`.

    The draw is a function of the fit's seed and the request's content alone: neither order nor batch matters, and who asks
    the same again gets the same answer.

    Args:
        weights: folder that `fit` wrote; empty: not fitted yet.
        uniform: whether every distinct answer (whatever its case) is equally likely; otherwise an answer is as likely as it
            is frequent in train.

    Raises:
        UsageError: `uniform` is neither true nor false.
        DataError: `weights` is no folder of this model.
    """

    def __init__(self, *, weights: str = "", uniform: bool = False) -> None:
        if not isinstance(uniform, bool):
            raise UsageError(f"random-answer: uniform = {uniform!r}", hint="allowed: true, false")
        self._uniform = uniform
        self._table = read_weights(weights, FILE, AnswerTable) if weights else None
        self._urns: dict[str, tuple[list[str], list[int]]] = {}

    def fit(
        self,
        examples: Iterable[Example],
        validation: Iterable[Example],
        out: Path,
        seed: int,
        events: FitEvents | None,
    ) -> Mapping[str, Any]:
        """Count the answers of `examples` into `out`, keep `seed` beside them, and return what was counted."""
        table = count_answers(examples, seed)
        write_weights(out, FILE, table)
        if events:
            events({"step": table.n_examples, "steps": table.n_examples})
        return _facts(table)

    def generate(self, requests: Sequence[Generate]) -> list[Text]:
        """Return one answer per request, in order.

        Raises:
            ValueError: a request has an image whose digest is unknown, so its content is unknown too.
        """
        return [self._draw(request) for request in requests]

    def facts(self) -> Mapping[str, Any]:
        """Return how much was counted, and the seed of the draws."""
        return {**_facts(self._table), "seed": self._table.seed} if self._table else {}

    def _draw(self, request: Generate) -> Text:
        if self._table is None:
            raise not_fitted("random-answer")
        answers, ends = self._urn(request.kind)
        # 128 bits of hash over at most millions of balls: the bias of the remainder is nowhere near measurable.
        ball = int(request_key(str(self._table.seed), request), 16) % ends[-1]
        return Text(text=answers[bisect_right(ends, ball)], finish_reason="stop")

    def _urn(self, kind: str) -> tuple[list[str], list[int]]:
        """Return the answers of a kind and, for each, the number of balls up to and with it."""
        if kind not in self._urns and self._table is not None:
            counts = self._table.counts(kind)
            answers = sorted(spellings(counts) if self._uniform else counts)
            self._urns[kind] = (answers, list(accumulate(1 if self._uniform else counts[answer] for answer in answers)))
        return self._urns[kind]


def _facts(table: AnswerTable) -> dict[str, Any]:
    return {"n_examples": table.n_examples, "n_kinds": len(table.kinds)}
