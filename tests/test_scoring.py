"""Scores and their intervals: what a plain loop of resampling gives, paired, by subgroup, with failures apart."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from medbench import reducing
from medbench.cards import MetricCard, ScoreFacts
from medbench.metric_plans import MetricPlan
from medbench.reducing import RESAMPLES
from medbench.scoring import Scored, score
from medbench.stats.multiplicity import holm
from medbench.types import Failed, Prediction, Sample, Text

N, GROUPS, SEED = 60, 25, 7
FAILED = Failed(kind="model", error="e")


def sample(number):
    meta = {"site": "east" if number % 3 else "west", "one": "same"}
    return Sample(id=f"s{number:02d}", group=f"g{number * number % GROUPS:02d}", split="test", meta=meta)


SAMPLES = [sample(number) for number in range(N)]
MARKS = np.random.default_rng(1).integers(0, 10, N).astype(float)


class Mark:
    """The mark that an answer spells; an empty answer is 0, the worst. `high` takes only marks of even samples."""

    def __init__(self, convention=None): ...

    def measure(self, pairs):
        return np.array([[float(pair.value.text or 0), int(pair.sample.id[1:]) % 2 == 0] for pair in pairs])

    def reduce(self, rows, weights):
        made = {}
        for name, mask in {"mark": np.ones(len(rows), bool), "even": rows[:, 1] > 0}.items():
            counts = weights[:, mask]
            total = counts.sum(axis=1)
            made[name] = np.divide(counts @ rows[mask, 0], total, out=np.full(len(weights), np.nan), where=total > 0), mask
        return made

    def flags(self, rows):
        return {"unparsable": rows[:, 0] == 3}


FACTS = ScoreFacts(unit="score", low=0.0, high=9.0, worst=0.0)
CARD = MetricCard(
    name="mark",
    load=f"{__name__}:Mark",
    takes=("text",),
    scores={"mark": msgspec.structs.replace(FACTS, primary=True), "even": msgspec.structs.replace(FACTS, worst=None)},
)


def predictions(marks=MARKS, failing=(), **condition):
    values = [FAILED if number in failing else Text(text=str(mark)) for number, mark in enumerate(marks)]
    return [Prediction(sample=one.id, value=value, condition=condition) for one, value in zip(SAMPLES, values, strict=True)]


@pytest.fixture
def scored(tmp_path):
    """Return a function from predictions to `Scored`."""

    def carry_out(given, *, samples=SAMPLES, card=CARD, seed=SEED, **options):
        events = list(score(samples, given, [MetricPlan(card=card)], tmp_path / "rows", seed=seed, salt=repr(given), **options))
        assert isinstance(events[-1], Scored)
        return events[-1]

    return carry_out


def plain_loop(used, marks, seed=SEED):
    """Resample whole groups one resample after the other; return the mean mark under each, NaN without a sample."""
    names = sorted({one.group for one in SAMPLES})
    generator = np.random.default_rng(seed)
    means = []
    for _ in range(RESAMPLES):
        drawn = [names[i] for i in generator.integers(0, len(names), len(names))]
        found = [marks[n] for name in drawn for n in used if SAMPLES[n].group == name]
        means.append(np.mean(found) if found else np.nan)
    return np.array(means)


def bounds(replicates):
    return np.nanquantile(replicates, [0.025, 0.975])


def by_name(made, **subgroup):
    return {one.name: one for one in made.scores if one.subgroup == subgroup}


def test_the_interval_is_that_of_a_plain_loop(scored):
    found = by_name(scored(predictions()))
    assert found["mark"].value == pytest.approx(MARKS.mean())
    assert [found["mark"].low, found["mark"].high] == pytest.approx(bounds(plain_loop(range(N), MARKS)))
    assert [found["even"].low, found["even"].high] == pytest.approx(bounds(plain_loop(range(0, N, 2), MARKS)))
    assert (found["mark"].n, found["even"].n) == (N, N // 2)
    groups = len({one.group for one in SAMPLES})
    assert found["mark"].n_groups == groups
    assert found["mark"].method == f"percentile bootstrap over {groups} patients, 1,000 resamples, seed {SEED}"


def test_blocks_of_any_size_give_the_same(scored, monkeypatch):
    whole = scored(predictions())
    monkeypatch.setattr(reducing, "BLOCK_CELLS", 7 * N)
    assert scored(predictions()) == msgspec.structs.replace(whole, measured=0)


def test_the_seed_moves_the_interval_and_nothing_else(scored):
    one, other = (by_name(scored(predictions(), seed=seed))["mark"] for seed in (1, 2))
    assert one.value == other.value
    assert (one.low, one.high) != (other.low, other.high)


def test_a_failed_sample_changes_nobody_elses_draw(scored):
    failing = (3, 8, 21)
    found = by_name(scored(predictions(failing=failing)))["mark"]
    left = [number for number in range(N) if number not in failing]
    assert found.value == pytest.approx(MARKS[left].mean())
    assert [found.low, found.high] == pytest.approx(bounds(plain_loop(left, MARKS)))


def test_failures_are_counted_apart_and_stand_as_worst_beside(scored):
    found = by_name(scored(predictions(failing=(3, 8, 21))))
    assert (found["mark"].n, found["mark"].n_failed) == (N - 3, 3)
    worst = MARKS.copy()
    worst[[3, 8, 21]] = 0
    assert found["mark"].worst_case == pytest.approx(worst.mean())
    assert found["mark"].coverage == pytest.approx((N - 3) / N)
    assert (found["even"].n, found["even"].n_failed, found["even"].worst_case) == (N // 2 - 1, 1, None)
    assert by_name(scored(predictions()))["mark"].worst_case is None


def test_when_everything_failed_there_is_no_value_and_it_is_said(scored):
    found = by_name(scored(predictions(failing=range(N))))
    assert set(found) == {"mark", "even"}
    assert (found["mark"].value, found["mark"].low, found["mark"].n, found["mark"].n_failed) == (None, None, 0, N)
    assert found["mark"].note == "every sample failed"
    assert found["mark"].worst_case == 0.0


def test_empty_truncated_and_unparsable_answers_are_counted(scored):
    marks = [str(mark) for mark in MARKS]
    marks[0], marks[1], marks[2] = "", "3", "4"
    given = [Prediction(sample=one.id, value=Text(text=text)) for one, text in zip(SAMPLES, marks, strict=True)]
    given[2] = Prediction(sample="s02", value=Text(text="4", finish_reason="length"))
    found = by_name(scored(given))["mark"]
    assert (found.n, found.n_empty, found.n_truncated) == (N, 1, 1)
    assert found.n_unparsable == 1 + sum(MARKS[3:] == 3)


def test_a_score_without_a_sample_is_undefined(scored):
    odd = [one for one in SAMPLES if int(one.id[1:]) % 2]
    given = [one for one in predictions() if int(one.sample[1:]) % 2]
    found = by_name(scored(given, samples=odd))["even"]
    assert (found.value, found.n, found.note) == (None, 0, "undefined: no sample enters this score")


def test_one_group_has_no_interval(scored):
    alone = [msgspec.structs.replace(one, group="g") for one in SAMPLES]
    found = by_name(scored(predictions(), samples=alone))["mark"]
    assert (found.value is None, found.low, found.note) == (False, None, "no interval: fewer than 2 groups")


def test_a_score_of_one_group_among_many_has_no_interval(scored):
    apart = [msgspec.structs.replace(one, group="even" if int(one.id[1:]) % 2 == 0 else one.id) for one in SAMPLES]
    found = by_name(scored(predictions(), samples=apart))
    assert (found["even"].low, found["even"].n_groups, found["even"].method) == (None, 1, "")
    assert found["mark"].low is not None


def test_few_groups_are_said_to_be_few(scored):
    few = [msgspec.structs.replace(one, group=f"g{n % 5}") for n, one in enumerate(SAMPLES)]
    assert by_name(scored(predictions(), samples=few))["mark"].note == "rough interval: only 5 groups"
    assert by_name(scored(predictions()))["mark"].note in {"", f"rough interval: only {len({s.group for s in SAMPLES})} groups"}


def test_the_order_of_samples_and_predictions_changes_nothing(scored):
    order = np.random.default_rng(3).permutation(N)
    given, some = predictions(failing=(3, 8)), SAMPLES
    one = scored(given, by=("site",))
    other = scored([given[i] for i in order], samples=[some[i] for i in order[::-1]], by=("site",))
    for mine, theirs in zip((*one.scores, *one.contrasts), (*other.scores, *other.contrasts), strict=True):
        wanted = msgspec.structs.asdict(theirs)
        near = {name: pytest.approx(value, abs=1e-12) if isinstance(value, float) else value for name, value in wanted.items()}
        assert msgspec.structs.asdict(mine) == near


class TestSubgroups:
    def test_each_value_is_scored_over_its_own_samples_under_the_same_draws(self, scored):
        made = scored(predictions(failing=(1, 3)), by=("site",))
        west = [n for n in range(N) if n % 3 == 0 and n != 3]
        found = by_name(made, site="west")["mark"]
        assert (found.n, found.n_failed) == (len(west), 1)
        assert found.value == pytest.approx(MARKS[west].mean())
        assert [found.low, found.high] == pytest.approx(bounds(plain_loop(west, MARKS)))
        assert by_name(made, site="east")["mark"].n_failed == 1
        assert by_name(made)["mark"].n == N - 2

    def test_failures_without_rows_are_counted_in_their_own_subgroup(self, scored):
        made = scored(predictions(failing=(1, 3, 6)), by=("site",), card=msgspec.structs.replace(CARD, takes=("vector",)))
        assert [by_name(made, site=site)["mark"].n_failed for site in ("west", "east")] == [2, 1]
        assert by_name(made)["mark"].n_failed == 3

    def test_the_difference_is_paired_by_shared_draws(self, scored):
        made = scored(predictions(), by=("site",))
        (found,) = [one for one in made.contrasts if one.name == "mark"]
        east, west = ([n for n in range(N) if SAMPLES[n].meta["site"] == site] for site in ("east", "west"))
        assert (found.one, found.other) == ("site=east", "site=west")
        assert found.difference == pytest.approx(MARKS[east].mean() - MARKS[west].mean())
        assert [found.low, found.high] == pytest.approx(bounds(plain_loop(east, MARKS) - plain_loop(west, MARKS)))

    def test_a_difference_counts_the_samples_of_both_sides(self, scored):
        (found,) = [one for one in scored(predictions(), by=("site",)).contrasts if one.name == "mark"]
        assert found.n == N
        assert found.n_groups == len({one.group for one in SAMPLES})

    def test_differences_and_scores_of_few_groups_are_flagged(self, scored):
        few = [msgspec.structs.replace(one, group=f"g{n % 19}") for n, one in enumerate(SAMPLES)]
        made = scored(predictions(), samples=few, by=("site",))
        assert by_name(made, site="east")["mark"].note == "rough interval: only 19 groups"
        assert [one.note for one in made.contrasts] == ["rough interval: only 19 groups"]

    def test_an_unknown_column_is_noted(self, tmp_path):
        events = list(score(SAMPLES, predictions(), [MetricPlan(card=CARD)], tmp_path, seed=0, salt="", by=("sit",)))
        notes = [event.text for event in events if type(event).__name__ == "Note"]
        assert notes == ["no sample has a column sit, so nothing is scored by it (did you mean site?)"]


class TestConditions:
    BLANK = np.roll(MARKS, 3)

    def test_images_are_compared_with_the_true_ones_over_what_both_have(self, scored):
        given = [*predictions(failing=(0, 1)), *predictions(self.BLANK, failing=(1, 2), images="blank")]
        made = scored(given)
        assert [(one.name, one.condition) for one in made.scores] == [
            ("mark", {}), ("even", {}), ("mark", {"images": "blank"}), ("even", {"images": "blank"}),
        ]  # fmt: skip
        found = next(one for one in made.contrasts if one.name == "mark")
        both = range(3, N)
        assert (found.one, found.other, found.n) == ("images=blank", "images=true", N - 3)
        assert found.difference == pytest.approx((self.BLANK - MARKS)[3:].mean())
        assert [found.low, found.high] == pytest.approx(bounds(plain_loop(both, self.BLANK - MARKS)))

    def test_conditions_of_the_protocol_are_paired_within(self, scored):
        given = [row for shots in (0, 5) for images in ({}, {"images": "blank"}) for row in predictions(shots=shots, **images)]
        sides = {(one.one, one.other) for one in scored(given).contrasts}
        assert sides == {("images=blank shots=0", "shots=0"), ("images=blank shots=5", "shots=5")}

    def test_whether_images_matter_more_in_one_subgroup_is_a_difference_of_differences(self, scored):
        given = [*predictions(failing=(0, 1)), *predictions(self.BLANK, failing=(1, 2), images="blank")]
        (found,) = [one for one in scored(given, by=("site",)).contrasts if " at " in one.one]
        assert (found.one, found.other) == ("(images=blank - images=true) at site=east", "site=west")
        lost = self.BLANK - MARKS
        east, west = ([n for n in range(3, N) if SAMPLES[n].meta["site"] == site] for site in ("east", "west"))
        assert found.difference == pytest.approx(lost[east].mean() - lost[west].mean())
        assert [found.low, found.high] == pytest.approx(bounds(plain_loop(east, lost) - plain_loop(west, lost)))
        assert (found.n, found.p is None) == (N - 3, False)

    def test_among_several_subgroups_p_values_are_adjusted(self, scored):
        thirds = [msgspec.structs.replace(one, meta={"third": "abc"[n % 3]}) for n, one in enumerate(SAMPLES)]
        given = [*predictions(), *predictions(self.BLANK, images="blank")]
        found = [one for one in scored(given, samples=thirds, by=("third",)).contrasts if " at " in one.one]
        assert [(one.one[-7:], one.other) for one in found] == [("third=a", "third=b"), ("third=a", "third=c"), ("third=b", "third=c")]
        alone = []
        for pair in ("ab", "ac", "bc"):
            some = [one for one in thirds if one.meta["third"] in pair]
            kept = {one.id for one in some}
            chosen = [one for one in given if one.sample in kept]
            (single,) = [one for one in scored(chosen, samples=thirds, by=("third",)).contrasts if " at " in one.one]
            alone.append(single.p)
        assert [one.p for one in found] == pytest.approx(holm(np.array(alone)).tolist())

    def test_without_true_images_nothing_is_compared(self, scored):
        assert scored(predictions(images="blank")).contrasts == ()


@pytest.mark.parametrize(("group", "word"), [("patient", "patients"), ("image", "images"), ("study", "studies")])
def test_groups_are_called_what_they_are(scored, group, word):
    assert f" {word}, " in by_name(scored(predictions(), group=group))["mark"].method
