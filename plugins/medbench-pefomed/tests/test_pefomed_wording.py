"""The exact words of prompts, and what is done to questions."""

from __future__ import annotations

import doctest

import medbench_pefomed.recipe
import medbench_pefomed.wording
import pytest
from medbench_pefomed.wording import ASKED, BARE, Wording, answer_of, evaluation_parts, processed, training_parts

from medbench.errors import InputError
from medbench.types import Generate, Image

PICTURE = (Image(path="x.png"),)
PEFOMED = Wording()
QUESTION = Generate(prompt="Is there evidence of an aortic aneurysm?", images=PICTURE, kind="PRES")


def whole(parts):
    return "<ImageHere>".join(parts)


def test_a_question_is_put_as_the_released_evaluation_puts_it():
    said = whole(evaluation_parts(PEFOMED.evaluated(QUESTION), 1, "<s>"))
    question = "is there evidence of an aortic aneurysm?"
    wanted = f"<s>[INST] <Img><ImageHere></Img> [vqa] based on the image, respond to this question with a short answer {question} [/INST]"
    assert said == wanted


def test_minigpt_puts_questions_as_they_are():
    said = Wording(processed=False).evaluated(QUESTION)
    assert said == "[vqa] Based on the image, respond to this question with a short answer: Is there evidence of an aortic aneurysm?"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (BARE, "[vqa] is there evidence of an aortic aneurysm?"),
        (ASKED, "[vqa] based on the image, respond to this question with a short answer is there evidence of an aortic aneurysm?"),
    ],
)
def test_training_has_lower_case_marks_and_two_forms(form, text):
    parts = training_parts(PEFOMED.trained(QUESTION, form, "report"))
    assert parts == ["[INST] <img>", f"</img> {text} [/INST]"]


def test_reports_are_asked_for_by_the_first_published_instruction_or_the_tasks_words():
    request = Generate(prompt="Write a report.", images=PICTURE)
    assert PEFOMED.evaluated(request) == "[caption] describe the given chest x-ray image in detail"
    assert Wording(instruction="task").evaluated(request) == "[caption] write a report"
    assert PEFOMED.trained(request, ASKED, "report") == "<img><imagehere></img> [report] describe the given chest x-ray image in detail"
    assert PEFOMED.trained(request, ASKED, "caption").split()[1] == "[caption]"


def test_a_prompt_with_a_tag_of_its_own_is_taken_as_it_is():
    assert PEFOMED.evaluated(Generate(prompt="[caption] Briefly describe this image.")) == "[caption] briefly describe this image"


def test_the_text_processor_drops_these_signs_and_no_others():
    assert processed('A.b!c"d(e)f*g#h:i;j~k') == "a b c d e f g h i j k"
    assert processed("T1-weighted, 3/4? 50%  yes\n") == "t1-weighted, 3/4? 50% yes"


def test_fifty_words_are_kept_and_the_image_mark_is_one_of_them_in_training():
    request = Generate(prompt=" ".join(f"w{number}" for number in range(80)), images=PICTURE, kind="x")
    assert len(PEFOMED.evaluated(request).split()) == 50
    text = PEFOMED.trained(request, BARE, "report")
    assert len(text.split()) == 50
    assert text.endswith("w47")
    assert len(PEFOMED.target(request.prompt).split()) == 50


def test_several_pictures_have_a_mark_each():
    parts = evaluation_parts("[vqa] why?", 2, "<s>")
    assert parts == ["<s>[INST] <Img>", "</Img><Img>", "</Img> [vqa] why? [/INST]"]


@pytest.mark.parametrize("prompt", ["", "  ", "...", "[vqa]", "[vqa] (:)"])
def test_an_empty_question_is_refused(prompt):
    with pytest.raises(InputError, match="the question is empty"):
        PEFOMED.evaluated(Generate(prompt=prompt, images=PICTURE))


def test_an_image_mark_in_a_question_is_refused():
    with pytest.raises(InputError, match="an image mark in it"):
        PEFOMED.evaluated(Generate(prompt="what is <ImageHere>?", images=PICTURE))


def test_what_stands_before_the_last_end_of_the_instruction_is_cut():
    assert answer_of("[INST] again [/INST] yes [/INST] no") == "no"


def test_the_examples_in_the_docstrings_hold():
    for module in (medbench_pefomed.wording, medbench_pefomed.recipe):
        assert doctest.testmod(module).failed == 0
