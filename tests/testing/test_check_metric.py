"""The check of metrics finds what is broken and says so."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from medbench.cards import MetricCard, ScoreFacts
from medbench.testing import check_metric
from medbench.types import Generate, Pair, Sample, Struct, Text

PAIRS = [
    Pair(Sample(id=f"s{n}", group="g", split="test", references=(reference,)), Text(text=answer))
    for n, (reference, answer) in enumerate([("a", "a"), ("b", "x"), ("c", "c"), ("d", "d"), ("e", "y")])
]


def mean(weights, values):
    total = weights.sum(axis=1)
    return np.divide(weights @ values, total, out=np.full(len(weights), np.nan), where=total > 0)


class Good:
    """Exact match."""

    def __init__(self, convention=None): ...

    def measure(self, pairs):
        return np.array([[float(pair.value.text == pair.sample.references[0])] for pair in pairs])

    def reduce(self, rows, weights):
        return {"right": (mean(weights, rows[:, 0]), np.ones(len(rows), bool))}

    def flags(self, rows):
        return {"unparsable": rows[:, 0] < 0}

    def per_sample(self, rows):
        return {"right": rows[:, 0]}


def check(made, pairs=PAIRS, **fields):
    globals()["Made"] = made
    ask = fields.pop("ask", None)
    given = {"takes": ("text",), "scores": {"right": ScoreFacts(worst=0.0)}, **fields}
    return check_metric(MetricCard(name="m", load=f"{__name__}:Made", **given), pairs, ask=ask)


def having(**methods):
    return type("Having", (Good,), methods)


def test_a_good_metric_passes_and_its_values_come_back():
    assert check(Good) == {"right": pytest.approx(0.6)}


def test_the_built_in_metric_passes_under_every_rule(registry):
    card = registry.get(MetricCard, "vqa")
    sample = {"answer_type": "CLOSED", "question_type": "PRES"}
    pairs = [
        Pair(
            Sample(id=str(n), group="g", split="test", references=(truth,), meta=sample if n % 2 else {"answer_type": "OPEN"}),
            Text(text=text),
        )
        for n, (truth, text) in enumerate(
            [("liver", "the liver"), ("yes", "yes"), ("left lung", "lung"), ("no", "yes"), ("ct", ""), ("no", "?")]
        )
    ]
    for convention in card.conventions["vqa"]:
        values = check_metric(card, pairs, convention={"vqa": convention})
        assert values["closed"] == pytest.approx(1 / 3)


def warned(self, rows, weights):
    warnings.warn("zero", RuntimeWarning, stacklevel=1)
    return Good.reduce(self, rows, weights)


def divides(self, rows, weights):
    return {"right": ((weights @ rows[:, 0]) / weights.sum(axis=1), np.ones(len(rows), bool))}


def unweighted(self, rows, weights):
    return {"right": (np.where(weights.sum(axis=1) > 0, rows[:, 0].mean(), np.nan), np.ones(len(rows), bool))}


def of_block(self, rows, weights):
    return {"right": (mean(weights, rows[:, 0]) / len(weights), np.ones(len(rows), bool))}


def ordered(self, pairs):
    return np.array([[float(n == 0)] for n, _ in enumerate(pairs)]) * Good.measure(self, pairs)


def reducing(values, used):
    return having(reduce=lambda self, rows, weights: {"right": (values(rows, weights), used(rows))})


def shaped(rows, weights):
    return mean(weights, rows[:, 0])


BROKEN = {
    "too few rows": (having(measure=lambda self, pairs: Good.measure(self, pairs)[1:]), "4 rows for 5 pairs"),
    "an undeclared name": (having(reduce=lambda s, r, w: {"wrong": Good.reduce(s, r, w)["right"]}), "wrong is not declared on its card"),
    "no score": (having(reduce=lambda s, r, w: {}), "gives no score"),
    "out of range": (
        having(reduce=lambda s, r, w: {"right": (5 * mean(w, r[:, 0]), np.ones(len(r), bool))}),
        r"right is 3\.0, outside 0\.0\.\.1\.0",
    ),
    "the order counts": (having(measure=ordered), "the pairs in another order"),
    "weights do not count": (having(reduce=unweighted), "weights against repeated rows"),
    "the block counts": (having(reduce=of_block), "weights against repeated rows|a block against one resample"),
    "no weight divides": (having(reduce=divides), "reduce warns"),
    "no weight is nought": (
        having(reduce=lambda s, r, w: {"right": (np.nan_to_num(mean(w, r[:, 0])), np.ones(len(r), bool))}),
        r"right is 0\.0 when no row has a weight, not NaN",
    ),
    "a warning": (having(reduce=warned), "reduce warns: zero"),
    "a scalar": (reducing(lambda r, w: shaped(r, w)[0], lambda r: np.ones(len(r), bool)), r"right has shape \(\) for 1 resamples"),
    "a short mask": (reducing(shaped, lambda r: np.ones(2, bool)), r"used of right has shape \(2,\) for 5 rows"),
    "no mask": (reducing(shaped, lambda r: np.ones(len(r))), "neither a mask over rows nor a number"),
    "too many used": (reducing(shaped, lambda r: 9), "right uses 9 of 5 rows"),
    "objects for rows": (having(measure=lambda s, p: Good.measure(s, p).astype(object)), "rows hold Python objects"),
    "an unknown flag": (having(flags=lambda s, r: {"odd": r[:, 0] > 0}), "flags gives odd"),
    "a flag of numbers": (having(flags=lambda s, r: {"unscored": r[:, 0]}), "no boolean mask"),
    "a short flag": (having(flags=lambda s, r: {"unscored": r[1:, 0] > 0}), "another length"),
    "short samples": (having(per_sample=lambda s, r: {"right": r[1:, 0]}), "per_sample gives 4 values of right"),
    "samples of no score": (having(per_sample=lambda s, r: {"odd": r[:, 0]}), "per_sample gives odd"),
    "a signature of objects": (having(signature=lambda s: {"x": object()}), "signature\\(\\) must be plain data"),
    "an empty answer that is not the worst": (
        having(measure=lambda s, p: np.array([[float(pair.value.text != "x")] for pair in p])),
        r"right is 1\.0 when every answer is empty, its card says worst=0\.0",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found(name):
    made, said = BROKEN[name]
    with pytest.raises(AssertionError, match=said):
        check(made)


def test_families_of_names_and_numbers_used_are_fine():
    made = having(
        reduce=lambda s, r, w: {"kind:a": (mean(w, r[:, 0]), len(r))},
        per_sample=lambda s, r: {},
    )
    assert check(made, scores={"kind:*": ScoreFacts(worst=0.0)}) == {"kind:a": pytest.approx(0.6)}


def test_a_set_metric_is_not_weighed():
    made = having(reduce=lambda s, r, w: {"right": (np.full(len(w), r[:, 0].mean()), len(r))})
    assert check(made, weighted=False) == {"right": pytest.approx(0.6)}


class Row(Struct):
    """A row of a judged answer."""

    right: float


class Judged(Good):
    """Asks a judge."""

    Row = Row

    def measure(self, pairs):
        replies = yield "judge", [Generate(prompt=pair.value.text) for pair in pairs]
        return [Row(right=float(reply.text)) for reply in replies]

    def reduce(self, rows, weights):
        return super().reduce(np.array([[row.right] for row in rows]), weights)

    flags = per_sample = lambda self, rows: {}


class TestAsking:
    @staticmethod
    def ask(role, requests):
        return [Text(text="1" if request.prompt in "acd" else "0") for request in requests]

    def test_a_metric_that_asks_is_answered(self):
        assert check(Judged, asks=("judge",), ask=self.ask) == {"right": pytest.approx(0.6)}

    def test_it_must_say_so_on_its_card(self):
        with pytest.raises(AssertionError, match="its card names no role"):
            check(Judged, ask=self.ask)
        with pytest.raises(AssertionError, match="asks for the role 'judge', its card names grader"):
            check(Judged, asks=("grader",), ask=self.ask)

    def test_somebody_must_answer(self):
        with pytest.raises(AssertionError, match="give `ask`"):
            check(Judged, asks=("judge",))


def test_two_pairs_are_not_enough():
    with pytest.raises(AssertionError, match="three pairs or more"):
        check(Good, PAIRS[:2])


def test_unknown_options_are_found():
    globals()["Made"] = Good
    with pytest.raises(AssertionError, match="m has no option zzz"):
        check_metric(MetricCard(name="m", load=f"{__name__}:Made", takes=("text",), scores={}), PAIRS, options={"zzz": 1})
