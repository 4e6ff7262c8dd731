"""From a request to the body of a call: messages, pictures, and the parameters under the names that the endpoint knows."""

from __future__ import annotations

from typing import Any

import msgspec

from medbench.types import Generate, Struct
from medbench_openai.pictures import Pictures

LARGEST_SEED = 2**63 - 1


class Wording(Struct):
    """How calls are put to one endpoint: everything that is the same for all of them."""

    name: str
    """The model, as the endpoint knows it."""
    system: str = ""
    detail: str = ""
    tokens_field: str = "max_tokens"
    send_temperature: bool = True
    logprobs: bool = True
    schema: str = "json_schema"
    seed: int | None = None
    effort: str = ""
    room: int = 0
    """Tokens for reasoning, on top of those for the answer."""
    extra: dict[str, Any] = {}


async def body_of(request: Generate, wording: Wording, pictures: Pictures) -> bytes:
    """Return the body of a call as JSON.

    Raises:
        InputError: a picture cannot be decoded.
    """
    content = await _content(request, wording, pictures)
    messages = [{"role": "system", "content": wording.system}] if wording.system else []
    body: dict[str, Any] = {
        "model": wording.name,
        "messages": [*messages, {"role": "user", "content": content}],
        wording.tokens_field: request.max_new_tokens + wording.room,
        **_sampling(request, wording),
        **_shape(request, wording),
        **wording.extra,
    }
    return msgspec.json.encode(body)


async def _content(request: Generate, wording: Wording, pictures: Pictures) -> str | list[dict[str, Any]]:
    """Return text alone as a string, which every endpoint takes; pictures go before it, named where there are several."""
    if not request.images:
        return request.prompt
    parts: list[dict[str, Any]] = []
    for number, image in enumerate(request.images, 1):
        if len(request.images) > 1:
            parts.append({"type": "text", "text": f"Image {number}{f' ({image.role})' if image.role != 'image' else ''}:"})
        shown = {"url": await pictures.uri(image), **({"detail": wording.detail} if wording.detail else {})}
        parts.append({"type": "image_url", "image_url": shown})
    return [*parts, {"type": "text", "text": request.prompt}]


def _sampling(request: Generate, wording: Wording) -> dict[str, Any]:
    made: dict[str, Any] = {"temperature": request.temperature} if wording.send_temperature else {}
    if wording.seed is not None or request.temperature > 0:
        seed = request.seed if wording.seed is None else wording.seed
        made["seed"] = (seed + request.repeat) & LARGEST_SEED
    if request.stop:
        made["stop"] = list(request.stop)
    if wording.effort:
        made["reasoning_effort"] = wording.effort
    return made


def _shape(request: Generate, wording: Wording) -> dict[str, Any]:
    """Return what is asked of the answer's form: a JSON schema, log-probabilities of the options."""
    made: dict[str, Any] = {}
    if request.schema and wording.schema == "json_schema":
        schema = {"name": "answer", "strict": True, "schema": msgspec.json.decode(request.schema)}
        made["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.schema and wording.schema == "json_object":
        made["response_format"] = {"type": "json_object"}
    if wording.logprobs and (request.options or request.top_logprobs):
        made |= {"logprobs": True, "top_logprobs": min(20, request.top_logprobs or 20)}
    return made
