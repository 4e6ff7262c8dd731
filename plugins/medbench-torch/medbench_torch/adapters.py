"""LoRA adapters applied so that none can be silently wrong: what is in the file is in the model, and changes what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from medbench.errors import UsageError
from medbench_torch.adapter_files import Adapter, AdapterError, read_adapter
from medbench_torch.loading import strict_state

__all__ = ["Adapter", "AdapterError", "Probe", "apply_adapter", "read_adapter"]

Probe = Callable[[Any], torch.Tensor]
"""Runs the model on a fixed input and returns its logits."""


def apply_adapter(
    model: nn.Module,
    adapter: Adapter,
    *,
    probe: Probe,
    merge: bool = True,
    language_model: str = "language_model",
    projector: str = "multi_modal_projector",
    needs_projector: bool = False,
) -> tuple[nn.Module, dict[str, Any]]:
    """Put an adapter into its base, in place, and prove that it is there.

    Every LoRA tensor lands in a module of its shape; every module that the config names has its tensors; the logits of
    `probe` differ with and without them, before merging.

    Args:
        model: The base.
        adapter: From `read_adapter`.
        probe: Called with the model, with and without the adapter; returns logits.
        merge: Add the adapter to the weights; false keeps it apart (slower; needed on a quantised base).
        language_model: Last part of the name of the language model's module.
        projector: Last part of the name of the projector's module.
        needs_projector: The adapter means nothing without its own projector.

    Returns:
        The model itself, and facts for the record: digest, dialect, r, alpha, modules, merged, projector.

    Raises:
        AdapterError: names or shapes are of another base, the adapter is not whole, or it changes nothing.
        UsageError: merging is asked for on a quantised base.
    """
    # here, since a model without adapter needs no PEFT, whose import takes as long as that of transformers
    from medbench_torch.wrapping import wrap  # noqa: PLC0415

    if merge and _is_quantised(model):
        raise UsageError(
            "merge=true: the base is quantised, and merging into it rounds the adapter away", hint="merge=false, or quantize off"
        )
    _put_projector(model, adapter, projector, needed=needs_projector or adapter.projector_trained)
    trunk = _full_name(model, language_model)
    wrapped = wrap(model, adapter, trunk, precise=merge)
    _changes_something(wrapped, model, adapter, probe)
    if merge:
        model = _merged(wrapped, adapter)
    return model.eval(), _facts(adapter, merged=merge)


def _facts(adapter: Adapter, *, merged: bool) -> dict[str, Any]:
    ranks = sorted({tensors["lora_A"].shape[0] for tensors in adapter.lora.values() if "lora_A" in tensors})
    return {
        "digest": adapter.digest,
        "dialect": adapter.dialect,
        "r": adapter.r,
        "ranks": ranks,
        "alpha": adapter.alpha,
        "modules": len(adapter.lora),
        "merged": merged,
        "projector": adapter.projector is not None,
        "saved_tensors": len(adapter.saved),
        "trained_on": adapter.trained_on,
    }


def _put_projector(model: nn.Module, adapter: Adapter, name: str, *, needed: bool) -> None:
    if adapter.projector is None:
        if needed:
            hint = "LLaVA's training writes it as non_lora_trainables.bin beside the adapter: copy it there"
            raise AdapterError(f"{adapter.folder}: no projector in it, and the adapter was trained with one", hint=hint)
        return
    full = _full_name(model, name)
    if not full:
        raise AdapterError(f"{adapter.folder}: brings a projector, and {type(model).__name__} has none", hint="adapter of another base?")
    strict_state(model.get_submodule(full), adapter.projector, source=f"{adapter.folder}: its projector")


def _full_name(model: nn.Module, last: str) -> str:
    """Return the shortest module name that ends in a part; empty: there is none."""
    return min((name for name, _ in model.named_modules() if name.rpartition(".")[2] == last), key=len, default="")


def _is_quantised(model: nn.Module) -> bool:
    config = getattr(model, "config", None)
    if getattr(model, "is_quantized", False) or getattr(config, "quantization_config", None) is not None:
        return True
    return any(not parameter.is_floating_point() for parameter in model.parameters())


def _changes_something(wrapped: Any, model: nn.Module, adapter: Adapter, probe: Probe) -> None:
    """Compare logits with and without the adapter.

    Raises:
        AdapterError: they are the same.
    """
    model.eval()
    with torch.inference_mode():
        having = probe(model)
        with wrapped.disable_adapter():
            lacking = probe(model)
    if not torch.isfinite(having).all():
        raise AdapterError(
            f"{adapter.folder}: the logits with this adapter are not numbers", hint="another dtype, or a base that is its own"
        )
    if torch.equal(having, lacking):
        raise AdapterError(
            f"{adapter.folder}: the logits are the same with and without it", hint="the adapter is of another base, or untrained"
        )


def _merged(wrapped: Any, adapter: Adapter) -> nn.Module:
    try:
        merged: nn.Module = wrapped.merge_and_unload(safe_merge=True)
    except (ValueError, NotImplementedError) as error:
        raise AdapterError(f"{adapter.folder}: cannot be merged ({error})", hint="merge=false keeps it apart") from error
    return merged
