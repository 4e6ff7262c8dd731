"""Putting LoRA layers of PEFT exactly where an adapter's file has tensors, and the tensors into them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from torch import nn

from medbench_torch import dialects
from medbench_torch.adapter_files import Adapter, AdapterError
from medbench_torch.weights import listing

_FIELDS = (
    "alpha_pattern",
    "exclude_modules",
    "fan_in_fan_out",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "modules_to_save",
    "r",
    "rank_pattern",
    "target_modules",
    "use_dora",
    "use_rslora",
)
_WRAPPABLE = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def wrap(model: nn.Module, adapter: Adapter, language_model: str, *, precise: bool) -> PeftModel:
    """Wrap the modules that an adapter has tensors for, and no others, and fill them.

    Args:
        model: The base, changed in place.
        adapter: The adapter.
        language_model: Full name of the module of the language model; empty: the model has none.
        precise: Keep the adapter in float32 whatever the base has, for merging.

    Raises:
        AdapterError: a tensor lands nowhere or is of another shape, or a module that the config names has none.
    """
    modules = dict(model.named_modules())
    names = {path: dialects.resolve(path, modules, language_model) for path in adapter.lora}
    _landed(adapter, names, type(model).__name__)
    saved = {key: dialects.resolve(key.rpartition(".")[0], modules, language_model) for key in adapter.saved}
    _saved_landed(adapter, saved)
    stated = _config(adapter)
    _is_whole(adapter, stated, modules, set(names.values()), language_model)
    config = _exact(adapter, stated, names, saved)
    with warnings.catch_warnings():
        # PEFT reads a name that transformers renames
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        wrapped = get_peft_model(model, config, autocast_adapter_dtype=precise)
    _fill(wrapped, adapter, names, saved)
    return wrapped


def _config(adapter: Adapter) -> LoraConfig:
    """Return the fields of the config that say which modules are wrapped and how, as PEFT reads them."""
    return LoraConfig(**{name: adapter.config[name] for name in _FIELDS if adapter.config.get(name) is not None})


def _landed(adapter: Adapter, names: Mapping[str, str], base: str) -> None:
    """Check that each LoRA module of the file is in the model."""
    lost = [path for path, name in names.items() if not name]
    if lost:
        said = f"{len(lost)} of {len(names)} LoRA modules (dialect {adapter.dialect}) are not in {base}: {listing(lost)}"
        hint = f"it was trained on {adapter.trained_on}" if adapter.trained_on else "is it an adapter of another base?"
        raise AdapterError(f"{adapter.folder}: {said}", hint=hint)


def _saved_landed(adapter: Adapter, saved: Mapping[str, str]) -> None:
    """Check that whole tensors in the file belong to modules that the config says were trained whole."""
    whole = adapter.config.get("modules_to_save") or []
    strays = [key for key, name in saved.items() if not name or not any(name.rpartition(".")[2] == part for part in whole)]
    if strays:
        said = f"modules_to_save names {', '.join(whole)}" if whole else "its config names no modules_to_save"
        raise AdapterError(f"{adapter.folder}: {len(strays)} tensors land nowhere ({listing(strays)})", hint=said)


def _is_whole(adapter: Adapter, config: LoraConfig, modules: Mapping[str, nn.Module], have: set[str], language_model: str) -> None:
    """Check that every module which the config would wrap has its tensors.

    Where the file touches nothing but the language model, only that is asked of it: suffixes such as `q_proj` also name
    modules of the vision tower, which the original code leaves alone.

    Raises:
        AdapterError: tensors of some are missing.
    """
    apart = bool(language_model) and all(_is_below(name, language_model) for name in have)
    wanted = {
        name
        for name, module in modules.items()
        if (_is_wrappable(module) and (not apart or _is_below(name, language_model)))
        and _is_target(config, dialects.spelled(name, adapter.dialect, language_model), name)
    }
    if missing := wanted - have:
        raise AdapterError(
            f"{adapter.folder}: its config names {len(wanted)} modules, and {len(missing)} of them have no tensors ({listing(missing)})",
            hint="the file is not whole, or the adapter is of a smaller base",
        )


def _is_below(name: str, language_model: str) -> bool:
    return name.startswith(f"{language_model}.") or name == "lm_head"


def _is_wrappable(module: nn.Module) -> bool:
    return isinstance(module, _WRAPPABLE) or type(module).__name__ in {"Conv1D", "Linear4bit", "Linear8bitLt"}


def _is_target(config: LoraConfig, spelled: str, name: str) -> bool:
    if config.target_modules == "all-linear":
        return name != "lm_head"
    return bool(check_target_module_exists(config, spelled))


def _exact(adapter: Adapter, stated: LoraConfig, names: Mapping[str, str], saved: Mapping[str, str]) -> LoraConfig:
    """Return a config that wraps the modules by their full names, each with the rank of its tensors and its stated alpha.

    Raises:
        AdapterError: config and tensors disagree on a rank.
    """
    ranks, alphas = {}, {}
    for path, name in names.items():
        kinds = adapter.lora[path]
        rank = (kinds["lora_A"] if "lora_A" in kinds else kinds["lora_embedding_A"]).shape[0]
        said = stated.rank_pattern.get(get_pattern_key(stated.rank_pattern.keys(), path), stated.r)
        if rank != said:
            raise AdapterError(
                f"{adapter.folder}: the config says r={said} for {path}, its tensors have {rank}",
                hint="config and file are of two adapters",
            )
        alpha = stated.alpha_pattern.get(get_pattern_key(stated.alpha_pattern.keys(), path), stated.lora_alpha)
        if rank != stated.r:
            ranks[name] = rank
        if alpha != stated.lora_alpha:
            alphas[name] = alpha
    return LoraConfig(
        r=stated.r,
        lora_alpha=stated.lora_alpha,
        lora_dropout=stated.lora_dropout,
        fan_in_fan_out=stated.fan_in_fan_out,
        use_rslora=stated.use_rslora,
        use_dora=stated.use_dora,
        rank_pattern=ranks,
        alpha_pattern=alphas,
        target_modules=sorted(names.values()),
        modules_to_save=sorted(set(saved.values())) or None,
        inference_mode=True,
    )


def _fill(wrapped: PeftModel, adapter: Adapter, names: Mapping[str, str], saved: Mapping[str, str]) -> None:
    """Copy the file's tensors into the layers; each side must have exactly what the other has, in its shape.

    Raises:
        AdapterError: it has not.
    """
    given: dict[str, torch.Tensor] = {}
    for path, kinds in adapter.lora.items():
        for kind, tensor in kinds.items():
            tail = "" if "embedding" in kind else ".weight"
            given[f"{dialects.PREFIX}{names[path]}.{kind}.default{tail}"] = tensor
    for key, tensor in adapter.saved.items():
        given[f"{dialects.PREFIX}{saved[key]}.modules_to_save.default.{key.rpartition('.')[2]}"] = tensor
    own: dict[str, Any] = {k: v for k, v in wrapped.state_dict().items() if ".lora_" in k or ".modules_to_save." in k}
    if astray := given.keys() ^ own.keys():
        raise AdapterError(f"{adapter.folder}: file and layers do not have the same tensors ({listing(astray)})", hint="is the file whole?")
    other = [
        f"{key.removeprefix(dialects.PREFIX)} {tuple(given[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if own[key].shape != given[key].shape
    ]
    if other:
        raise AdapterError(
            f"{adapter.folder}: {len(other)} tensors of another shape ({listing(other, 2)})", hint="an adapter of another base"
        )
    wrapped.load_state_dict(given, strict=False)
