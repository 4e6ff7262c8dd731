"""What a reply that is no answer means: wait, try again, a fault of this one request, or the end of the run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from medbench.errors import MedbenchError, QuotaExhausted, UsageError
from medbench.types import Failed, Text

QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "quota_exceeded"}
FILTERED = {"content_filter", "content_policy_violation", "data_inspection_failed", "ResponsibleAIPolicyViolation"}
TOO_LONG = {"context_length_exceeded", "string_above_max_length", "max_tokens_exceeded"}
UNSUPPORTED = {"unsupported_parameter", "unsupported_value", "unknown_parameter"}
NAMES = ("logprobs", "response_format", "max_completion_tokens")
"""Parameters that an endpoint names when it knows no code for what it does not support; no prompt has such words."""
AGAIN = {408, 409, 425}
QUOTED = 200
"""Characters of an endpoint's message that are passed on."""


class Throttled(Exception):  # noqa: N818 - a state of the endpoint, told by its name
    """The endpoint asks for patience: the call is put again, however often; it never becomes a failed sample."""

    def __init__(self, wait_s: float | None) -> None:
        super().__init__()
        self.wait_s = wait_s


class Again(Exception):  # noqa: N818 - what is to be done, told by its name
    """The call may succeed when it is put again."""

    def __init__(self, why: str, *, wait_s: float | None = None, overloaded: bool = False, unreachable: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.wait_s = wait_s
        self.overloaded = overloaded
        """Whether fewer calls at once would help."""
        self.unreachable = unreachable
        """Whether nobody listens at the endpoint."""


class Settled(Exception):  # noqa: N818 - an outcome, not a fault
    """The call has its output, though not by an answer of the model."""

    def __init__(self, output: Text | Failed) -> None:
        super().__init__()
        self.output = output


class _Told(msgspec.Struct, frozen=True):
    """What an endpoint says about an error."""

    message: str
    codes: frozenset[str]


def judged(status: int, headers: Mapping[str, str], content: bytes, endpoint: str) -> Exception:
    """Return what an HTTP status that is no success means, as the exception to raise.

    Args:
        status: HTTP status, 300 or more.
        headers: Of the reply, with lower-case names.
        content: Body of the reply.
        endpoint: The endpoint's address, for messages.
    """
    told = _told(content)
    if status == 402 or told.codes & QUOTA:
        return QuotaExhausted(
            f"{endpoint}: the quota is used up ({status})", hint="what was answered is kept; the same command goes on with it"
        )
    if status == 429:
        return Throttled(retry_after(headers))
    if status in AGAIN or status >= 500:
        return Again(f"the endpoint answered {status}", wait_s=retry_after(headers), overloaded=status in {503, 504, 529})
    if told.codes & FILTERED:
        return Settled(Text(text="", finish_reason="filter"))
    stop = _stop(status, told, endpoint)
    if stop is not None:
        return stop
    kind = "input" if status == 413 or told.codes & TOO_LONG else "model"
    return Settled(Failed(kind=kind, error=f"the endpoint refuses the request ({status}): {told.message}"))  # type: ignore[arg-type]


def _stop(status: int, told: _Told, endpoint: str) -> MedbenchError | None:
    """Return why no call can succeed as the run is set up; None: it may be this request alone."""
    if 300 <= status < 400:
        return UsageError(f"{endpoint} sends calls elsewhere ({status})", hint="name the final address as base_url")
    if status == 401:
        return UsageError(f"{endpoint} does not accept the key (401)", hint="OPENAI_API_KEY, or key_env=NAME of the variable that holds it")
    if status in {404, 405}:
        return UsageError(f"{endpoint}: no such model or address ({status}): {told.message}", hint="check name= and base_url=", quotes=True)
    if status in {400, 422} and (told.codes & UNSUPPORTED or any(name in told.message for name in NAMES)):
        hint = "send_temperature=omit, tokens_field=max_completion_tokens, logprobs=omit or schema=off may be what it needs"
        return UsageError(f"{endpoint} does not take a parameter: {told.message}", hint=hint, quotes=True)
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the endpoint asks to wait: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date.

    >>> retry_after({"retry-after": "2.5"}), retry_after({"retry-after-ms": "50"}), retry_after({"retry-after": "soon"})
    (2.5, 0.05, None)
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with contextlib.suppress(KeyError, ValueError):
            seconds = float(headers[name]) * unit
            if 0 <= seconds < float("inf"):
                return seconds
    with contextlib.suppress(KeyError, ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    return None


def _told(content: bytes) -> _Told:
    """Return what the body of an error says, whatever its shape."""
    try:
        body: Any = msgspec.json.decode(content)
    except msgspec.DecodeError:
        body = {}
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        error = {}
    codes = {str(error[name]) for name in ("code", "type") if error.get(name)}
    inner = error.get("innererror")
    if isinstance(inner, dict) and inner.get("code"):
        codes.add(str(inner["code"]))
    message = " ".join(str(error.get("message") or "it does not say why").split())
    return _Told(message=message[:QUOTED], codes=frozenset(codes))
