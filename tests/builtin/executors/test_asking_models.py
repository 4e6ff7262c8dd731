"""One window put to a model: halving, faults brought home to their request, and promises that are held."""

from __future__ import annotations

import pytest

from medbench.builtin.executors.asking import FIRST_FAILURES, Conversation, failure
from medbench.errors import InputError, OutOfMemory, PluginError, QuotaExhausted, TransientError
from medbench.testing import FakeModel
from medbench.types import Asked, Classify, Embed, Failed, Generate, Probabilities, Text


def window(*prompts):
    return [Asked(key=prompt, request=Generate(prompt=prompt)) for prompt in prompts]


def numbered(count):
    return window(*(f"p{number}" for number in range(count)))


def ask(model, asked):
    conversation = model if isinstance(model, Conversation) else Conversation(model, "m")
    return {answer.key: answer.output for answer in conversation.ask(asked)}


class Having:
    """A model with whatever methods a test gives it."""

    def __init__(self, **methods):
        self.__dict__.update(methods)


def generating(function):
    return Having(generate=function)


def each(request):
    return Text(text=request.prompt.upper())


def test_a_list_answers_in_order():
    assert ask(generating(lambda requests: [each(one) for one in requests]), window("a", "b")) == {"a": Text(text="A"), "b": Text(text="B")}


def test_pairs_answer_in_any_order_as_they_are_ready():
    def generate(requests):
        for index in reversed(range(len(requests))):
            yield index, each(requests[index])

    keys = [answer.key for answer in Conversation(generating(generate), "m").ask(window("a", "b", "c"))]
    assert keys == ["c", "b", "a"]
    assert ask(generating(generate), window("a", "b"))["a"] == Text(text="A")


def test_a_window_is_parted_by_type_and_each_method_gets_its_own():
    model = FakeModel("t")
    asked = [*window("a"), Asked(key="c", request=Classify(text="x", labels=("l",))), *window("b"), Asked(key="e", request=Embed(text="y"))]
    outputs = ask(model, asked)
    assert {name: type(output).__name__ for name, output in outputs.items()} == {
        "a": "Text",
        "b": "Text",
        "c": "Probabilities",
        "e": "Vector",
    }
    assert model.windows == [2, 1, 1]


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        (lambda _: [Text(text="a")], "gave 1 outputs for 2 requests"),
        (lambda _: [Text(text="a")] * 3, "answered request 2 of a window of 2 twice or out of range"),
        (lambda _: [(0, Text(text="a")), (0, Text(text="b"))], "answered request 0 of a window of 2 twice"),
        (lambda _: [(-1, Text(text="a"))], "answered request -1"),
        (lambda _: ["a", "b"], "generate gave str, not Text or Failed"),
        (lambda _: [None, None], "generate gave NoneType"),
        (lambda _: [Probabilities(labels=(), values=())] * 2, "generate gave Probabilities"),
    ],
)
def test_a_broken_promise_is_the_plugins_fault(replies, said):
    with pytest.raises(PluginError, match=f"m: {said}"):
        ask(generating(replies), window("a", "b"))


def test_a_method_that_the_card_promised_and_the_class_lacks():
    with pytest.raises(PluginError, match="its card says it can classify, its class has no such method"):
        ask(generating(list), [Asked(key="c", request=Classify())])


class TestMemory:
    @staticmethod
    def fitting(most, sizes):
        def generate(requests):
            sizes.append(len(requests))
            if len(requests) > most:
                raise OutOfMemory("too much")
            return [each(one) for one in requests]

        return Conversation(generating(generate), "m")

    def test_what_does_not_fit_is_halved_and_the_size_is_remembered(self):
        sizes = []
        conversation = self.fitting(3, sizes)
        assert len(ask(conversation, numbered(16))) == 16
        assert sizes == [16, 8, 4, 2, 2, 2, 2, 2, 2, 2, 2]
        sizes.clear()
        assert len(ask(conversation, numbered(5))) == 5
        assert sizes == [2, 2, 1]

    def test_one_request_that_does_not_fit_alone_fails(self):
        def generate(requests):
            if any(one.prompt == "p2" for one in requests):
                raise OutOfMemory("huge")
            return [each(one) for one in requests]

        outputs = ask(generating(generate), numbered(4))
        assert outputs["p2"] == Failed(kind="model", error="OutOfMemory: huge")
        assert sum(isinstance(output, Text) for output in outputs.values()) == 3


class TestFaults:
    @pytest.mark.parametrize("bad", range(7))
    def test_one_bad_request_is_found_and_the_others_are_answered(self, bad):
        def generate(requests):
            if any(one.prompt == f"p{bad}" for one in requests):
                raise RuntimeError("no\n good")
            return [each(one) for one in requests]

        outputs = ask(generating(generate), numbered(7))
        assert len(outputs) == 7
        assert {name for name, output in outputs.items() if isinstance(output, Failed)} == {f"p{bad}"}
        assert outputs[f"p{bad}"] == Failed(kind="model", error="RuntimeError: no good")

    def test_what_was_answered_before_a_fault_is_kept_and_not_asked_again(self):
        model = FakeModel(each)
        model.queue.extend([Text(text="1"), Text(text="2"), RuntimeError("boom")])
        outputs = ask(model, numbered(5))
        assert [output.text for output in outputs.values()] == ["1", "2", "P2", "P3", "P4"]
        assert [request.prompt for request in model.history] == ["p0", "p1", "p2", "p3", "p4"]

    @pytest.mark.parametrize(
        ("error", "made"),
        [
            (InputError("x.png: torn"), Failed(kind="input", error="x.png: torn")),
            (TransientError("busy"), Failed(kind="transient", error="TransientError: busy")),
            (KeyError("k"), Failed(kind="model", error="KeyError: 'k'")),
            (ValueError(), Failed(kind="model", error="ValueError")),
        ],
    )
    def test_what_is_raised_becomes_a_failure_of_its_kind(self, error, made):
        assert failure(error) == made

    def test_what_a_person_must_act_on_is_not_swallowed(self):
        def generate(requests):
            yield each(requests[0])
            raise QuotaExhausted("no money left")

        with pytest.raises(QuotaExhausted):
            ask(generating(generate), numbered(3))


class TestBrokenFromTheStart:
    @staticmethod
    def failing(until=10**9, kind=RuntimeError):
        asked = 0

        def generate(requests):
            nonlocal asked
            asked += 1
            if len(requests) > 1 or asked <= until:
                raise kind("no device")
            return [each(requests[0])]

        return Conversation(generating(generate), "m")

    def test_the_same_failure_of_everything_is_a_broken_model_and_nothing_of_it_is_kept(self):
        kept = []
        with pytest.raises(PluginError, match=f"the first {FIRST_FAILURES} requests all failed: RuntimeError: no device"):
            kept.extend(self.failing().ask(numbered(20)))
        assert kept == []

    def test_it_is_noticed_across_windows_too(self):
        conversation = self.failing()
        for number in range(FIRST_FAILURES - 1):
            ask(conversation, window(f"q{number}"))
        with pytest.raises(PluginError, match="all failed"):
            ask(conversation, window("last"))

    def test_fewer_failures_are_failures(self):
        assert set(ask(self.failing(), numbered(FIRST_FAILURES - 1)).values()) == {Failed(kind="model", error="RuntimeError: no device")}

    def test_an_answer_shows_that_the_model_works(self):
        conversation = Conversation(FakeModel(each), "m")
        assert len(ask(conversation, window("first"))) == 1
        conversation.model.answer = lambda request: Failed(kind="model", error="same")
        assert len(ask(conversation, numbered(30))) == 30

    def test_failures_of_inputs_are_the_datas_fault(self):
        assert len(ask(self.failing(kind=InputError), numbered(20))) == 20

    def test_failures_that_differ_are_not_one_cause(self):
        model = FakeModel(lambda request: Failed(kind="model", error=request.prompt))
        assert len(ask(model, numbered(20))) == 20


def test_facts_become_plain_data():
    assert Conversation(FakeModel(facts={"sizes": (1, 2), "generate": Generate(prompt="x")}), "m").facts() == {
        "sizes": (1, 2),
        "generate": {"type": "generate", "prompt": "x"},
    }
    assert Conversation(generating(list), "m").facts() == {}
