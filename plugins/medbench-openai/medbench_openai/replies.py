"""From the body of a good reply to a text: finish reason, tokens, refusals, and the probabilities of given options."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Literal

import msgspec

from medbench.costs import INPUT, OUTPUT
from medbench.types import Generate, Text

REASONS: dict[str | None, Literal["stop", "length", "filter"]] = {"stop": "stop", "length": "length", "content_filter": "filter"}


class Malformed(Exception):  # noqa: N818 - a state of the reply, told by its name
    """The reply has status 200 and is no completion."""


class _Rival(msgspec.Struct, frozen=True):
    token: str
    logprob: float


class _Token(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    top_logprobs: list[_Rival] = []


class _Logprobs(msgspec.Struct, frozen=True):
    content: list[_Token] | None = None


class _Message(msgspec.Struct, frozen=True):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice]
    usage: _Usage | None = None
    model: Any = None


LONGEST_NAME = 200
"""Letters of a model's name that are kept, whatever an endpoint says."""

_decoder = msgspec.json.Decoder(_Completion)


def read(content: bytes, request: Generate) -> Text:
    """Return what the model wrote.

    Raises:
        Malformed: the body is not JSON, not a completion, or has no choice.
    """
    try:
        completion = _decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise Malformed(f"the reply is no completion ({str(error).partition(' - at')[0]})") from None
    if not completion.choices:
        raise Malformed("the reply is a completion without a choice")
    choice = completion.choices[0]
    text = _text(choice.message)
    tokens = (choice.logprobs.content or []) if choice.logprobs else []
    found = option_logprobs(tokens, text, request.options) if request.options and tokens else {}
    return Text(
        text=text or choice.message.refusal or "",
        finish_reason="filter" if choice.message.refusal else REASONS.get(choice.finish_reason, ""),
        usage=_usage(completion.usage),
        served=_name(completion.model),
        option_logprobs=found,
        covered=min(1.0, math.fsum(math.exp(value) for value in found.values())),
    )


def _name(said: Any) -> str:
    """Return a model's name as it can be shown."""
    return "".join(letter for letter in said[:LONGEST_NAME] if letter.isprintable()) if isinstance(said, str) else ""


def _text(message: _Message) -> str:
    if isinstance(message.content, list):
        return "".join(str(part.get("text", "")) for part in message.content if part.get("type") == "text")
    return message.content or ""


def _usage(usage: _Usage | None) -> dict[str, int]:
    if usage is None:
        return {}
    counted = {
        INPUT: usage.prompt_tokens,
        OUTPUT: usage.completion_tokens,
        "cached_tokens": usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None,
        "reasoning_tokens": usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else None,
    }
    return {name: count for name, count in counted.items() if count is not None and (count or name in {INPUT, OUTPUT})}


def option_logprobs(tokens: Sequence[_Token], text: str, options: Sequence[str]) -> dict[str, float]:
    """Return the log-probability of each option that stood among the rivals of the token where the answer begins.

    An endpoint gives no probability of whole strings. A rival token counts for the option that it is, or that alone begins
    with it, spaces, quotes and case apart; a token that begins several options counts for none. In a reply that is a JSON
    object, the answer is the last of its values that is an option.
    """
    place = _answer_at(text, options)
    at = _token_at(tokens, text, place)
    if at is None:
        return {}
    plain = {option: option.casefold() for option in options}
    masses: dict[str, list[float]] = {}
    for rival in tokens[at].top_logprobs or [_Rival(tokens[at].token, tokens[at].logprob)]:
        begun = rival.token.strip().strip("\"'*{: ").casefold()
        alike = [option for option, said in plain.items() if said == begun] or [o for o, said in plain.items() if said.startswith(begun)]
        if begun and len(alike) == 1:
            masses.setdefault(alike[0], []).append(math.exp(rival.logprob))
    sums = {option: math.fsum(masses[option]) for option in options if option in masses}
    return {option: math.log(mass) for option, mass in sums.items() if mass > 0.0}


def _answer_at(text: str, options: Sequence[str]) -> int | None:
    """Return at which character the answer begins; None: nowhere."""
    if not text.lstrip().startswith("{"):
        return len(text) - len(text.lstrip(" \t\r\n\"'*"))
    written = "|".join(re.escape(option) for option in sorted(options, key=len, reverse=True))
    found = list(re.finditer(rf':\s*"?(?P<value>{written})"?\s*[,}}]', text, re.IGNORECASE))
    return found[-1].start("value") if found else None


def _token_at(tokens: Sequence[_Token], text: str, place: int | None) -> int | None:
    """Return which token holds a character; None: the tokens do not spell the text."""
    if place is None or "".join(token.token for token in tokens) != text:
        return 0 if tokens and place == 0 else None
    ends = accumulate(len(token.token) for token in tokens)
    return next((at for at, end in enumerate(ends) if place < end), None)
