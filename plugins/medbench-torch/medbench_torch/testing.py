"""What every torch plugin promises, tried out on a tiny model: functions that a plugin's tests call."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import load_file, save_file

from medbench.builtin.executors.asking import METHODS
from medbench.errors import MedbenchError
from medbench.types import Failed, Output, Probabilities, Request, Text, Vector

FACTS = ("n_parameters", "dtype", "device", "attention", "image_backend", "weights_digest", "untrained", "versions")
"""What `facts()` of a torch model has at least."""
ADAPTER_FACTS = ("digest", "dialect", "r", "alpha", "modules", "merged")

Make = Callable[..., Any]
"""Builds a plugin's model from keyword options, as an executor does."""
Probe = Callable[[Any], torch.Tensor]
"""Returns logits (or any tensor) that a plugin's model computes for a fixed input."""


def check_batch_equals_single(model: Any, requests: Sequence[Request], *, tolerance: float = 1e-4) -> list[Output]:
    """Check that a request's output does not depend on what is asked beside it, nor in which order.

    Texts, their ends and their token counts must be equal, which greedy decoding in fp32 gives; numbers may differ a little.

    Args:
        model: A plugin's model in fp32.
        requests: Two or more, of one type, of different lengths.
        tolerance: Largest difference of log-probabilities, probabilities and vectors' entries (relative to their largest).

    Returns:
        The outputs, in order.

    Raises:
        AssertionError: an output differs or failed.
    """
    assert len(requests) >= 2, "give two requests or more"
    together = asked(model, requests)
    backwards = asked(model, requests[::-1])[::-1]
    for number, request in enumerate(requests):
        alone = asked(model, [request])[0]
        for other, how in ((alone, "alone"), (backwards[number], "in reversed order")):
            said = f"request {number} {how}: {other!r:.200} instead of {together[number]!r:.200}"
            assert _equal(together[number], other, tolerance), said
    return together


def check_adapter_is_no_noop(make: Make, adapter: str | Path, probe: Probe, *, base: str = "") -> None:
    """Check that an adapter changes the model, and that one which would change nothing is refused.

    Args:
        make: Takes `adapter=FOLDER`.
        adapter: Folder of an adapter as safetensors.
        probe: What is compared.
        base: Value of `adapter` that stands for none.

    Raises:
        AssertionError: the adapter changes nothing, or an empty or misnamed one was accepted.
    """
    having, lacking = probe(make(adapter=str(adapter))), probe(make(adapter=base))
    assert not torch.equal(having, lacking), f"{adapter} changes nothing"
    with tempfile.TemporaryDirectory() as folder:
        for name, change in (("zero", _zeroed), ("astray", _astray)):
            copy = shutil.copytree(adapter, Path(folder) / name)
            file = copy / "adapter_model.safetensors"
            save_file(change(load_file(file)), file)
            try:
                make(adapter=str(copy))
            except MedbenchError:
                continue
            raise AssertionError(f"an adapter that changes nothing was accepted: its keys are {name}")


def check_reload_gives_same(make: Make, probe: Probe, **options: Any) -> None:
    """Check that building a model twice from the same files gives the same numbers, to the bit.

    Raises:
        AssertionError: they differ.
    """
    first, again = probe(make(**options)), probe(make(**options))
    assert torch.equal(first, again), f"loaded twice, it differs by {(first - again).abs().max():.3g}"


def check_facts_complete(model: Any, *, adapter: bool = False, more: Iterable[str] = ()) -> dict[str, Any]:
    """Check that a model states all that a record needs, as plain data, and return it.

    Args:
        model: A plugin's model.
        adapter: It was built with an adapter, whose facts stand under `adapter`.
        more: Further names that must be there.

    Raises:
        AssertionError: something is missing, or is no plain data.
    """
    facts: dict[str, Any] = dict(model.facts())
    missing = [name for name in (*FACTS, *more) if name not in facts]
    assert not missing, f"facts() lacks {', '.join(missing)}"
    assert facts["n_parameters"] > 0, "facts() counts no parameter"
    assert facts["untrained"] is not bool(facts["weights_digest"]), "facts(): a model has weights, or it is untrained"
    assert {"torch", "python"} <= facts["versions"].keys(), "facts(): versions of torch and python"
    if adapter:
        stated = facts.get("adapter")
        assert isinstance(stated, Mapping), "facts() has no adapter"
        absent = [name for name in ADAPTER_FACTS if name not in stated]
        assert not absent, f"facts()['adapter'] lacks {', '.join(absent)}"
    msgspec.json.encode(msgspec.to_builtins(facts))
    return facts


def asked(model: Any, requests: Sequence[Request]) -> list[Output]:
    """Return a model's outputs for requests of one type, in order.

    Raises:
        AssertionError: not each request was answered once.
    """
    name, _ = METHODS[type(requests[0])]
    made: dict[int, Output] = {}
    for position, reply in enumerate(getattr(model, name)(list(requests))):
        number, output = reply if isinstance(reply, tuple) else (position, reply)
        assert number not in made, f"request {number} was answered twice"
        made[number] = output
    assert sorted(made) == list(range(len(requests))), f"answered {sorted(made)} of {len(requests)}"
    return [made[number] for number in range(len(requests))]


def _equal(one: Output, other: Output, tolerance: float) -> bool:
    assert not isinstance(one, Failed), f"it failed: {one.error}"
    if type(one) is not type(other):
        return False
    if isinstance(one, Text):
        plain = msgspec.structs.replace(one, option_logprobs={}, covered=0.0)
        same = plain == msgspec.structs.replace(other, option_logprobs={}, covered=0.0)
        numbers = [(one.covered, other.covered), *((value, other.option_logprobs.get(o, 1.0)) for o, value in one.option_logprobs.items())]
        return same and all(abs(a - b) <= tolerance for a, b in numbers)
    if isinstance(one, Probabilities):
        return one.labels == other.labels and _near(one.values, other.values, tolerance)
    if isinstance(one, Vector):
        return _near(one.array(), other.array(), tolerance * max(float(abs(one.array()).max()), 1e-12))
    return one == other


def _near(one: Sequence[float], other: Sequence[float], tolerance: float) -> bool:
    return len(one) == len(other) and all(abs(float(a) - float(b)) <= tolerance for a, b in zip(one, other, strict=True))


def _zeroed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor * 0 if "lora_B" in name else tensor for name, tensor in tensors.items()}


def _astray(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace("layers.", "blocks."): tensor for name, tensor in tensors.items()}
