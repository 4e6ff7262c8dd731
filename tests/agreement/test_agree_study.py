"""The consistency study on ratings whose agreement is known: lined up rightly, averaged over raters, with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.agreement import study as studies
from medbench.agreement.ratings import Rating
from medbench.agreement.scales import parse_scale
from medbench.agreement.study import study
from medbench.agreement.views import markdown
from medbench.agreement.voices import Panel
from medbench.cards import MetricCard, ScoreFacts
from medbench.errors import DataError, UsageError
from medbench.hookspecs import hookimpl
from medbench.registry import load_registry
from medbench.runs import RunFolder
from medbench.stats.agreement import krippendorff_alpha, quadratic_kappa
from medbench.stats.bootstrap import once
from medbench.stats.correlation import kendall, spearman
from medbench.testing import plugin, write_fake_data
from medbench.types import Generate, Struct, Text

SCALE = parse_scale("0-4")


class Grade(Struct):
    """A row of the judge."""

    first: float
    again: float | None = None


class Stars:
    """A judge of five levels: what it says follows from the sample's number; every other one it is asked about again."""

    Row = Grade

    def __init__(self, convention=None, low: int = 0):
        self._low = low

    def measure(self, pairs):
        replies = yield "judge", [Generate(prompt=f"stars for {pair.sample.id}") for pair in pairs]
        assert all(isinstance(reply, Text) for reply in replies)
        numbers = [int(pair.sample.aliases["position"]) for pair in pairs]
        return [Grade(first=float(n % 5 + self._low), again=float((n + (n == 4)) % 5 + self._low) if n % 2 == 0 else None) for n in numbers]

    def reduce(self, rows, weights):
        first = np.array([row.first for row in rows])
        return {"stars": ((weights @ first) / np.maximum(weights.sum(axis=1), 1), np.ones(len(rows), bool))}

    def per_sample(self, rows):
        return {"stars": np.array([row.first for row in rows])}

    def scale(self):
        return tuple(range(self._low, self._low + 5))

    def repeats(self, rows):
        return np.array([[row.first for row in rows], [np.nan if row.again is None else row.again for row in rows]])


class Errors:
    """A metric of which less is better."""

    def __init__(self, convention=None): ...

    def measure(self, pairs):
        return np.array([[10.0 - int(pair.sample.aliases["position"]) % 5] for pair in pairs])

    def reduce(self, rows, weights):
        return {"errors": ((weights @ rows[:, 0]) / np.maximum(weights.sum(axis=1), 1), np.ones(len(rows), bool))}

    def per_sample(self, rows):
        return {"errors": rows[:, 0]}


class Offers:
    """The plugin that has them."""

    @hookimpl
    def medbench_cards(self):
        facts = {"unit": "score", "high": None}
        return [
            MetricCard(
                name="stars",
                load=f"{__name__}:Stars",
                takes=("text",),
                asks=("judge",),
                conventions={"judge": ("stars@1",)},
                scores={"stars": ScoreFacts(**facts)},
            ),
            MetricCard(
                name="errors", load=f"{__name__}:Errors", takes=("text",), scores={"errors": ScoreFacts(higher_is_better=False, **facts)}
            ),
        ]


@pytest.fixture(scope="module")
def cards():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_PLUGINS", "")
        return load_registry(plugin, Offers())


@pytest.fixture
def scored(run, tmp_path, cards):
    data = write_fake_data(tmp_path / "thirty", n=30, groups=25, images=0)
    return run(data=data, metrics=("stars", "errors"), judge="fake-echo", registry=cards).folder


def ratings(**of):
    """Return ratings: rater -> function from a sample's number to a grade."""
    return [
        Rating(sample=f"test-{n:03d}", rater=rater, rating=float(grade(n)), line=n)
        for rater, grade in of.items()
        for n in range(30)
        if grade(n) is not None
    ]


def off(n):
    return min(4, n % 5 + (n % 7 == 0))


def panel(given, folder, cards, scale=SCALE):
    return Panel(given, [RunFolder(folder)], scale, cards)


def named(made):
    return {one.voice.partition(" by ")[0]: one for one in made.agreements}


def test_a_judge_that_says_what_people_say_agrees_wholly(scored, cards):
    made = study(panel(ratings(ann=lambda n: n % 5, ben=lambda n: n % 5), scored, cards))
    judge = named(made)["stars/stars"]
    assert (judge.kind, judge.n, judge.n_raters) == ("judge", 30, 2)
    assert [judge.statistics[name].value for name in ("spearman", "kendall", "kappa", "alpha", "icc")] == pytest.approx([1.0] * 5)
    assert (judge.limits.bias.value, judge.limits.low.value, judge.limits.high.value) == (0, 0, 0)
    assert made.ceiling["kappa"].value == pytest.approx(1.0)
    assert made.n_groups == 25


def test_figures_are_means_over_raters_and_lie_in_their_intervals(scored, cards):
    given = {"ann": lambda n: n % 5, "ben": off, "cem": lambda n: (n * n) % 5}
    made = study(panel(ratings(**given), scored, cards), seed=3)
    judge = named(made)["stars/stars"]
    columns = {name: np.array([grade(n) for n in range(30)], dtype=float) for name, grade in given.items()}
    own, weights = columns["ann"], once(30)
    kappas = [float(quadratic_kappa(own, other, range(5), weights)[0]) for other in columns.values()]
    ranks = [float(spearman(own, other, weights)[0]) for other in columns.values()]
    assert judge.statistics["kappa"].value == pytest.approx(np.mean(kappas))
    assert judge.statistics["spearman"].value == pytest.approx(np.mean(ranks))
    pairs = [("ann", "ben"), ("ann", "cem"), ("ben", "cem")]
    assert made.ceiling["kendall"].value == pytest.approx(np.mean([float(kendall(columns[a], columns[b], weights)[0]) for a, b in pairs]))
    assert made.people_alpha.value == pytest.approx(float(krippendorff_alpha(np.stack(list(columns.values())), weights, "ordinal")[0]))
    for estimate in (*judge.statistics.values(), *made.ceiling.values(), judge.limits.bias):
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.low < estimate.high
    assert study(panel(ratings(**given), scored, cards), seed=3) == made
    assert len(made.pairs) == 3 + 2 * 3


def test_a_metric_that_counts_errors_is_turned_round(scored, cards):
    errors = named(study(panel(ratings(ann=lambda n: n % 5), scored, cards)))["errors/errors"]
    assert errors.lower_is_better
    assert errors.statistics["spearman"].value == pytest.approx(1.0)
    assert set(errors.statistics) == {"spearman", "kendall"}
    assert errors.limits is None


def test_a_judge_on_the_same_steps_elsewhere_is_shifted(scored, cards):
    moved = [Rating(sample=one.sample, rater=one.rater, rating=one.rating + 1) for one in ratings(ann=lambda n: n % 5)]
    judge = named(study(panel(moved, scored, cards, parse_scale("1-5"))))["stars/stars"]
    assert judge.statistics["kappa"].value == pytest.approx(1.0)
    assert judge.limits.bias.value == 0
    on_another = named(study(panel(moved, scored, cards, parse_scale("0-9"))))["stars/stars"]
    assert set(on_another.statistics) == {"spearman", "kendall"}


def test_repeated_calls_are_held_against_each_other(scored, cards):
    (stability,) = study(panel(ratings(ann=off), scored, cards)).stability
    assert (stability.calls, stability.n) == (2, 15)
    assert stability.same.value == pytest.approx(14 / 15)
    assert stability.alpha.value < 1


def test_ratings_of_some_samples_are_enough(scored, cards):
    given = ratings(ann=lambda n: n % 5 if n < 20 else None, ben=lambda n: off(n) if n >= 10 else None)
    made = study(panel(given, scored, cards))
    assert [one.n for one in made.pairs if {one.one, one.other} == {"ann", "ben"}] == [10]
    assert (named(made)["stars/stars"].n, made.n_units) == (20, 30)


def test_one_rater_has_no_ceiling_and_that_is_said(scored, cards):
    made = study(panel(ratings(ann=off), scored, cards))
    assert made.ceiling == {}
    assert made.people_alpha is None
    assert any("no ceiling" in note for note in made.notes)
    assert "people among themselves" not in markdown(made)


def test_too_few_in_common_say_nothing(scored, cards):
    made = study(panel(ratings(ann=lambda n: n if n < 2 else None), scored, cards))
    assert named(made)["stars/stars"].statistics == {}


def test_a_constant_voice_has_no_rank(scored, cards):
    made = study(panel(ratings(ann=lambda n: 2, ben=off), scored, cards))
    assert named(made)["ann"].statistics["spearman"].value is None
    assert "| – |" in markdown(made)


def test_two_judges_are_two_voices(scored, cards, score_again):
    score_again(scored, metrics=("stars",), judge="fake-echo", judge_options={"suffix": "!"}, registry=cards)
    made = study(panel(ratings(ann=off), scored, cards))
    judges = [one.voice for one in made.agreements if one.kind == "judge"]
    assert len(judges) == len(set(judges)) == 2


@pytest.fixture
def score_again(tmp_path):
    from medbench import api

    return lambda run, **options: api.score(run, runs_dir=tmp_path / "runs", **options)


def test_a_rating_of_nothing_is_told(scored, cards):
    with pytest.raises(DataError, match="line 7 rates test-999"):
        panel([Rating(sample="test-999", rater="ann", rating=1.0, line=7)], scored, cards)


def test_several_runs_need_to_be_told_apart(run, tmp_path, cards):
    data = write_fake_data(tmp_path / "thirty", n=30, groups=25, images=0)
    folders = [run(data=data, metrics=("errors",), model_options={"suffix": end}, registry=cards).folder for end in ("", "?")]
    runs = [RunFolder(folder) for folder in folders]
    with pytest.raises(UsageError, match="do not say which"):
        Panel(ratings(ann=off), runs, SCALE, cards)
    with pytest.raises(DataError, match="a run zzz, which is none"):
        Panel([Rating(sample="test-000", rater="ann", rating=1.0, run="zzz")], runs, SCALE, cards)
    with pytest.raises(DataError, match="means several"):
        Panel([Rating(sample="test-000", rater="ann", rating=1.0, run="fake-echo")], runs, SCALE, cards)
    both = [
        Rating(sample=one.sample, rater="ann", rating=one.rating, run=folder.name[:8]) for folder in folders for one in ratings(ann=off)
    ]
    made = Panel(both, runs, SCALE, cards)
    assert (len(made.units), len(made.groups)) == (60, 25)


def test_intervals_come_from_whole_groups(scored, cards, monkeypatch):
    seen = []
    monkeypatch.setattr(studies, "draws", lambda n, *rest: seen.append(n) or iter([np.ones((4, n))]))
    study(panel(ratings(ann=off), scored, cards))
    assert seen == [25]


def test_markdown_escapes_what_names_hold(scored, cards):
    given = ratings(**{"a|b <c>": off, "ben": off})
    assert "| a\\|b &lt;c> | rater |" in markdown(study(panel(given, scored, cards)))
