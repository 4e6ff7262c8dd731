"""How a request becomes a prompt: the exact words, the text processing and the image marks of PeFoMed and MiniGPT-v2."""

from __future__ import annotations

import re
from typing import Literal

from medbench.errors import InputError
from medbench.types import Generate, Struct

IMAGE = "<Img><ImageHere></Img>"
PLACE = re.compile(r"<ImageHere>", re.IGNORECASE)
WORDS = 50
"""Words that PeFoMed's text processor keeps."""

ASKED = "[vqa] Based on the image, respond to this question with a short answer: {}"
BARE = "[vqa] {}"
QUESTIONS = (BARE, ASKED)
"""The two forms that PeFoMed's training draws from; evaluation has the second."""
INSTRUCTION = "Describe the given chest x-ray image in detail."
"""The first of the fifteen instructions that the released code draws from."""
Tag = Literal["caption", "report"]

_DROPPED = re.compile(r'[.!"()*#:;~]')
_SPACES = re.compile(r"\s{2,}")
_TAG = re.compile(r"\s*\[(vqa|caption|report|refer|identify|detection|grounding)\]\s*", re.IGNORECASE)


class Wording(Struct):
    """What a model of the family makes of requests.

    Source: https://github.com/jinlHe/PeFoMed (medical/vqa_datasets.py, report/iuxray_dataset.py, processors/blip_processors.py);
    https://github.com/Vision-CAIR/MiniGPT-4 (vqa_datasets.py, conversation.py).
    """

    processed: bool = True
    """Lower-case, punctuation dropped, cut to `WORDS`: PeFoMed's; MiniGPT-v2's evaluation leaves questions as they are."""
    instruction: Literal["published", "task"] = "published"
    """What asks for a report: `INSTRUCTION`, or the task's own words."""

    def evaluated(self, request: Generate) -> str:
        """Return the text behind the images of an evaluation.

        Raises:
            InputError: nothing is left of the question.
        """
        return self._finished(self._put(request, ASKED, "caption"), request)

    def trained(self, request: Generate, form: str, tag: Tag) -> str:
        """Return image marks and text of a training prompt, as PeFoMed's training processes them together.

        Args:
            request: What would be asked.
            form: One of `QUESTIONS`, for questions.
            tag: For reports.

        Raises:
            InputError: nothing is left of the question.
        """
        put = self._put(request, form, tag)
        return self._finished(f"{IMAGE * len(request.images)} {put}" if request.images else put, request)

    def target(self, text: str) -> str:
        """Return what is learnt as the answer: processed like the question."""
        return processed(text) if self.processed else text.strip()

    def _put(self, request: Generate, form: str, tag: Tag) -> str:
        said = request.prompt.strip()
        bare = _TAG.sub("", said, count=1) if _TAG.match(said) else said
        if not (processed(bare) if self.processed else bare):
            raise InputError("the question is empty" + (" once its punctuation is dropped" if bare else ""))
        if bare != said:
            return said
        if is_question(request):
            return form.format(said)
        return f"[{tag}] {INSTRUCTION if self.instruction == 'published' else said}"

    def _finished(self, text: str, request: Generate) -> str:
        if PLACE.search(request.prompt):
            raise InputError("the prompt has an image mark in it: images stand before the text in this model")
        return processed(text) if self.processed else text

    def facts(self) -> dict[str, str]:
        """Return what is worth recording."""
        written = self.evaluated(Generate(prompt="{question}", kind="question"))
        report = self.evaluated(Generate(prompt="{instruction}"))
        return {"prompt": f"<s>[INST] {IMAGE} {written} [/INST]", "report_prompt": f"<s>[INST] {IMAGE} {report} [/INST]"}


def is_question(request: Generate) -> bool:
    """Say whether a request is a question rather than an instruction: it has a kind, options, or a question mark at its end.

    >>> is_question(Generate(prompt="Is the heart enlarged?")), is_question(Generate(prompt="Describe the findings."))
    (True, False)
    """
    return bool(request.kind or request.options) or request.prompt.rstrip().endswith("?")


def processed(text: str) -> str:
    """Return text as PeFoMed's processor leaves it.

    >>> processed("[vqa] Is the Heart (RV) enlarged?  Yes/no: ")
    '[vqa] is the heart rv enlarged? yes/no'
    """
    bare = _SPACES.sub(" ", _DROPPED.sub(" ", text.lower())).rstrip("\n").strip(" ")
    return " ".join(bare.split(" ")[:WORDS])


def evaluation_parts(text: str, images: int, bos: str) -> list[str]:
    """Return the pieces of a prompt between its images; the tokenizer puts a second `bos` before the first, as published.

    >>> evaluation_parts("[vqa] why?", 1, "<s>")
    ['<s>[INST] <Img>', '</Img> [vqa] why? [/INST]']
    """
    shown = f"{IMAGE * images} {text}" if images else text
    return PLACE.split(f"{bos}[INST] {shown} [/INST]")


def training_parts(text: str) -> list[str]:
    """Return the pieces of a training prompt, whose image marks are in lower case already.

    >>> training_parts("<img><imagehere></img> [vqa] why?")
    ['[INST] <img>', '</img> [vqa] why? [/INST]']
    """
    return PLACE.split(f"[INST] {text} [/INST]")


def answer_of(text: str) -> str:
    """Return an answer without what a model repeats of its prompt.

    >>> answer_of("[/INST] no ")
    'no'
    """
    return text.rpartition("[/INST]")[2].strip()
