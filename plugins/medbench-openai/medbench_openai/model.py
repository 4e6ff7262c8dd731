"""The model `openai`: a chat endpoint, asked by the openai SDK with its own retries switched off."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from queue import SimpleQueue
from typing import Any, Literal

import msgspec

from medbench.cards import ModelCard
from medbench.costs import Budget, price_of
from medbench.errors import Problem, UsageError
from medbench.types import Generate, Output, Text
from medbench_openai.address import HOME, against_address, against_key, is_home, key_of
from medbench_openai.body import Wording, body_of
from medbench_openai.failures import Again, judged
from medbench_openai.limiter import Limiter
from medbench_openai.line import Line
from medbench_openai.pictures import Pictures
from medbench_openai.replies import Malformed, read
from medbench_openai.session import Endpoint, Session

REASONING = re.compile(r"(o\d|gpt-5)(?!.*chat)")
"""OpenAI's names of models that take neither a temperature nor log-probabilities."""
Choice = Literal["auto", "send", "omit"]


class OpenAI:
    """A chat endpoint.

    Args:
        name: The model, as the endpoint knows it; `openai:NAME` says the same.
        base_url: Address of the endpoint, up to and with `/v1`.
        local: States that a loopback endpoint answers on this machine (a tunnel would not): it then gets data under an
            agreement; proxies of the environment are not used.
        key_env: Name of the environment variable that holds the key. Default: `OPENAI_API_KEY` for OpenAI, none elsewhere.
        system: System message.
        concurrency: Calls in flight at most; how many there are follows from how the endpoint bears them.
        max_side: Longest side of a picture, in pixels; larger ones are scaled down.
        image_format: `jpeg` or `png`.
        quality: Of JPEG, 1 to 100.
        detail: `low`, `high` or `auto`, where the endpoint knows it.
        tokens_field: The limit's name; auto: `max_completion_tokens` at OpenAI, `max_tokens` elsewhere.
        send_temperature: auto: not to OpenAI's reasoning models, which refuse it.
        logprobs: Whether probabilities are asked for where a request has options; auto: not of reasoning models.
        schema: How a JSON schema is passed on: `json_schema`, `json_object` (that it is JSON) or `off`.
        effort: Reasoning effort, where the endpoint knows it.
        reasoning_tokens: Tokens for reasoning, on top of those for the answer.
        seed: Seed of every call; None: a request's own where it samples, none otherwise.
        extra: JSON object whose members are added to every call.
        timeout_s: Longest time for one call, in seconds.
        retries: How often a call that failed (5xx, time-out, broken connection, a reply that is no completion) is put again.
        patience_s: Longest time that every call may be throttled before the run stops, in seconds.
        price_in: US dollars for a million tokens in.
        price_out: US dollars for a million tokens out.
        max_cost: US dollars that may be spent.
        workers: Threads that encode pictures; 0: one for each core, at most 8.
    """

    def __init__(
        self,
        *,
        name: str = "",
        base_url: str = HOME,
        local: bool = False,
        key_env: str = "",
        system: str = "",
        concurrency: int = 64,
        max_side: int = 1024,
        image_format: Literal["jpeg", "png"] = "jpeg",
        quality: int = 95,
        detail: Literal["", "auto", "low", "high"] = "",
        tokens_field: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto",
        send_temperature: Choice = "auto",
        logprobs: Choice = "auto",
        schema: Literal["json_schema", "json_object", "off"] = "json_schema",
        effort: str = "",
        reasoning_tokens: int = 0,
        seed: int | None = None,
        extra: str = "",
        timeout_s: float = 120.0,
        retries: int = 6,
        patience_s: float = 900.0,
        price_in: float | None = None,
        price_out: float | None = None,
        max_cost: float | None = None,
        workers: int = 0,
    ) -> None:
        from medbench_openai import CARD  # noqa: PLC0415 - the card names this module

        given = {"name": name, "local": local, "key_env": key_env, "extra": extra, "price_in": price_in, "price_out": price_out}
        if not is_home(base_url):
            given["base_url"] = base_url
        _, problems = self.settled(CARD, given)
        if problems:
            raise UsageError(problems[0].message, hint=problems[0].hint)
        self._base_url = base_url.rstrip("/")
        self._local = local
        self._key = key_of(base_url, key_env)
        self._image = {"max_side": max_side, "format": image_format, **({"quality": quality} if image_format == "jpeg" else {})}
        reasons = is_home(base_url) and bool(REASONING.match(name))
        self._wording = Wording(
            name=name,
            system=system,
            detail=detail,
            tokens_field=_tokens_field(tokens_field, base_url),
            send_temperature=send_temperature == "send" or (send_temperature == "auto" and not reasons),
            logprobs=logprobs == "send" or (logprobs == "auto" and not reasons),
            schema=schema,
            seed=seed,
            effort=effort,
            room=reasoning_tokens,
            extra=_extra(extra),
        )
        budget = Budget(price_of(CARD, given), max_cost, room=reasoning_tokens)
        self._endpoint = Endpoint(self._base_url, Limiter(max(1, concurrency)), budget, retries, patience_s)
        self._pictures = Pictures(max_side, image_format, quality, workers)
        self._line = Line(self._base_url, self._key, timeout_s, local=local, concurrency=max(1, concurrency))
        weakref.finalize(self, _close, self._line, self._pictures)

    @classmethod
    def settled(cls, card: ModelCard, options: Mapping[str, Any]) -> tuple[ModelCard, list[Problem]]:
        """Return the card as it stands, and what speaks against the options, before anything is sent. No value is quoted."""
        base_url, key_env = str(options.get("base_url") or HOME), str(options.get("key_env") or "")
        problems = against_address(base_url, local=bool(options.get("local")), given="base_url" in options)
        problems += against_key(base_url, key_env)
        if not options.get("name"):
            problems.append(Problem("openai needs the name of a model", "openai:NAME, or --model-option name=NAME"))
        if (options.get("price_in") is None) != (options.get("price_out") is None):
            problems.append(Problem("price_in and price_out go together", "US dollars for a million tokens, each"))
        try:
            _extra(str(options.get("extra") or ""))
        except UsageError as error:
            problems.append(Problem(error.message, error.hint))
        return card, problems

    def facts(self) -> dict[str, Any]:
        """Return how calls are put: everything that the endpoint's answers may depend on."""
        wording = msgspec.to_builtins(self._wording)
        return {
            "endpoint": self._base_url,
            "local": self._local,
            "image": self._image,
            "call": {name: value for name, value in wording.items() if name not in {"name", "detail"} and value not in ("", {}, None)},
            "openai": version("openai"),
        }

    def generate(self, requests: Sequence[Generate]) -> Iterator[tuple[int, Output]]:
        """Yield (index, output) as answers arrive.

        Raises:
            MedbenchError: a quota or the budget is used up, or the endpoint cannot be used as it is set up.
        """
        arrived: SimpleQueue[tuple[int, Output] | None] = SimpleQueue()

        async def run() -> None:
            try:
                await Session(self._endpoint, requests, self._call, arrived.put).run()
            finally:
                arrived.put(None)

        under_way = self._line.start(run())
        try:
            while (answer := arrived.get()) is not None:
                yield answer
            under_way.result()
        finally:
            under_way.cancel()

    async def _call(self, request: Generate) -> Text:
        """Put one request to the endpoint once."""
        content = await body_of(request, self._wording, self._pictures)
        status, headers, reply = await self._line.post(content)
        if status >= 300:
            raise judged(status, headers, self._scrubbed(reply), self._base_url)
        try:
            return read(reply, request)
        except Malformed as malformed:
            raise Again(str(malformed)) from None

    def _scrubbed(self, reply: bytes) -> bytes:
        """Return what an endpoint says without the key, which some quote."""
        return reply.replace(self._key.encode(), b"***") if self._key else reply


def _close(line: Line, pictures: Pictures) -> None:
    pictures.close()
    line.close()


def _tokens_field(stated: str, base_url: str) -> str:
    return stated if stated != "auto" else "max_completion_tokens" if is_home(base_url) else "max_tokens"


def _extra(text: str) -> dict[str, Any]:
    """Return the members that are added to every call.

    Raises:
        UsageError: it is not a JSON object.
    """
    try:
        made = msgspec.json.decode(text, type=dict[str, Any]) if text else {}
    except msgspec.MsgspecError as error:
        raise UsageError(f"extra is not a JSON object: {error}", hint="extra='{\"top_k\": 1}'") from None
    return made
