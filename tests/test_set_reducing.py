"""Set metrics: sets of different sizes, intervals from sub-samples, subgroups, failures; the spread is that of the whole."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from medbench.cards import MetricCard, ScoreFacts
from medbench.interfaces import Reals
from medbench.metric_plans import MetricPlan
from medbench.scoring import Scored, score
from medbench.types import Failed, Image, Picture, Prediction, Sample

N_DRAWN, N_REAL = 120, 80


def sample(number):
    return Sample(id=f"s{number:03d}", group=f"g{number:03d}", split="test", prompt="p", meta={"centre": "a" if number % 2 else "b"})


SAMPLES = [sample(number) for number in range(N_DRAWN)]
REALS = Reals(
    evaluated=tuple(
        Sample(id=f"r{n}", group=f"r{n}", split="test", images=(Image(path="x", digest=f"d{n}"),), meta={"centre": "a" if n % 4 else "b"})
        for n in range(N_REAL)
    )
)


class Gap:
    """Mean width of the drawn pictures less the number of the real ones; a picture of width 0 is empty."""

    def __init__(self, convention=None): ...

    def measure(self, pairs, reals):
        widths = np.array([float(pair.value.width) for pair in pairs])
        return {"drawn": widths, "real": np.array([float(s.id[1:]) for s in reals.evaluated])}

    def reduce_sets(self, rows, drawn, real):
        return {"gap": float(rows["drawn"][drawn].mean() - rows["real"][real].mean()), "undefined": float("nan")}

    def notes(self, rows, drawn, real):
        return {"gap": f"{len(drawn)} against {len(real)}"}

    def flags(self, rows):
        return {"empty": rows["drawn"] == 0}


class AskingGap(Gap):
    """The same, after asking another model for something."""

    def measure(self, pairs, reals):
        (reply,) = yield "encoder", [pairs[0].sample]
        assert reply == "asked"
        return super().measure(pairs, reals)


FACTS = ScoreFacts(unit="score", low=None, high=None)
CARD = MetricCard(name="gap", load=f"{__name__}:Gap", takes=("picture",), scores={"gap": FACTS, "undefined": FACTS}, weighted=False)
WIDTHS = np.random.default_rng(5).integers(1, 100, N_DRAWN)


def predictions(widths=WIDTHS, failing=()):
    values = [Failed(kind="model", error="e") if n in failing else Picture(path="p", width=int(w)) for n, w in enumerate(widths)]
    return [Prediction(sample=one.id, value=value) for one, value in zip(SAMPLES, values, strict=True)]


@pytest.fixture
def scored(tmp_path):
    """Return a function from predictions to `Scored`."""

    def carry_out(given, *, card=CARD, reals=REALS, seed=3, salt=None, **options):
        salt = repr(given) if salt is None else salt
        events = list(
            score(SAMPLES, given, [MetricPlan(card=card)], tmp_path / "rows", seed=seed, salt=salt, reals=lambda: reals, **options)
        )
        assert isinstance(events[-1], Scored)
        return events[-1]

    return carry_out


def by_name(scored):
    return {one.name: one for one in scored.scores if not one.subgroup}


def test_the_value_is_that_of_all_pictures_and_the_interval_is_centred_on_it(scored):
    found = by_name(scored(predictions()))["gap"]
    reals = np.arange(N_REAL)
    assert found.value == pytest.approx(WIDTHS.mean() - reals.mean())
    assert (found.low + found.high) / 2 == pytest.approx(found.value)
    assert found.note == "120 against 80"
    assert "50 sub-samples of 60 drawn and 40 real pictures" in found.method


def test_the_interval_is_as_wide_as_theory_says_of_two_means(scored):
    found = by_name(scored(predictions()))["gap"]
    reals = np.arange(N_REAL)
    expected = 1.96 * np.sqrt(WIDTHS.var(ddof=1) / N_DRAWN + reals.var(ddof=1) / N_REAL)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.3)


def test_the_spread_of_small_parts_is_rescaled_to_the_whole(scored, monkeypatch):
    half = by_name(scored(predictions()))["gap"]
    monkeypatch.setattr(Gap, "fraction", lambda self, rows: 0.2, raising=False)
    fifth = by_name(scored(predictions()))["gap"]
    assert "24 drawn and 16 real" in fifth.method
    assert fifth.high - fifth.low == pytest.approx(half.high - half.low, rel=0.4)


def test_an_undefined_value_is_null_with_a_note(scored):
    found = by_name(scored(predictions()))["undefined"]
    assert found.value is None
    assert found.note.startswith("undefined")


def test_failed_pictures_are_counted_and_no_number(scored):
    found = by_name(scored(predictions(failing=(0, 1, 2))))["gap"]
    assert (found.n, found.n_failed, found.worst_case) == (N_DRAWN - 3, 3, None)
    assert found.value == pytest.approx(WIDTHS[3:].mean() - np.arange(N_REAL).mean())


def test_empty_pictures_are_counted(scored):
    widths = WIDTHS.copy()
    widths[:4] = 0
    assert by_name(scored(predictions(widths)))["gap"].n_empty == 4


def test_a_subgroup_is_compared_with_the_real_pictures_of_the_same(scored):
    parts = {one.subgroup["centre"]: one for one in scored(predictions(), by=("centre",)).scores if one.subgroup and one.name == "gap"}
    reals = np.arange(N_REAL)
    assert parts["b"].value == pytest.approx(WIDTHS[::2].mean() - reals[::4].mean())
    assert parts["a"].value == pytest.approx(WIDTHS[1::2].mean() - reals[reals % 4 > 0].mean())


def test_few_pictures_have_no_interval_and_say_so(scored):
    found = by_name(scored(predictions(), reals=msgspec.structs.replace(REALS, evaluated=REALS.evaluated[:5])))["gap"]
    assert found.low is None
    assert found.note == "no interval: fewer than 8 pictures; 120 against 5"


def test_without_real_pictures_it_is_not_computed_in_words(scored):
    done = scored(predictions(), reals=Reals(evaluated=()))
    assert done.scores == ()
    assert "compares with real pictures" in done.not_computed["gap"]


def test_a_missing_picture_moves_no_other_in_the_sub_samples(scored, monkeypatch):
    taken = []

    def reduce_sets(self, rows, drawn, real):
        taken.append(set(drawn.tolist()))
        return {"gap": 0.0}

    monkeypatch.setattr(Gap, "reduce_sets", reduce_sets)
    scored(predictions())
    whole, taken[:] = taken[1:], []
    scored(predictions(failing=(7,)))
    moved = [{i if i < 7 else i + 1 for i in part} ^ full for part, full in zip(taken[1:], whole, strict=True)]
    assert max(len(difference) for difference in moved) <= 3


def test_rows_are_kept_and_not_measured_again(scored, monkeypatch):
    first = scored(predictions())
    monkeypatch.setattr(Gap, "measure", lambda *_: pytest.fail("measured again"))
    again = scored(predictions())
    assert again.scores == first.scores
    assert (first.measured, again.measured) == (1, 0)


def test_another_network_on_the_machine_is_measured_anew(scored, monkeypatch):
    scored(predictions(), salt="s")
    monkeypatch.setattr(Gap, "identity", "another", raising=False)
    assert scored(predictions(), salt="s").measured == 1


def test_other_real_pictures_are_measured_anew(scored):
    scored(predictions(), salt="s")
    fewer = msgspec.structs.replace(REALS, evaluated=REALS.evaluated[:40])
    assert by_name(scored(predictions(), reals=fewer, salt="s"))["gap"].note == "120 against 40"


def test_a_set_metric_may_ask_another_model_first(scored):
    def ask(wanted):
        yield from ()
        return [["asked"] for _ in wanted]

    card = msgspec.structs.replace(CARD, load=f"{__name__}:AskingGap", asks=("encoder",))
    done = scored(predictions(), card=card, ask=ask)
    assert by_name(done)["gap"].value == pytest.approx(WIDTHS.mean() - np.arange(N_REAL).mean())
