"""Prices, bills, estimates and the budget."""

from __future__ import annotations

import msgspec
import pytest

from medbench.answering import Answered, ask
from medbench.builtin.executors.local import LocalExecutor
from medbench.cards import ModelCard
from medbench.costs import Bill, Budget, Price, bill, dollars, estimate, price_of, together
from medbench.errors import QuotaExhausted
from medbench.events import Progress
from medbench.plan import ModelPlan
from medbench.store import Store
from medbench.testing import FakeModel
from medbench.types import Classify, Embed, Failed, Generate, Image, Text

CARD = ModelCard(
    name="paid",
    load="a.b:C",
    can=("generate",),
    isolated=False,
    networked=True,
    neutral=("price_in", "price_out", "max_cost"),
    prices={"big": (2.0, 8.0)},
    prices_from="the list",
)


class TestPrices:
    @pytest.mark.parametrize(
        ("options", "price"),
        [
            ({"name": "big"}, Price(input=2.0, output=8.0, source="the list")),
            ({"name": "big-2026-01-31"}, Price(input=2.0, output=8.0, source="the list")),
            ({"name": "big-mini"}, None),
            ({"name": "big", "base_url": "http://elsewhere/v1"}, None),
            ({"name": "big", "price_in": 1, "price_out": 0}, Price(input=1.0, output=0.0, source="as stated by the user")),
            ({"name": "big", "price_in": None, "price_out": None}, Price(input=2.0, output=8.0, source="the list")),
            ({}, None),
        ],
    )
    def test_the_users_word_goes_before_the_table(self, options, price):
        assert price_of(CARD, options) == price

    def test_an_amount_is_as_exact_as_it_is_small(self):
        assert [dollars(usd) for usd in (0, 0.00004, 0.5, 1, 1234.567)] == ["$0", "$0.0000", "$0.5000", "$1.00", "$1,234.57"]


class TestBills:
    def test_only_what_states_its_tokens_is_counted(self):
        outputs = [
            Text(text="a", usage={"input_tokens": 100, "output_tokens": 10}),
            Text(text="b", usage={"latency_ms": 5}),
            Failed(kind="model", error="x"),
            Text(text="c", usage={"output_tokens": 5}),
        ]
        assert bill(outputs, Price(input=10.0, output=100.0)) == Bill(
            answers=2, input_tokens=100, output_tokens=15, usd=0.0025, price=Price(input=10.0, output=100.0)
        )
        assert bill(outputs, None).usd is None

    def test_who_answered_is_counted_over_all_rounds(self):
        one, other = (
            bill([Text(text="a", served="b-1"), Text(text="c")], None),
            bill([Text(text="d", served="b-1"), Text(text="e", served="a-2")], None),
        )
        assert (one.served, other.served) == ({"b-1": 1}, {"a-2": 1, "b-1": 1})
        assert list(together([one, other]).served.items()) == [("a-2", 1), ("b-1", 2)]

    def test_rounds_of_one_judge_are_added(self):
        one, other = (
            Bill(answers=1, input_tokens=2, output_tokens=3, usd=0.5),
            Bill(answers=10, input_tokens=20, output_tokens=30, usd=0.25),
        )
        assert together([one, other]) == Bill(answers=11, input_tokens=22, output_tokens=33, usd=0.75)
        assert together([Bill(answers=1)]).usd is None


def test_an_estimate_counts_text_pictures_and_the_longest_answers():
    requests = [Generate(prompt="x" * 400, images=(Image(),), max_new_tokens=50), Embed(text="y" * 40), Classify()]
    made = estimate(requests, Price(input=1_000_000.0, output=1_000_000.0), room=10)
    assert (made.calls, made.input_tokens, made.output_tokens) == (3, 100 + 1000 + 10 + 3 * 8, 50 + 30)
    assert made.usd == made.input_tokens + made.output_tokens


class TestBudget:
    def test_what_is_under_way_is_set_aside_in_full(self):
        budget = Budget(Price(input=0.0, output=1_000_000.0), most=10.0)
        request = Generate(prompt="?", max_new_tokens=4)
        first, second = budget.reserve(request), budget.reserve(request)
        assert (first, second, budget.reserve(request)) == (4.0, 4.0, None)
        budget.settle(request, first, {"output_tokens": 1})
        assert budget.reserve(request) == 4.0
        budget.settle(request, second, None)
        assert budget.spent == 1.0
        assert "of $10.00 that were left, $1.00 are spent" in str(budget.exhausted())

    def test_the_highest_ratio_of_tokens_seen_is_expected_again(self):
        budget = Budget(Price(input=1_000_000.0, output=0.0), most=10_000.0)
        request = Generate(prompt="x" * 368)
        expected = budget.reserve(request)
        assert expected == 100.0
        budget.settle(request, expected, {"input_tokens": 300})
        assert budget.reserve(request) == 300.0
        budget.settle(request, 300.0, {"input_tokens": 100})
        assert budget.reserve(request) == 300.0

    def test_without_a_price_or_a_limit_nothing_is_refused(self):
        for budget in (Budget(None, 0.0), Budget(Price(input=1e9, output=1e9), None)):
            assert [budget.reserve(Generate(prompt="?")) for _ in range(3)] == [0.0] * 3


class Paid(FakeModel):
    """Says what its answers took, and remembers what it may spend."""

    def generate(self, requests):
        for request in requests:
            yield Text(text=request.prompt, usage={"input_tokens": 1_000_000, "output_tokens": 0})


class Executor(LocalExecutor):
    """Keeps the options that the model is built from."""

    def map(self, card, options, *rest):
        self.options = options
        return super().map(card, options, *rest)


class TestAsking:
    def asked(self, tmp_path, count, *, options=None, max_cost=None, card=CARD):
        model = ModelPlan(name="paid", card=card, options={"name": "big"} if options is None else options)
        requests = [Generate(prompt=str(number)) for number in range(count)]
        executor = Executor(Paid())
        with Store(tmp_path / "store") as store:
            events = list(ask(model, "identity", model.options, requests, executor, store, max_cost=max_cost))
        return events, executor

    def test_what_is_there_counts_towards_the_limit(self, tmp_path):
        events, _ = self.asked(tmp_path, 3)
        assert events[-1].bill == Bill(
            answers=3, input_tokens=3_000_000, output_tokens=0, usd=6.0, price=Price(input=2.0, output=8.0, source="the list")
        )
        events, executor = self.asked(tmp_path, 5, max_cost=8.5)
        assert executor.options == {"name": "big", "max_cost": 2.5}
        shown = [(event.usd, event.most_usd) for event in events if isinstance(event, Progress) and event.stage == "predict"]
        assert shown == [(6.0, 8.5), (8.0, 8.5), (10.0, 8.5)]

    def test_a_model_that_is_free_and_here_has_no_bill(self, tmp_path):
        events, _ = self.asked(tmp_path, 2, card=msgspec.structs.replace(CARD, networked=False, prices={}), max_cost=1.0)
        assert isinstance(events[-1], Answered)
        assert events[-1].bill is None

    def test_one_without_a_price_has_its_tokens_counted(self, tmp_path):
        events, executor = self.asked(tmp_path, 2, options={"name": "unknown"}, max_cost=1.0)
        assert (events[-1].bill.input_tokens, events[-1].bill.usd) == (2_000_000, None)
        assert executor.options == {"name": "unknown"}


def test_a_stopped_budget_is_an_error_a_person_can_act_on():
    with pytest.raises(QuotaExhausted) as caught:
        raise Budget(Price(input=1.0, output=1.0), 0.0).exhausted()
    assert caught.value.exit_code == 2
    assert "--max-cost" in caught.value.hint
