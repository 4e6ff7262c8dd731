"""What a metric's card promises, tried out: rows in order, weights that count, names and ranges that are declared."""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import GeneratorType
from typing import Any

import msgspec
import numpy as np

from medbench.cards import MetricCard
from medbench.measuring import take
from medbench.options import convert_options
from medbench.registry import load
from medbench.types import Output, Pair, Request, Text

Ask = Callable[[str, list[Request]], list[Output]]
Array = np.ndarray[Any, np.dtype[Any]]
Values = dict[str, Array]

RESAMPLES = 5
_CLOSE = 1e-9


def check_metric(
    card: MetricCard,
    pairs: Sequence[Pair],
    *,
    convention: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    ask: Ask | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Try out what a metric promises on real pairs, and return its values for them, NaN where undefined.

    Args:
        card: The metric's card.
        pairs: At least three, none of them failed; they should reach every score of the metric.
        convention: Family -> name; the default of each family when left out.
        options: The metric's own options; for a convention of `train_conventions`, `train_references` among them.
        ask: Answers (role, requests) for a metric that asks a second model.
        seed: Seed of the permutation and of the weights that are tried.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    assert len(pairs) >= 3, "give three pairs or more: orders and weights are tried"
    trial = _Trial(card, convention, options, ask)
    rows = trial.measure(pairs)
    kept = trial.kept(rows)
    values = trial.reduce(rows, np.ones((1, len(pairs))))
    trial.names_and_ranges(values)
    trial.same(trial.reduce(kept, np.ones((1, len(pairs)))), values, "rows that were kept and read back")
    trial.order_is_nothing(pairs, rows, seed)
    if card.weighted:
        trial.weights_count(rows, seed)
        trial.no_weight_is_no_number(rows)
    trial.per_sample_and_flags(rows, values)
    if "text" in card.takes and ask is None:
        trial.empty_answers_are_worst(pairs)
    return {name: float(value[0]) for name, value in values.items()}


class _Trial:
    """A metric under one convention, and what is tried with it."""

    def __init__(self, card: MetricCard, convention: Mapping[str, str] | None, options: Mapping[str, Any] | None, ask: Ask | None) -> None:
        self.card = card
        self._ask = ask
        default = {family: names[0] for family, names in card.conventions.items()}
        made, problems = load(card), []  # type: ignore[var-annotated]
        given = convert_options(made, dict(options or {}), card.name, problems)
        assert not problems, f"{card.name}: {problems[0].message}"
        self.metric = made(convention={**default, **(convention or {})}, **given)

    def measure(self, pairs: Sequence[Pair]) -> Any:
        made = self.metric.measure(pairs)
        if isinstance(made, GeneratorType):
            made = self._converse(made)
        assert len(made) == len(pairs), f"{self.card.name}: {len(made)} rows for {len(pairs)} pairs"
        return made

    def _converse(self, asking: Any) -> Any:
        assert self.card.asks, f"{self.card.name}: measure asks a second model, its card names no role in `asks`"
        assert self._ask, f"{self.card.name}: it asks a second model; give `ask`"
        reply = None
        while True:
            try:
                role, requests = asking.send(reply)
            except StopIteration as done:
                return done.value
            assert role in self.card.asks, f"{self.card.name}: it asks for the role {role!r}, its card names {', '.join(self.card.asks)}"
            reply = self._ask(role, requests)

    def reduce(self, rows: Any, weights: Array) -> Values:
        """Return name -> values of shape (resamples,), after checking shapes; a warning on the way is a failure."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                reduced = self.metric.reduce(rows, weights)
            except Warning as error:
                raise AssertionError(f"{self.card.name}: reduce warns: {error}") from error
        made: Values = {}
        for name, (values, used) in reduced.items():
            made[name] = np.asarray(values, dtype=np.float64)
            assert made[name].shape == (len(weights),), (
                f"{self.card.name}: {name} has shape {made[name].shape} for {len(weights)} resamples"
            )
            mask = np.asarray(used)
            if mask.dtype == bool:
                assert mask.shape == (len(rows),), f"{self.card.name}: used of {name} has shape {mask.shape} for {len(rows)} rows"
            else:
                assert mask.shape == (), f"{self.card.name}: used of {name} is neither a mask over rows nor a number"
                assert 0 <= int(mask) <= len(rows), f"{self.card.name}: {name} uses {int(mask)} of {len(rows)} rows"
        return made

    def names_and_ranges(self, values: Values) -> None:
        assert values, f"{self.card.name}: reduce gives no score"
        for name, value in values.items():
            declared = name in self.card.scores or any(p.endswith("*") and name.startswith(p[:-1]) for p in self.card.scores)
            assert declared, f"{self.card.name}: {name} is not declared on its card ({', '.join(self.card.scores)})"
            facts = self.card.facts(name)
            for number in value[~np.isnan(value)]:
                low, high = facts.low if facts.low is not None else -np.inf, facts.high if facts.high is not None else np.inf
                assert low - _CLOSE <= number <= high + _CLOSE, f"{self.card.name}: {name} is {number}, outside {low}..{high}"

    def kept(self, rows: Any) -> Any:
        """Return rows as they come back from the disk, where they are kept before they are reduced again."""
        row = getattr(self.metric, "Row", None)
        if row is not None:
            return msgspec.json.decode(msgspec.json.encode(rows), type=list[row])  # type: ignore[valid-type]  # known only at run time
        buffer = io.BytesIO()
        try:
            np.save(buffer, rows, allow_pickle=False)
        except ValueError as error:
            raise AssertionError(f"{self.card.name}: rows hold Python objects; give the metric a `Row` struct") from error
        buffer.seek(0)
        return np.load(buffer, allow_pickle=False)

    def order_is_nothing(self, pairs: Sequence[Pair], rows: Any, seed: int) -> None:
        """Pairs in another order give the same rows in that order: with weights, so that rows cannot change places unseen."""
        order = list(range(len(pairs)))
        random.Random(seed).shuffle(order)  # noqa: S311 - a trial, no secret
        mixed = self.measure([pairs[i] for i in order])
        weights = np.random.default_rng(seed).integers(0, 4, size=(RESAMPLES, len(pairs))).astype(np.float64)
        for counts in weights if self.card.weighted else np.ones((1, len(pairs))):
            self.same(self.reduce(mixed, counts[None, order]), self.reduce(rows, counts[None, :]), "the pairs in another order")

    def weights_count(self, rows: Any, seed: int) -> None:
        """A row of weight k counts as k rows, and a block gives what each of its resamples gives."""
        weights = np.random.default_rng(seed).integers(0, 4, size=(RESAMPLES, len(rows))).astype(np.float64)
        block = self.reduce(rows, weights)
        for number, counts in enumerate(weights):
            repeated = take(rows, np.repeat(np.arange(len(rows)), counts.astype(np.int64)))
            one = {name: value[number : number + 1] for name, value in block.items()}
            if len(repeated):
                self.same(one, self.reduce(repeated, np.ones((1, len(repeated)))), "weights against repeated rows")
            self.same(one, self.reduce(rows, counts[None, :]), "a block against one resample")

    def no_weight_is_no_number(self, rows: Any) -> None:
        for name, value in self.reduce(rows, np.zeros((2, len(rows)))).items():
            assert np.isnan(value).all(), f"{self.card.name}: {name} is {value[0]} when no row has a weight, not NaN"

    def per_sample_and_flags(self, rows: Any, values: Values) -> None:
        for name, column in (self.metric.per_sample(rows) if hasattr(self.metric, "per_sample") else {}).items():
            assert len(column) == len(rows), f"{self.card.name}: per_sample gives {len(column)} values of {name} for {len(rows)} rows"
            assert name in values, f"{self.card.name}: per_sample gives {name}, which is no score of reduce"
        for name, mask in (self.metric.flags(rows) if hasattr(self.metric, "flags") else {}).items():
            assert name in {"unparsable", "unscored"}, f"{self.card.name}: flags gives {name}; only unparsable and unscored are known"
            assert np.asarray(mask).dtype == bool, f"{self.card.name}: the flag {name} is no boolean mask"
            assert np.asarray(mask).shape == (len(rows),), f"{self.card.name}: the flag {name} has another length than the rows"
        signature = self.metric.signature() if hasattr(self.metric, "signature") else {}
        try:
            msgspec.json.encode(msgspec.to_builtins(dict(signature)))
        except (TypeError, msgspec.MsgspecError) as error:
            raise AssertionError(f"{self.card.name}: signature() must be plain data: {error}") from error

    def empty_answers_are_worst(self, pairs: Sequence[Pair]) -> None:
        """Failed samples are measured as empty texts for `worst_case`: where a worst value is declared, that is what they get."""
        empty = self.measure([Pair(pair.sample, Text(text="")) for pair in pairs])
        for name, value in self.reduce(empty, np.ones((1, len(pairs)))).items():
            worst = self.card.facts(name).worst
            fits = worst is None or np.isnan(value[0]) or abs(value[0] - worst) <= _CLOSE
            assert fits, f"{self.card.name}: {name} is {value[0]} when every answer is empty, its card says worst={worst}"

    def same(self, one: Values, other: Values, what: str) -> None:
        for name, left, right in _matched(one, other):
            close = np.isclose(left, right, rtol=1e-7, atol=_CLOSE, equal_nan=True)
            assert close, f"{self.card.name}: {name} is {left} and {right}: {what}"


def _matched(one: Values, other: Values) -> Iterator[tuple[str, float, float]]:
    """Yield each score of two reductions; a name that one of them lacks is undefined there."""
    for name in sorted(one.keys() | other.keys()):
        left, right = (side[name][0] if name in side else float("nan") for side in (one, other))
        yield name, float(left), float(right)
