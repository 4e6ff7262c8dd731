"""Runs against each other: differences held against scipy and statsmodels, refusals with reasons, samples that changed."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats as sp

from medbench.cards import MetricCard, ScoreFacts
from medbench.errors import UsageError
from medbench.measuring import Measured
from medbench.metric_plans import MetricPlan
from medbench.reducing import Target, paired_targets
from medbench.report import pair_tests
from medbench.report.comparing import compare
from medbench.report.diffing import diff
from medbench.report.measured import Kept
from medbench.runs import RunFolder
from medbench.stats.multiplicity import holm
from medbench.testing import FakeModel, write_fake_data
from medbench.types import Sample, Text

N = 60


def word_of(request):
    return request.prompt.rpartition(" ")[2]


def number_of(request):
    return int(request.prompt.split()[1].rstrip(":"))


@pytest.fixture
def data(tmp_path):
    return write_fake_data(tmp_path / "data", n=N, groups=20)


@pytest.fixture
def kept(run, registry):
    """Runs a model that answers a question right where `right(number)` says so, and reads the run back."""

    def make(name, right, **options):
        model = FakeModel(
            lambda r: Text(text={True: word_of(r), False: "nonsense", None: f"{word_of(r)} or so"}[right(number_of(r))]),
            identity=name,
            name=name,
        )
        return Kept(RunFolder(run(model, **options).folder), registry)

    return make


def difference(made, name):
    return next(one for one in made.differences if one.contrast.name == name)


def values_of(run, name="overall"):
    one = run.measured[0]
    return one.metric.per_sample(one.rows)[name]


def test_a_difference_is_that_of_the_values_with_its_wins_and_losses(kept):
    first, second = kept("first", lambda n: n % 2 == 0), kept("second", lambda n: n % 5 != 0)
    made = compare([first, second])
    one = difference(made, "overall")
    before, after = values_of(first), values_of(second)
    assert (one.value_other, one.value_one) == (before.mean(), after.mean())
    assert one.contrast.difference == pytest.approx(after.mean() - before.mean())
    assert (one.wins, one.losses, one.ties) == ((after > before).sum(), (after < before).sum(), (after == before).sum())
    assert one.contrast.low < one.contrast.difference < one.contrast.high
    assert (one.contrast.n, one.contrast.n_groups) == (N, 20)
    assert (one.contrast.one, one.contrast.other) == ("B", "A")


def test_the_p_value_of_a_share_is_the_clustered_mcnemar(kept):
    first, second = kept("first", lambda n: n % 2 == 0), kept("second", lambda n: n % 5 != 0)
    one = difference(compare([first, second]), "overall")
    groups = np.array([s.group for s in first.measured[0].samples])
    sums = np.array([(values_of(second) - values_of(first))[groups == g].sum() for g in np.unique(groups)])
    assert one.p_alone == pytest.approx(sp.chi2.sf(sums.sum() ** 2 / (sums**2).sum(), 1))
    assert one.test.startswith("clustered McNemar")


def test_rows_that_stand_alone_get_the_exact_mcnemar(run, registry, tmp_path):
    data = write_fake_data(tmp_path / "alone", n=N, groups=N)
    runs = []
    for name, right in (("first", lambda n: n % 3 == 0), ("second", lambda n: n % 4 != 0)):
        model = FakeModel(lambda r, right=right: Text(text=word_of(r) if right(number_of(r)) else "no idea"), identity=name, name=name)
        runs.append(Kept(RunFolder(run(model, data=data).folder), registry))
    one = difference(compare(runs), "overall")
    assert one.p_alone == pytest.approx(sp.binomtest(one.wins, one.wins + one.losses).pvalue)
    assert one.test.startswith("exact McNemar")


def test_p_values_are_adjusted_over_all_differences_shown(kept):
    runs = [kept("first", lambda n: n % 2 == 0), kept("second", lambda n: n % 5 != 0), kept("third", lambda n: n % 7 != 0)]
    made = compare(runs)
    alone = [one.p_alone for one in made.differences]
    assert made.n_compared == len([p for p in alone if p is not None])
    assert {one.contrast.one for one in made.differences} == {"B", "C"}
    expected = holm(np.array([np.nan if p is None else p for p in alone]))
    for one, p in zip(made.differences, expected, strict=True):
        assert one.contrast.p == pytest.approx(p) if one.p_alone is not None else one.contrast.p is None


def test_equal_runs_do_not_differ(kept):
    made = compare([kept("first", lambda n: n % 2 == 0), kept("twin", lambda n: n % 2 == 0)])
    for one in made.differences:
        assert one.contrast.difference in {0.0, None}
        assert one.p_alone in {1.0, None}
    assert made.changed == ()


def test_the_order_of_runs_turns_the_sign_and_nothing_else(kept):
    first, second = kept("first", lambda n: n % 2 == 0), kept("second", lambda n: n % 5 != 0)
    there, back = difference(compare([first, second]), "overall"), difference(compare([second, first]), "overall")
    assert there.contrast.difference == -back.contrast.difference
    assert (there.wins, there.losses) == (back.losses, back.wins)
    assert there.p_alone == pytest.approx(back.p_alone)
    assert there.contrast.low == pytest.approx(-back.contrast.high)


def test_the_first_resamples_are_those_of_the_record(kept):
    first, second = kept("first", lambda n: n % 2 == 0), kept("second", lambda n: n % 5 != 0)
    few, many = (difference(compare([first, second], resamples=count), "overall").contrast for count in (1_000, 10_000))
    assert "1,000 resamples" in few.method
    assert "10,000 resamples" in many.method
    assert few.difference == many.difference
    assert abs(few.low - many.low) < 0.05
    assert difference(compare([first, second]), "overall").contrast == msgspec.structs.replace(many, p=many.p)


def test_the_samples_that_changed_most_have_both_answers(kept):
    first, second = kept("first", lambda n: n < 30), kept("second", lambda n: n < 20)
    made = compare([first, second], most=3)
    assert made.changed_by == "vqa/overall"
    assert len(made.changed) == 3
    for change in made.changed:
        assert (change.value_other, change.value_one, change.answer_one) == (1.0, 0.0, "nonsense")
        assert change.answer_other == change.reference
        assert change.question.endswith(change.reference)


def test_single_types_are_compared_on_request(kept):
    rules = {"conventions": ("medbench",)}
    runs = [kept("first", lambda n: n % 2 == 0, **rules), kept("second", lambda n: n % 5 != 0, **rules)]
    names = {one.contrast.name for one in compare(runs, members=True).differences}
    assert "type:PRES" in names
    assert not any(":" in one.contrast.name for one in compare(runs).differences)


def test_randomisation_is_asked_for(kept):
    rules = {"conventions": ("medbench",)}
    first, second = kept("first", lambda n: n % 2 == 0 or None, **rules), kept("second", lambda n: n % 5 != 0, **rules)
    plain, random = compare([first, second]), compare([first, second], test="randomisation")
    assert difference(plain, "open-f1").test.startswith("paired percentile bootstrap")
    assert difference(random, "open-f1").test.startswith(("sign flips", "exact sign flips", "approximate randomisation"))
    assert difference(random, "overall").test == difference(plain, "overall").test


def test_failed_samples_of_either_run_enter_neither_side(run, registry, kept):
    first = kept("first", lambda n: n % 2 == 0)
    faulty = Kept(RunFolder(run("fake-faulty", model_options={"raise_on": "Question 3:"}).folder), registry)
    one = difference(compare([first, faulty]), "overall")
    assert one.contrast.n == N - 1
    assert one.wins + one.losses + one.ties == N - 1


def test_other_samples_are_refused_with_the_reason(kept, tmp_path):
    first = kept("first", lambda n: n % 2 == 0)
    with pytest.raises(UsageError, match=r"evaluated on different samples: limit none and 5, n 60 and 5"):
        compare([first, kept("second", lambda n: True, limit=5)])
    other = write_fake_data(tmp_path / "other", n=N, groups=20, seed=4)
    with pytest.raises(UsageError, match=r"different samples: references or image files \(manifests"):
        compare([first, kept("third", lambda n: True, data=other)])


def test_one_run_is_no_comparison(kept):
    with pytest.raises(UsageError, match="two runs or more"):
        compare([kept("first", lambda n: True)])


def test_runs_without_a_common_score_are_refused(kept):
    with pytest.raises(UsageError, match="no score in common"):
        compare([kept("first", lambda n: True), kept("second", lambda n: True, conventions=("pefomed",))])


def test_what_only_one_run_has_is_named(kept):
    made = compare([kept("first", lambda n: n % 2 == 0), kept("second", lambda n: n % 5 != 0, images=("true", "blank"))])
    assert any("images=blank" in name for name in made.not_compared)


class Area:
    """A metric whose rows are (truth, probability)."""

    def reduce(self, rows, weights):
        return {"macro": (np.full(len(weights), 0.5), np.ones(len(rows), bool))}

    def ranked(self, rows, name):
        return rows[:, 0], rows[:, 1]


def targets_of(one, other, groups):
    """Two measurements of the made-up metric as targets."""
    samples = [Sample(id=str(at), group=group, split="test") for at, group in enumerate(groups)]
    sides = []
    for rows in (one, other):
        card = MetricCard(name="area", load="", takes=("text",), scores={"macro": ScoreFacts()})
        side = Measured(MetricPlan(card=card), Area(), {}, samples, [Text(text="x")] * len(samples))
        side.rows = rows
        sides.append(side)
    return paired_targets(*sides, sorted(set(groups)))


def test_areas_are_tested_by_delong_and_in_groups_by_obuchowski():
    rng = np.random.default_rng(0)
    truth = np.arange(80) % 2.0
    rows = [np.column_stack([truth, truth * scale + rng.normal(size=80)]) for scale in (2.0, 0.5)]
    found = pair_tests.tested(targets_of(*rows, [str(n) for n in range(80)]), "macro", "bootstrap", 0)
    assert found.method == "DeLong: 80 rows"
    assert found.low < found.difference < found.high
    grouped = pair_tests.tested(targets_of(*rows, [str(n // 4) for n in range(80)]), "macro", "bootstrap", 0)
    assert grouped.method == "Obuchowski: 20 groups"


def test_clusters_are_numbered_and_none_where_every_row_stands_alone():
    pair = targets_of(np.zeros((4, 2)), np.zeros((4, 2)), ["b", "a", "b", "c"])
    assert pair_tests.clusters(pair[0]).tolist() == [1, 0, 1, 2]
    assert pair_tests.clusters(targets_of(np.zeros((2, 2)), np.zeros((2, 2)), ["a", "b"])[0]) is None
    assert isinstance(pair[0], Target)


def test_a_diff_lists_settings_then_flips(kept):
    first, second = kept("first", lambda n: n < 30), kept("second", lambda n: n < 20, seed=3, conventions=("pefomed",))
    made = diff(second, first)
    named = {one.name: (one.other, one.one) for one in made.settings}
    assert named["seed"] == ("0", "3")
    assert named["model.name"] == ("first", "second")
    assert made.same_samples
    assert (made.n_shared, made.n_answers) == (N, 10)
    assert made.settings[-1].name == "predictions", "what follows from the others comes last"
    again = diff(kept("third", lambda n: n < 20), first)
    assert (again.flips[0].better, again.flips[0].worse, again.flips[0].same) == (0, again.flips[0].worse, N - again.flips[0].worse)


def test_a_run_does_not_differ_from_itself(kept):
    first = kept("first", lambda n: n < 30)
    made = diff(first, first)
    assert (made.settings, made.n_answers, made.flips[0].first) == ((), 0, ())


def test_a_diff_is_not_refused_for_other_samples(kept):
    made = diff(kept("first", lambda n: n < 30, limit=10), kept("second", lambda n: n < 20))
    assert not made.same_samples
    assert made.n_shared == 10
    assert {"data.limit", "data.manifest", "data.n"} <= {one.name for one in made.settings}
