"""Asking the judge: once, and once more with the reason where a reply could not be used; every call is kept."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec

from medbench.types import Failed, Generate, Output, Request, Struct, Text
from medbench_judge.parsing import Unusable, refuses
from medbench_judge.quoting import quote

V = TypeVar("V")

ROLE = "judge"

Status = Literal["parsed", "empty", "unparsable", "refused", "failed"]
"""What came of asking: `empty` stands for a candidate without any text, which no judge is asked about."""

SHOWN = 300
"""So many characters of an unusable reply are shown when the judge is asked again."""


class Call(Struct, omit_defaults=True):
    """One question put to the judge, and what came of it."""

    purpose: str
    """`rate`, `again`, `shuffled`, `canary NAME` …; ` (re-ask)` behind it for the second attempt."""
    prompt: str
    """What was asked, from where the fixed instructions end."""
    status: Status
    reply: str = ""
    error: str = ""
    verdict: str = ""
    usage: dict[str, int] = {}


class Settled(msgspec.Struct, Generic[V], frozen=True):
    """What is known of one question after all attempts."""

    verdict: V | None
    status: Status
    calls: tuple[Call, ...]
    output: Text | None = None
    """The reply that the verdict was read from."""


class Question(msgspec.Struct, frozen=True):
    """What is asked, and what for."""

    purpose: str
    request: Generate


Conversation = Generator[tuple[str, list[Request]], list[Output], list[Settled[V]]]


def converse(questions: Sequence[Question], parse: Callable[[Text], V], shared: int) -> Conversation[V]:
    """Yield what is to be asked and return, question by question, what came of it.

    A reply that cannot be used is answered once with the reason; a question that failed, or that the endpoint filtered, is
    not asked again here: failures are the pipeline's to retry.

    Args:
        questions: What is asked.
        parse: Reads the verdict out of a reply; raises `Unusable`.
        shared: Characters at the start of every prompt that are the same for all, and are not kept with each call.
    """
    if not questions:
        return []
    replies = yield ROLE, [question.request for question in questions]
    settled = [_settle(question, reply, parse, shared) for question, reply in zip(questions, replies, strict=True)]
    open_ = [at for at, one in enumerate(settled) if one.status == "unparsable"]
    if open_:
        again = [_again(questions[at], settled[at].calls[0]) for at in open_]
        replies = yield ROLE, [question.request for question in again]
        for at, question, reply in zip(open_, again, replies, strict=True):
            second = _settle(question, reply, parse, shared)
            calls = settled[at].calls + second.calls
            # a second attempt that cannot be made (a prompt too long for the judge) leaves the first reply what it was
            kept = settled[at] if isinstance(reply, Failed) and reply.kind != "transient" else second
            settled[at] = msgspec.structs.replace(kept, calls=calls)
    return [_final(one) for one in settled]


def _settle(question: Question, reply: Output, parse: Callable[[Text], V], shared: int) -> Settled[V]:
    prompt = question.request.prompt[shared:]
    if isinstance(reply, Failed):
        return Settled(None, "failed", (Call(purpose=question.purpose, prompt=prompt, status="failed", error=reply.error),))
    assert isinstance(reply, Text)
    made: dict[str, Any] = {"purpose": question.purpose, "prompt": prompt, "reply": reply.text, "usage": reply.usage}
    if reply.finish_reason == "filter":
        return Settled(None, "refused", (Call(status="refused", error="the endpoint filtered the reply", **made),))
    try:
        verdict = parse(reply)
    except Unusable as error:
        cut = " (it was cut at the length limit)" if reply.finish_reason == "length" else ""
        return Settled(None, "unparsable", (Call(status="unparsable", error=f"{error}{cut}", **made),))
    shown = msgspec.json.encode(verdict, order="deterministic").decode()
    return Settled(verdict, "parsed", (Call(status="parsed", verdict=shown, **made),), reply)


def _again(question: Question, call: Call) -> Question:
    """Return the question with the reply that could not be used, quoted, and the reason."""
    reply = quote(call.reply, "EARLIER-REPLY", SHOWN)
    prompt = (
        f"{question.request.prompt}\n\nAn earlier reply to this could not be used: {call.error}. It was:\n{reply}\n"
        "Judge the material again and reply in the form that was asked for."
    )
    return Question(f"{question.purpose} (re-ask)", msgspec.structs.replace(question.request, prompt=prompt))


def _final(one: Settled[V]) -> Settled[V]:
    """Return an unusable reply that declines in words as what it is."""
    if one.status == "unparsable" and any(refuses(call.reply) for call in one.calls):
        return msgspec.structs.replace(one, status="refused")
    return one
