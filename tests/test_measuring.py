"""Measuring: once, kept, one row per pair, and with a second model where a metric asks one."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.cards import MetricCard, ScoreFacts
from medbench.errors import DataError
from medbench.measuring import Measuring, take
from medbench.metric_plans import MetricPlan
from medbench.types import Failed, Generate, Prediction, Sample, Struct, Text

SAMPLES = {f"s{n}": Sample(id=f"s{n}", group=f"g{n % 2}", split="test", references=("x" * n,)) for n in range(4)}


class Length:
    """Measures how long an answer is; notes each call."""

    calls = []

    def __init__(self, convention=None, scale: float = 1.0, train_references=()):
        self.scale = scale
        self.learnt = len(train_references)

    def measure(self, pairs):
        self.calls.append([pair.sample.id for pair in pairs])
        return np.array([[len(pair.value.text) * self.scale + self.learnt] for pair in pairs])

    def reduce(self, rows, weights):
        with np.errstate(invalid="ignore"):
            return {"length": ((weights @ rows[:, 0]) / weights.sum(axis=1), np.ones(len(rows), bool))}

    def signature(self):
        return {"scale": self.scale}


class Mark(Struct):
    """A row as a struct."""

    mark: float
    unscored: bool = False


class Judged:
    """Asks a judge about each answer, and once more where the reply is no number."""

    Row = Mark

    def __init__(self, convention=None): ...

    def measure(self, pairs):
        replies = yield "judge", [Generate(prompt=f"mark {pair.value.text}") for pair in pairs]
        open_ = [n for n, reply in enumerate(replies) if isinstance(reply, Text) and not reply.text.isdigit()]
        again = yield "judge", [Generate(prompt=f"mark {pairs[n].value.text}, a number!", repeat=1) for n in open_]
        replies = dict(enumerate(replies)) | dict(zip(open_, again, strict=True))
        texts = [reply.text if isinstance(reply, Text) else "" for reply in replies.values()]
        return [Mark(mark=float(text), unscored=False) if text.isdigit() else Mark(mark=0.0, unscored=True) for text in texts]

    def reduce(self, rows, weights):
        scored = np.array([not row.unscored for row in rows])
        marks = np.array([row.mark for row in rows])
        counts = weights * scored
        with np.errstate(invalid="ignore"):
            return {"mark": ((counts @ marks) / counts.sum(axis=1), scored)}

    def flags(self, rows):
        return {"unscored": np.array([row.unscored for row in rows])}


class GivesUp(Judged):
    """Gives up after the first replies."""

    def measure(self, pairs):
        yield "judge", [Generate(prompt="mark x")]
        raise DataError("no use", hint="none")


class Refuses(Length):
    """Cannot be computed here."""

    def measure(self, pairs):
        raise DataError("no references", hint="get some")


class Miscounts(Length):
    """Loses a row."""

    def measure(self, pairs):
        return super().measure(pairs)[1:]


def planned(made, *, asks=(), takes=("text",), worst=None, **fields):
    card_fields = {"train_conventions": fields.pop("train_conventions", ()), "version": fields.pop("version", "1")}
    name = made.__name__.lower()
    card = MetricCard(
        name=name, load=f"{__name__}:{made.__name__}", takes=takes, asks=asks, scores={"*": ScoreFacts(worst=worst)}, **card_fields
    )
    return MetricPlan(card=card, **fields)


def predictions(*values, **condition):
    made = [Text(text=value) if isinstance(value, str) else value for value in values]
    return [Prediction(sample=f"s{n}", value=value, condition=condition) for n, value in enumerate(made)]


@pytest.fixture(autouse=True)
def calls():
    Length.calls = []
    return Length


@pytest.fixture
def measure(tmp_path):
    def carry_out(plans, given, **options):
        measuring = Measuring(SAMPLES, given, tmp_path / "rows", **{"salt": "s", **options})
        return [one for made in measuring.run(plans) for one in made], measuring

    return carry_out


def test_rows_stand_in_the_order_of_the_predictions(measure):
    (one,), measuring = measure([planned(Length)], predictions("a", "bbb", "", "cc"))
    assert one.rows[:, 0].tolist() == [1, 3, 0, 2]
    assert [sample.id for sample in one.samples] == ["s0", "s1", "s2", "s3"]
    assert one.empty.tolist() == [False, False, True, False]
    assert one.signature == {"scale": 1.0}
    assert measuring.anew == 1


def test_a_failure_is_measured_as_an_empty_text_and_known_as_failed(measure):
    (one,), _ = measure([planned(Length)], predictions("a", Failed(kind="model", error="e"), "ccc"))
    assert one.rows[:, 0].tolist() == [1, 0, 3]
    assert one.failed.tolist() == [False, True, False]
    assert one.answered.tolist() == [0, 2]
    assert one.unmeasured == []


def test_what_a_metric_without_texts_cannot_measure_is_left_out_and_counted(measure):
    (one,), _ = measure([planned(Length, takes=("vector",))], predictions("a", Failed(kind="model", error="e"), "ccc"))
    assert one.rows[:, 0].tolist() == [1, 3]
    assert [sample.id for sample in one.unmeasured] == ["s1"]


def test_nothing_to_measure_is_said(measure):
    made, measuring = measure([planned(Length, takes=("vector",))], predictions(Failed(kind="model", error="e")))
    assert made == []
    assert measuring.not_computed == {"length": "every sample failed"}
    assert Length.calls == []


def test_conditions_are_measured_apart(measure):
    given = [*predictions("a", "b"), *predictions("ccc", images="blank")]
    made, _ = measure([planned(Length)], given)
    assert [(one.condition, one.rows[:, 0].tolist()) for one in made] == [({}, [1, 1]), ({"images": "blank"}, [3])]


class TestKeeping:
    def test_rows_are_measured_once(self, measure):
        given = predictions("a", "bb")
        first, _ = measure([planned(Length)], given)
        again, measuring = measure([planned(Length)], given)
        assert len(Length.calls) == 1
        assert measuring.anew == 0
        assert np.array_equal(again[0].rows, first[0].rows)
        assert again[0].signature == first[0].signature

    @pytest.mark.parametrize(
        ("change", "options"),
        [
            (planned(Length, options={"scale": 2.0}), {}),
            (planned(Length, convention={"text": "other@1"}), {}),
            (planned(Length, version="2"), {}),
            (planned(Length), {"salt": "other predictions"}),
        ],
    )
    def test_whatever_changes_them_measures_anew(self, measure, change, options):
        measure([planned(Length)], predictions("a", "bb"))
        _, measuring = measure([change], predictions("a", "bb"), **options)
        assert measuring.anew == 1

    def test_rows_of_structs_come_back_as_structs(self, measure):
        def ask(wanted):
            yield from ()
            return [[Text(text="3") for _ in requests] for _, requests in wanted]

        first, _ = measure([planned(Judged, asks=("judge",))], predictions("a", "b"), ask=ask)
        again, _ = measure([planned(Judged, asks=("judge",))], predictions("a", "b"), ask=lambda _: pytest.fail("asked again"))
        assert again[0].rows == first[0].rows == [Mark(mark=3.0), Mark(mark=3.0)]


def test_train_references_are_read_for_the_conventions_that_need_them(measure):
    plan = planned(Length, convention={"corpus": "train@1"}, train_conventions=("train@1",))
    (one,), _ = measure([plan], predictions("a"), train_references=lambda: ["x", "y"])
    assert one.rows[0, 0] == 3
    (other,), _ = measure([planned(Length, convention={"corpus": "test@1"}, train_conventions=("train@1",))], predictions("a"))
    assert other.rows[0, 0] == 1
    made, measuring = measure([plan], predictions("b"), train_references=None)
    assert made == []
    assert measuring.not_computed == {"length": "length needs the train split for train@1 (give it with --data)"}


@pytest.mark.parametrize(
    ("made", "said"), [(Refuses, "no references (get some)"), (Miscounts, "metric miscounts: measure gave 1 rows for 2 pairs")]
)
def test_a_metric_that_cannot_be_computed_is_named_and_the_others_are(measure, made, said):
    found, measuring = measure([planned(made), planned(Length)], predictions("a", "b"))
    assert [one.plan.card.name for one in found] == ["length"]
    assert measuring.not_computed == {made.__name__.lower(): said}


class TestAsking:
    @pytest.fixture
    def judge(self):
        """Return a judge that marks by length, answers 'bb' only when asked again, and is out of order for 'ccc'."""
        wanted_in_turn = []

        def reply(request):
            word = request.prompt.split()[1].rstrip(",")
            if word == "ccc":
                return Failed(kind="model", error="out of order")
            if word == "bb" and not request.repeat:
                return Text(text="hard to say")
            return Text(text=str(len(word))) if word != "dddd" else Text(text="never a number")

        def ask(wanted):
            yield from ()
            wanted_in_turn.append([(role, len(requests)) for role, requests in wanted])
            return [[reply(request) for request in requests] for _, requests in wanted]

        ask.seen = wanted_in_turn
        return ask

    def test_replies_come_back_and_a_second_question_is_possible(self, measure, judge):
        (one,), _ = measure([planned(Judged, asks=("judge",))], predictions("a", "bb", "ccc", "dddd"), ask=judge)
        assert [row.mark for row in one.rows] == [1, 2, 0, 0]
        assert one.flag("unscored").tolist() == [False, False, True, True]
        assert one.flag("unparsable").tolist() == [False] * 4
        assert judge.seen == [[("judge", 4)], [("judge", 2)]]

    def test_what_failed_is_not_put_to_a_judge(self, measure, judge):
        (one,), _ = measure([planned(Judged, asks=("judge",))], predictions("a", Failed(kind="model", error="e")), ask=judge)
        assert judge.seen[0] == [("judge", 1)]
        assert [sample.id for sample in one.unmeasured] == ["s1"]

    def test_all_metrics_and_conditions_are_asked_together_and_last(self, measure, judge):
        given = [*predictions("a", "bb"), *predictions("a", images="blank")]
        plans = [planned(Judged, asks=("judge",)), planned(Length), planned(GivesUp, asks=("judge",))]
        made, measuring = measure(plans, given, ask=judge)
        assert [one.plan.card.name for one in made] == ["length", "length", "judged", "judged"]
        assert judge.seen[0] == [("judge", 2), ("judge", 1), ("judge", 1), ("judge", 1)]
        assert measuring.not_computed == {"givesup": "no use (none)"}

    def test_without_a_judge_it_is_said(self, measure):
        made, measuring = measure([planned(Judged, asks=("judge",)), planned(Length)], predictions("a"))
        assert [one.plan.card.name for one in made] == ["length"]
        assert "none is named" in measuring.not_computed["judged"]

    def test_the_word_of_one_judge_is_not_taken_for_anothers(self, measure, judge):
        plans, given = [planned(Judged, asks=("judge",)), planned(Length)], predictions("a", "bb")
        (_, first), _ = measure(plans, given, ask=judge, judge="judge-one")
        asked = len(judge.seen)
        measure(plans, given, ask=judge, judge="judge-one")
        assert len(judge.seen) == asked
        (_, other), measuring = measure(plans, given, ask=judge, judge="judge-two")
        assert len(judge.seen) == 2 * asked
        assert measuring.anew == 1
        assert [one.signature["judge"] for one in (first, other)] == ["judge-one", "judge-two"]
        assert [one.convention["by"] for one in (first, other)] == ["judge-one", "judge-two"]


@pytest.mark.parametrize("rows", [np.arange(6).reshape(3, 2), [1, 2, 3]])
def test_rows_are_taken_from_arrays_and_lists_alike(rows):
    assert list(map(str, take(rows, np.array([2, 0])))) == [str(rows[2]), str(rows[0])]
    assert len(take(rows, np.arange(3))) == 3
