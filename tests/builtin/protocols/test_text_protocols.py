"""Protocols of text: the very same requests for asking, predicting and fitting."""

from __future__ import annotations

import pytest

from medbench.builtin.protocols.report import Report
from medbench.builtin.protocols.vqa import Vqa
from medbench.errors import UsageError
from medbench.identity import sample_seed
from medbench.types import Failed, Generate, Image, Sample, Text

PICTURES = tuple(Image(path=f"/{n}.png", digest=str(n)) for n in range(3))
SAMPLES = [
    Sample(
        id="a", group="g", split="test", prompt="Is it {odd}?", images=PICTURES[:1], references=("yes", "y"), meta={"question_type": "PRES"}
    ),
    Sample(id="b", group="g", split="test", prompt="Where?", images=PICTURES, meta={"indication": "cough", "view": "{indication}"}),
]


@pytest.mark.parametrize("made", [Vqa, Report])
class TestBoth:
    def test_every_sample_is_asked_and_predicted_in_order(self, made):
        protocol, params = made(), made.Params()
        requests = list(protocol.requests(SAMPLES, params))
        outputs = {requests[0]: Text(text="0"), requests[1]: Failed(kind="model", error="e")} if hash(requests[0]) else {}
        predictions = list(protocol.predictions(SAMPLES, outputs, params))
        assert [(one.sample, one.value) for one in predictions] == [("a", Text(text="0")), ("b", Failed(kind="model", error="e"))]
        assert all(one.condition == {} for one in predictions)

    def test_examples_are_the_requests_with_their_first_reference(self, made):
        protocol, params = made(), made.Params()
        assert list(protocol.examples(SAMPLES, params)) == [(next(iter(protocol.requests(SAMPLES, params))), Text(text="yes"))]

    def test_greedy_requests_are_equal_across_seeds_and_sampled_ones_follow_the_id(self, made):
        protocol = made()
        greedy = [list(protocol.requests(SAMPLES, made.Params(seed=seed))) for seed in (0, 1)]
        assert greedy[0] == greedy[1]
        assert greedy[0][0].seed == 0
        sampled = list(protocol.requests(SAMPLES, made.Params(seed=3, temperature=0.7)))
        assert [request.seed for request in sampled] == [sample_seed(3, "a"), sample_seed(3, "b")]
        assert [request.seed for request in protocol.requests(SAMPLES[::-1], made.Params(seed=3, temperature=0.7))] == [
            sample_seed(3, "b"),
            sample_seed(3, "a"),
        ]


def test_a_question_is_put_as_the_template_says():
    params = Vqa.Params(prompt="Q: {question} Answer in a word.", max_new_tokens=5)
    assert Vqa().request(SAMPLES[0], params) == Generate(
        prompt="Q: Is it {odd}? Answer in a word.", images=PICTURES[:1], kind="PRES", max_new_tokens=5
    )


def test_a_report_is_asked_for_with_columns_and_as_many_images_as_wanted():
    params = Report.Params(prompt="Write. Indication: {indication}.", images=2)
    request = Report().request(SAMPLES[1], params)
    assert request == Generate(prompt="Write. Indication: cough.", images=PICTURES[:2], max_new_tokens=256)
    assert Report().request(SAMPLES[1], Report.Params()).images == PICTURES
    assert Report().request(SAMPLES[0], params).prompt == "Write. Indication: .", "a sample without one"


def test_what_stands_in_a_column_is_not_taken_for_a_placeholder():
    assert Report().request(SAMPLES[1], Report.Params(prompt="{view} of {indication}")).prompt == "{indication} of cough"


def test_a_column_that_no_sample_has_is_refused():
    with pytest.raises(UsageError, match="prompt: no sample has a column indicaton") as caught:
        Report().requests(SAMPLES, Report.Params(prompt="{indicaton}"))
    assert caught.value.hint == "did you mean indication?"


@pytest.mark.parametrize(("prompt", "said"), [("{quesion}", "no such placeholder {quesion}"), ("Look!", "the question is never put")])
def test_a_template_that_does_not_put_the_question_is_refused(prompt, said):
    with pytest.raises(ValueError, match=said):
        Vqa.Params(prompt=prompt)
    Vqa.Params(prompt='{question} Answer as {"answer": "..."}')
