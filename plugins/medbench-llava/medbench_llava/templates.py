"""How a request becomes the text of a prompt: the exact words that each family of models was trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medbench.errors import InputError, UsageError, nearest
from medbench.types import Generate, Image

IMAGE = "<image>"
"""Where a picture stands in a prompt."""

VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)

TEMPLATES = {
    "llava-v1": f"{VICUNA} USER: {{images}}{{prompt}} ASSISTANT:",
    "llava-hf": "USER: {images}{prompt} ASSISTANT:",
    "mistral-instruct": "[INST] {images}{prompt} [/INST]",
    "plain": "{images}{prompt}",
}
"""`llava-v1` is the original evaluation's, with its system sentence; `llava-hf` is what the chat template of the published
conversion says, without it; `mistral-instruct` is LLaVA-Med 1.5's. A tokenizer puts the first token itself."""

_PLACES = re.compile(r"\{(images|prompt)\}")


def template_named(name: str) -> str:
    """Return a template by its name, or the text itself where it is one.

    Raises:
        UsageError: there is none of that name, or the text has no `{prompt}`.
    """
    if name in TEMPLATES:
        return TEMPLATES[name]
    if "{prompt}" in name:
        return name if "{images}" in name else f"{{images}}{name}"
    close = nearest(name, TEMPLATES)
    said = f"did you mean {close[0]}?" if close else f"one of {', '.join(TEMPLATES)}, or a text with {{images}} and {{prompt}}"
    raise UsageError(f"template={name}: not known", hint=said)


def rendered(template: str, request: Generate) -> str:
    """Return the prompt of a request, with one `<image>` for each of its pictures, in their order.

    Several pictures of different roles are named by their role, one a line. A prompt that has as many `<image>` as there are
    pictures (the LLaVA instruction format) says itself where they stand.

    Raises:
        InputError: the prompt has places for another number of pictures than the request has.
    """
    places = request.prompt.count(IMAGE)
    if places not in {0, len(request.images)}:
        raise InputError(f"the prompt has {places} {IMAGE} for {len(request.images)} images")
    parts = {"images": "" if places else image_places(request.images), "prompt": request.prompt}
    return _PLACES.sub(lambda found: parts[found[1]], template)


def image_places(images: Sequence[Image]) -> str:
    r"""Return a line for each picture.

    >>> image_places([Image(role="frontal"), Image(role="lateral")])
    'frontal: <image>\nlateral: <image>\n'
    """
    named = len({image.role for image in images}) > 1
    return "".join(f"{image.role}: {IMAGE}\n" if named else f"{IMAGE}\n" for image in images)
