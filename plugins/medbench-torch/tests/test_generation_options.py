from __future__ import annotations

import math

import pytest
import torch
from medbench_torch.devices import place
from medbench_torch.generation import left_padded
from medbench_torch.loading import load_model
from medbench_torch.option_scoring import OptionScorer, wordings_of
from medbench_torch.row_rules import RowLimits, RowStops, SeededNoise, cut_at
from medbench_torch.tiny.causal import build_llama
from medbench_torch.tokenizing import load_tokenizer
from transformers import AutoModelForCausalLM

from medbench.types import Generate

WORDS = ["Is the left lung clear? yes", "no, it is not normal", "left lung", "right", "The answer is yes or no."]


class TextOnly:
    """A language model as option scoring sees it."""

    shares_prompt = True
    context_length = 200

    def __init__(self, folder):
        self.model = load_model(AutoModelForCausalLM, folder, place("cpu"))
        self.tokenizer = load_tokenizer(folder)
        self.end_ids = (self.tokenizer.eos_token_id,)
        self.pad_id = self.tokenizer.pad_token_id

    def inputs(self, requests, ids, features):
        tokens, mask = left_padded(ids, self.pad_id, "cpu")
        return {"input_ids": tokens, "attention_mask": mask}


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    return TextOnly(build_llama(tmp_path_factory.mktemp("tiny") / "llama", tokenizer=WORDS * 8, seed=4))


def asked(speaker, options, prompts=("Is the left lung clear?",)):
    requests = [Generate(prompt=prompt, options=options) for prompt in prompts]
    ids = [speaker.tokenizer(prompt)["input_ids"] for prompt in prompts]
    with torch.inference_mode():
        return OptionScorer(speaker)(requests, ids, [[] for _ in prompts])


def by_hand(speaker, prompt, texts):
    """Return the probability of going on with one of the texts as whole words, by a plain loop over single tokens."""
    starts = OptionScorer(speaker).starts
    total = 0.0
    for ids in {tuple(speaker.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts}:
        said, share = speaker.tokenizer(prompt)["input_ids"], 1.0
        for token in ids:
            with torch.inference_mode():
                share *= float(torch.softmax(speaker.model(torch.tensor([said])).logits[0, -1].double(), -1)[token])
            said = [*said, token]
        with torch.inference_mode():
            share *= float(torch.softmax(speaker.model(torch.tensor([said])).logits[0, -1].double(), -1)[starts].sum())
        total += share
    return total


def test_a_probability_is_that_of_all_ways_of_writing_the_whole_string(speaker):
    scores, covered = asked(speaker, ("yes", "no"))[0]
    for option in ("yes", "no"):
        ways = [before + case for case in (option, option.capitalize(), option.upper()) for before in ("", " ")]
        assert math.exp(scores[option]) == pytest.approx(by_hand(speaker, "Is the left lung clear?", ways), rel=1e-4)
    assert covered == pytest.approx(sum(map(math.exp, scores.values())), rel=1e-9)


def test_the_cached_prompt_gives_what_the_whole_prompt_gives(speaker):
    prompts = ("Is the left lung clear?", "hi", "a much longer question, so that the rows of a batch differ in length")
    shared = asked(speaker, ("left", "left lung", "right", "no"), prompts)
    speaker.shares_prompt = False
    try:
        whole = asked(speaker, ("left", "left lung", "right", "no"), prompts)
    finally:
        speaker.shares_prompt = True
    for (one, one_covered), (other, other_covered) in zip(shared, whole, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
        assert one_covered == pytest.approx(other_covered, rel=1e-4)


def test_scores_do_not_depend_on_the_batch(speaker):
    prompts = ("Is the left lung clear?", "hi", "a much longer question, so that the rows of a batch differ in length")
    together = asked(speaker, ("yes", "no"), prompts)
    for prompt, (scores, _) in zip(prompts, together, strict=True):
        assert asked(speaker, ("yes", "no"), (prompt,))[0][0] == pytest.approx(scores, abs=1e-4)


def test_a_longer_option_is_not_counted_in_the_shorter_one(speaker):
    apart, together = asked(speaker, ("left",))[0], asked(speaker, ("left", "left lung"))[0]
    longer = math.exp(together[0]["left lung"])
    assert longer > 0
    # what begins with "left" goes on with "lung" or does not
    assert math.exp(together[0]["left"]) + by_hand(speaker, "Is the left lung clear?", ["left lung", " left lung"]) == pytest.approx(
        math.exp(apart[0]["left"]), rel=1e-3
    )


def test_one_word_that_begins_another_is_not_that_word(speaker):
    starts = OptionScorer(speaker).starts
    ids = speaker.tokenizer.convert_tokens_to_ids
    assert starts[speaker.tokenizer.eos_token_id]
    assert starts[ids("Ġ")]
    assert starts[ids(".")]
    assert starts[ids("Ċ")]
    assert not starts[ids("r")]
    assert not starts[ids("9")]
    assert not starts[ids("Ã")]


def test_all_options_cover_at_most_everything(speaker):
    letters = (*"abcdefghijklmnopqrstuvwxyz.,!?", "yes", "no", "left", "left lung")
    scores, covered = asked(speaker, letters)[0]
    assert 0 < covered <= 1
    assert len(scores) == len(letters)


def test_options_that_are_spelled_alike_are_told_apart_by_the_first(speaker):
    scores, _ = asked(speaker, ("Yes", "yes", "no"))[0]
    assert scores["Yes"] > -100 > scores["yes"]


def test_wordings_are_distinct_and_keep_their_option(speaker):
    made = wordings_of(speaker.tokenizer, ("yes", "NO"))
    assert len({way.ids for way in made}) == len(made)
    said = {(way.option, speaker.tokenizer.decode(way.ids)) for way in made}
    assert {("yes", "yes"), ("yes", " Yes"), ("NO", "no"), ("NO", "No"), ("NO", " NO")} <= said


def test_what_does_not_fit_the_context_is_not_scored(speaker):
    fitting, unfit = asked(speaker, ("yes", "no"), ("hi", "x" * 199))
    assert fitting[0]
    assert unfit == ({}, 0.0)


def test_noise_draws_from_the_distribution_and_leaves_greedy_rows_alone():
    rows = 4000
    requests = [Generate(prompt="", temperature=0.5 if row else 0.0, seed=row) for row in range(rows)]
    logits = torch.log(torch.tensor([0.5, 0.3, 0.2])).expand(rows, 3).clone()
    noise = SeededNoise(requests, 2, torch.device("cpu"))
    drawn = noise(torch.empty(rows, 0), logits)
    assert torch.equal(drawn[0], logits[0])
    wanted = torch.tensor([0.25, 0.09, 0.04]) / 0.38
    found = torch.bincount(drawn[1:].argmax(-1), minlength=3) / (rows - 1)
    assert torch.allclose(found, wanted, atol=0.03)
    assert not torch.equal(noise(torch.empty(rows, 0), logits).argmax(-1), drawn.argmax(-1))


def test_limits_end_rows_one_by_one():
    limits = RowLimits([1, 3], torch.device("cpu"))
    assert [limits(torch.empty(2, 0), None).tolist() for _ in range(3)] == [[True, False], [True, False], [True, True]]


def test_stops_look_at_new_text_alone(speaker):
    prompt = speaker.tokenizer(["left lung", "left lung"], return_tensors="pt", add_special_tokens=False).input_ids
    stops = RowStops([Generate(prompt="", stop=("lung",)), Generate(prompt="")], speaker.tokenizer)
    step = torch.cat([prompt, speaker.tokenizer([" right", " right"], return_tensors="pt", add_special_tokens=False).input_ids[:, :1]], 1)
    assert stops(step, None).tolist() == [False, False]
    for token in speaker.tokenizer(" lung", add_special_tokens=False)["input_ids"]:
        step = torch.cat([step, torch.tensor([[token], [token]])], 1)
        last = stops(step, None).tolist()
    assert last == [True, False]


def test_the_first_stop_in_the_text_cuts():
    assert cut_at("a b c", ("c", "b", "")) == ("a ", True)
    assert cut_at("a b c", ("x",)) == ("a b c", False)
