from __future__ import annotations

import doctest

import pytest
from medbench_llava import templates
from medbench_llava.templates import TEMPLATES, VICUNA, rendered, template_named

from medbench.errors import InputError, UsageError
from medbench.types import Generate, Image

ONE = Image(path="a.png", digest="a")


def test_prompts_are_those_of_the_original_code():
    asked = Generate(prompt="Is there an effusion?", images=(ONE,))
    assert rendered(TEMPLATES["llava-v1"], asked) == f"{VICUNA} USER: <image>\nIs there an effusion? ASSISTANT:"
    assert VICUNA.startswith("A chat between a curious user and an artificial intelligence assistant. The assistant gives")
    assert rendered(TEMPLATES["llava-hf"], asked) == "USER: <image>\nIs there an effusion? ASSISTANT:"
    assert rendered(TEMPLATES["mistral-instruct"], asked) == "[INST] <image>\nIs there an effusion? [/INST]"
    assert rendered(TEMPLATES["plain"], Generate(prompt="hi")) == "hi"


def test_several_pictures_stand_in_order_and_are_named_where_their_roles_differ():
    alike = Generate(prompt="Compare.", images=(ONE, ONE))
    assert rendered("{images}{prompt}", alike) == "<image>\n<image>\nCompare."
    apart = Generate(prompt="Compare.", images=(Image(role="frontal"), Image(role="prior")))
    assert rendered("{images}{prompt}", apart) == "frontal: <image>\nprior: <image>\nCompare."


def test_a_prompt_may_place_its_pictures_itself():
    asked = Generate(prompt="Before <image> and after <image>?", images=(ONE, ONE))
    assert rendered("USER: {images}{prompt}", asked) == "USER: Before <image> and after <image>?"
    with pytest.raises(InputError, match="1 <image> for 2 images"):
        rendered("{images}{prompt}", Generate(prompt="Only <image>", images=(ONE, ONE)))
    with pytest.raises(InputError, match="1 <image> for 0 images"):
        rendered("{images}{prompt}", Generate(prompt="Only <image>"))


def test_what_a_prompt_holds_is_never_taken_for_a_place_of_the_template():
    assert rendered("{images}{prompt}", Generate(prompt="{images} {prompt}", images=(ONE,))) == "<image>\n{images} {prompt}"


def test_a_template_is_a_name_or_a_text_with_a_prompt():
    assert template_named("llava-v1") == TEMPLATES["llava-v1"]
    assert template_named("Q: {images}{prompt} A:") == "Q: {images}{prompt} A:"
    assert template_named("Q: {prompt}") == "{images}Q: {prompt}"
    with pytest.raises(UsageError, match="not known") as caught:
        template_named("llavav1")
    assert caught.value.hint == "did you mean llava-v1?"


def test_examples_in_the_docstrings():
    assert doctest.testmod(templates).failed == 0
