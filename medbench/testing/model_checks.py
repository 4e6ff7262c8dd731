"""What a model's card promises, tried out: one output of the right type per request, whatever the order and the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from medbench.builtin.executors.asking import METHODS
from medbench.builtin.executors.local import build
from medbench.cards import ModelCard
from medbench.errors import InputError
from medbench.options import convert_options
from medbench.types import Failed, HeatMap, Image, Output, Picture, Probabilities, Request, Text, Vector

ABSENT = "/nonexistent/medbench-check-model.png"
"""A picture that no machine has."""


def check_model(card: ModelCard, options: Mapping[str, Any], requests: Sequence[Request], *, tolerance: float = 1e-4) -> list[Output]:
    """Try out what a model promises, in this process, and return its outputs for `requests`.

    Args:
        card: The model's card.
        options: What it is built from; a model that is fitted needs `weights`.
        requests: At least two that it should be able to answer, of any types it is able to.
        tolerance: How far numbers may lie apart between two batches: absolute for probabilities, maps and log-probabilities,
            relative to the longest entry for vectors; in grey values of 0 to 255 for pictures, times 255. Texts must be equal.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    assert len(requests) >= 2, "give two requests or more: order and batches are tried"
    problems: list[Any] = []
    model = build(card, convert_options(_class(card), options, card.name, problems))
    assert not problems, f"{card.name}: {problems[0].message}"
    _has_methods(card, model)
    _states_plain_facts(card, model)
    together = _ask(card, model, requests)
    backwards = _ask(card, model, list(reversed(requests)))[::-1]
    alone = [_ask(card, model, [request])[0] for request in requests]
    for number, (request, output) in enumerate(zip(requests, together, strict=True)):
        assert not isinstance(output, Failed), f"{card.name}: request {number} failed: {output.error}"
        _is_sound(card, request, output)
        for other, how in ((backwards[number], "in reversed order"), (alone[number], "asked alone")):
            assert _alike(output, other, tolerance), f"{card.name}: request {number} gives {_short(other)} {how}, not {_short(output)}"
    _bears_a_missing_picture(card, model, requests)
    return together


def _class(card: ModelCard) -> Any:
    from medbench.registry import load  # noqa: PLC0415 - the one use of it

    return load(card)


def _has_methods(card: ModelCard, model: Any) -> None:
    for name in card.can:
        assert callable(getattr(model, name, None)), f"{card.name}: its card says it can {name}, its class has no such method"
    if card.fits != "never":
        assert callable(getattr(model, "fit", None)), f"{card.name}: its card says fits={card.fits!r}, its class has no method fit"


def _states_plain_facts(card: ModelCard, model: Any) -> None:
    facts = model.facts() if hasattr(model, "facts") else {}
    assert isinstance(facts, Mapping), f"{card.name}: facts() gives {type(facts).__name__}, not a mapping"
    try:
        msgspec.json.encode(msgspec.to_builtins(dict(facts)))
    except (TypeError, msgspec.MsgspecError) as error:
        raise AssertionError(f"{card.name}: facts() must be plain data: {error}") from error


def _ask(card: ModelCard, model: Any, requests: Sequence[Request]) -> list[Output]:
    """Return one output per request, in order, asking each method for the requests of its type."""
    made: dict[int, Output] = {}
    for kind, (name, expected) in METHODS.items():
        places = [place for place, request in enumerate(requests) if isinstance(request, kind)]
        if not places:
            continue
        assert name in card.can, f"{card.name}: a {name} request was given, its card says it can {' and '.join(card.can)}"
        replies = list(getattr(model, name)([requests[place] for place in places]))
        pairs = [reply if isinstance(reply, tuple) else (at, reply) for at, reply in enumerate(replies)]
        numbers = sorted(number for number, _ in pairs)
        assert numbers == list(range(len(places))), (
            f"{card.name}: {name} answered requests {numbers} of {len(places)}, not each of them once"
        )
        for number, output in pairs:
            assert isinstance(output, expected | Failed), (
                f"{card.name}: {name} gave {type(output).__name__}, not {expected.__name__} or Failed"
            )
            made[places[number]] = output
    return [made[place] for place in range(len(requests))]


def _is_sound(card: ModelCard, request: Request, output: Output) -> None:
    """Check what an output's type alone does not say."""
    if isinstance(output, Probabilities):
        assert output.labels == getattr(request, "labels", output.labels), (
            f"{card.name}: labels {output.labels} are not those of the request"
        )
        assert len(output.values) == len(output.labels), f"{card.name}: {len(output.values)} values for {len(output.labels)} labels"
        assert all(0.0 <= value <= 1.0 for value in output.values), f"{card.name}: {output.values} are not probabilities"
    elif isinstance(output, Vector):
        size = len(memoryview(output.data).cast("B"))
        assert size, f"{card.name}: a vector without a number"
        assert size % 4 == 0, f"{card.name}: a vector of {size} bytes is not made of float32"
    elif isinstance(output, HeatMap):
        assert len(output.grid) == output.rows * output.columns, (
            f"{card.name}: {len(output.grid)} cells for {output.rows} x {output.columns}"
        )
    elif isinstance(output, Picture):
        assert _pixels(output).size, f"{card.name}: an empty picture"
    elif isinstance(output, Text):
        options = set(getattr(request, "options", ()))
        assert set(output.option_logprobs) <= options, f"{card.name}: log-probabilities of options that were not given"


def _alike(one: Output, other: Output, tolerance: float) -> bool:
    import numpy as np  # noqa: PLC0415 - importing the kit stays cheap

    compare: dict[type[Any], Callable[[Any, Any], bool]] = {
        Text: lambda a, b: (
            a.text == b.text
            and a.option_logprobs.keys() == b.option_logprobs.keys()
            and all(abs(a.option_logprobs[o] - b.option_logprobs[o]) <= tolerance for o in a.option_logprobs)
        ),
        Probabilities: lambda a, b: a.labels == b.labels and np.allclose(a.values, b.values, rtol=0, atol=tolerance),
        Vector: lambda a, b: _near(a.array(), b.array(), tolerance * max(float(np.abs(a.array()).max()), 1e-12)),
        HeatMap: lambda a, b: a.box == b.box and _near(np.array(a.grid), np.array(b.grid), tolerance),
        Picture: lambda a, b: _near(_pixels(a), _pixels(b), 255 * tolerance),
    }
    return type(one) is type(other) and compare[type(one)](one, other)


def _near(one: Any, other: Any, tolerance: float) -> bool:
    import numpy as np  # noqa: PLC0415 - importing the kit stays cheap

    return one.shape == other.shape and bool(np.allclose(one, other, rtol=0, atol=tolerance))


def _pixels(picture: Picture) -> Any:
    import io  # noqa: PLC0415 - with the libraries of pictures

    import numpy as np  # noqa: PLC0415 - importing the kit stays cheap
    from PIL import Image as Pil  # noqa: PLC0415 - importing the kit stays cheap

    with Pil.open(io.BytesIO(picture.data)) as opened:
        return np.asarray(opened, dtype=np.float64)


def _short(output: Output) -> str:
    text = repr(output)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _bears_a_missing_picture(card: ModelCard, model: Any, requests: Sequence[Request]) -> None:
    """A picture that cannot be read may be ignored, given as `Failed(kind="input")`, or raised as `InputError`; nothing else."""
    request = next((request for request in requests if request.images), None)
    if request is None:
        return
    absent = Image(path=ABSENT, digest="0" * 32)
    broken = msgspec.structs.replace(request, images=(absent,) * len(request.images))
    try:
        output = _ask(card, model, [broken])[0]
    except InputError:
        return
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{card.name}: a picture that is not there raises {type(error).__name__}, not InputError") from error
    if isinstance(output, Failed):
        assert output.kind == "input", f"{card.name}: a picture that is not there fails as {output.kind!r}, not as 'input'"
