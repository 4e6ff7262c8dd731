"""What asking costs: prices, tokens counted, an order of magnitude beforehand, and a budget that is not exceeded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medbench.cards import ModelCard
from medbench.errors import QuotaExhausted
from medbench.types import Generate, Output, Request, Struct, Text

MILLION = 1_000_000
INPUT, OUTPUT = "input_tokens", "output_tokens"
"""Under what names `Text.usage` counts tokens."""
PICTURE_TOKENS = 1_000
"""What a picture is taken for before one was asked about."""
LETTERS = 4
"""Bytes of text to a token, about."""

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class Price(Struct):
    """What tokens cost, in US dollars for a million."""

    input: float
    output: float
    source: str = ""
    """Who says so."""

    def of(self, usage: Mapping[str, int]) -> float:
        """Return what an answer cost, in US dollars."""
        return (usage.get(INPUT, 0) * self.input + usage.get(OUTPUT, 0) * self.output) / MILLION


class Bill(Struct):
    """What the outputs of a run took."""

    answers: int = 0
    """Outputs that state how many tokens they took."""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None
    """US dollars; None: no price is known."""
    price: Price | None = None
    served: dict[str, int] = {}
    """Model that the endpoint says it answered with -> outputs of it."""


class Estimate(Struct):
    """What calls would take, to the order of magnitude."""

    calls: int
    input_tokens: int
    """About so many: text by its length, 1,000 for each picture."""
    output_tokens: int
    """At most so many."""
    usd: float | None = None
    """At most about so many US dollars; None: no price is known."""
    price: Price | None = None


def price_of(card: ModelCard, options: Mapping[str, Any]) -> Price | None:
    """Return what a model's tokens cost: as the user says, else by the card's table; None: nobody says.

    The table is for the address that the card stands for, so an option `base_url` rules it out; a name that ends in a date
    has the price of the name without it.
    """
    given = options.get("price_in"), options.get("price_out")
    if None not in given:
        return Price(input=float(str(given[0])), output=float(str(given[1])), source="as stated by the user")
    name = str(options.get("name", ""))
    found = card.prices.get(name) or card.prices.get(_DATED.sub("", name))
    if found is None or options.get("base_url"):
        return None
    return Price(input=found[0], output=found[1], source=card.prices_from)


def bill(outputs: Iterable[Output], price: Price | None) -> Bill:
    """Return what outputs took, by the tokens that they state, and from whom they are."""
    texts = [output for output in outputs if isinstance(output, Text)]
    stated = [text.usage for text in texts if INPUT in text.usage or OUTPUT in text.usage]
    tokens_in, tokens_out = (sum(usage.get(name, 0) for usage in stated) for name in (INPUT, OUTPUT))
    usd = round(price.of({INPUT: tokens_in, OUTPUT: tokens_out}), 6) if price else None
    served = Counter(text.served for text in texts if text.served)
    return Bill(
        answers=len(stated), input_tokens=tokens_in, output_tokens=tokens_out, usd=usd, price=price, served=dict(sorted(served.items()))
    )


def together(bills: Sequence[Bill]) -> Bill:
    """Return the sum of several bills of one model."""
    known = [one.usd for one in bills if one.usd is not None]
    served = sum((Counter(one.served) for one in bills), Counter())
    return Bill(
        answers=sum(one.answers for one in bills),
        input_tokens=sum(one.input_tokens for one in bills),
        output_tokens=sum(one.output_tokens for one in bills),
        usd=round(sum(known), 6) if known else None,
        price=bills[0].price,
        served=dict(sorted(served.items())),
    )


def estimate(requests: Iterable[Request], price: Price | None, room: int = 0) -> Estimate:
    """Return what requests would take.

    Args:
        requests: All that would be asked.
        price: Of the model's tokens.
        room: Tokens that each answer may take beyond the request's own limit (reasoning).
    """
    calls = tokens_in = tokens_out = 0
    for request in requests:
        calls += 1
        tokens_in += expected_input(request)
        tokens_out += most_output(request) + room
    usd = price.of({INPUT: tokens_in, OUTPUT: tokens_out}) if price else None
    return Estimate(calls=calls, input_tokens=tokens_in, output_tokens=tokens_out, usd=usd, price=price)


def expected_input(request: Request) -> int:
    """Return about how many tokens a request has."""
    text = "".join(getattr(request, field, "") for field in ("prompt", "text", "phrase", "schema"))
    return len(text.encode()) // LETTERS + PICTURE_TOKENS * len(request.images) + 8


def most_output(request: Request) -> int:
    """Return how many tokens an answer may have."""
    return request.max_new_tokens if isinstance(request, Generate) else 0


def in_words(tokens_in: int, tokens_out: int, usd: float | None, price: Price | None) -> str:
    """Return what was or would be taken, on one line.

    >>> in_words(41200, 512, 1.08, Price(input=2.5, output=10.0, source="OpenAI's list, March 2026"))
    "41,200 tokens in · 512 out · $1.08 (OpenAI's list, March 2026)"
    """
    cost = "no price is known" if usd is None else dollars(usd)
    return f"{tokens_in:,} tokens in · {tokens_out:,} out · {cost}{f' ({price.source})' if price and price.source else ''}"


def served_in_words(served: Mapping[str, int]) -> str:
    """Return which models an endpoint answered with; several, under one name, are several systems.

    >>> served_in_words({"gpt-4o-2024-08-06": 120})
    'by gpt-4o-2024-08-06'
    >>> served_in_words({"gpt-4o-2024-08-06": 120, "gpt-4o-2024-11-20": 3})
    'by 2 models under one name: gpt-4o-2024-08-06 (120), gpt-4o-2024-11-20 (3)'
    """
    if len(served) == 1:
        return f"by {next(iter(served))}"
    return f"by {len(served)} models under one name: {', '.join(f'{name} ({count:,})' for name, count in sorted(served.items()))}"


class Budget:
    """Money that may be spent: each call sets its worst case aside before it is made, and gives back what it did not take.

    How many tokens a request really has is learnt from the answers: what is set aside follows the highest ratio seen between
    tokens billed and tokens expected.

    Args:
        price: Of the model's tokens; None: nothing is counted.
        most: US dollars; None: no limit.
        room: Tokens that each answer may take beyond the request's own limit.

    >>> budget = Budget(Price(input=0.0, output=10.0), most=0.002)
    >>> first = budget.reserve(Generate(prompt="?", max_new_tokens=128))
    >>> budget.reserve(Generate(prompt="?", max_new_tokens=128)) is None
    True
    >>> budget.settle(Generate(prompt="?"), first, {"input_tokens": 9, "output_tokens": 2})
    >>> round(budget.spent, 6)
    2e-05
    """

    def __init__(self, price: Price | None, most: float | None, room: int = 0) -> None:
        self._price = price
        self._most = most
        self._room = room
        self._reserved = 0.0
        self._ratio = 1.0
        self.spent = 0.0

    def reserve(self, request: Request) -> float | None:
        """Set the worst case of a call aside and return it; None: it might exceed the budget."""
        if self._price is None or self._most is None:
            return 0.0
        expected = {INPUT: round(self._ratio * expected_input(request)), OUTPUT: most_output(request) + self._room}
        worst = self._price.of(expected)
        if self.spent + self._reserved + worst > self._most:
            return None
        self._reserved += worst
        return worst

    def settle(self, request: Request, reserved: float, usage: Mapping[str, int] | None) -> None:
        """Give back what was set aside for a call, and count what it took; None: it was not answered."""
        self._reserved = max(0.0, self._reserved - reserved)
        if self._price is None or usage is None:
            return
        self.spent += self._price.of(usage)
        self._ratio = max(self._ratio, usage.get(INPUT, 0) / expected_input(request))

    def exhausted(self) -> QuotaExhausted:
        """Return what to raise when the next call might exceed the budget."""
        return QuotaExhausted(
            f"the next call might exceed the budget: of {dollars(self._most or 0.0)} that were left, {dollars(self.spent)} are spent",
            hint="what was answered is kept; the same command with a higher --max-cost goes on with it",
        )


def dollars(usd: float) -> str:
    """Return an amount as it is read: cents, and four digits below a dollar.

    >>> dollars(12.3456), dollars(0.01234), dollars(0.0)
    ('$12.35', '$0.0123', '$0')
    """
    if usd == 0:
        return "$0"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}"
