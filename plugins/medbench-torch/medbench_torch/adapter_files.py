"""LoRA adapters as their files have them: config, tensors by module, the projector trained beside them; nothing is assumed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from medbench.types import Struct
from medbench_torch import dialects
from medbench_torch.weights import TRUST, WeightsError, digest, listing, read_json, read_pickle, read_tensors

_LORA = re.compile(r"\.(lora_(?:A|B|embedding_A|embedding_B|magnitude_vector))(?:\.default)?(?:\.weight)?$")
_PROJECTOR = re.compile(r"(?:^|\.)(?:mm_projector|multi_modal_projector)\.(.+)$")
_LAYERS = {"0": "linear_1", "2": "linear_2"}
"""The projector's layers in the original code (a Sequential) and in transformers."""


_OTHER_MATHS = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
"""Fields of PEFT's config that make something else of the tensors than base + alpha / r · B A."""
_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Ways to begin a training that leave the base as it is; others (PiSSA, OLoRA, LoftQ …) take their part out of it."""


class AdapterError(WeightsError):
    """An adapter that does not fit its base, is not whole, or changes nothing."""


class Adapter(Struct):
    """A LoRA adapter as its folder has it."""

    folder: Path
    config: dict[str, Any]
    """adapter_config.json; nothing in it is assumed."""
    dialect: str
    digest: str
    """Of every file in the folder."""
    lora: dict[str, dict[str, torch.Tensor]]
    """Module path as the file spells it -> `lora_A`, `lora_B` … -> tensor."""
    saved: dict[str, torch.Tensor] = {}
    """Tensors of modules that were trained whole (`modules_to_save`), by name as the file spells it."""
    projector: dict[str, torch.Tensor] | None = None
    """Tensors of the projector by their names in transformers (`linear_1.weight` …); None: the folder has none."""
    projector_trained: bool = False
    """The folder's config says that a projector was trained with it."""

    @property
    def r(self) -> int:
        """Return the rank that the config states."""
        return int(self.config["r"])

    @property
    def alpha(self) -> float:
        """Return the alpha that the config states."""
        return float(self.config["lora_alpha"])

    @property
    def trained_on(self) -> str:
        """Return the hub id of its base, if the config has one: a folder of whoever trained it says nothing and may name a person."""
        name = self.config.get("base_model_name_or_path")
        return name if isinstance(name, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name) else ""


def read_adapter(folder: str | Path, *, trust_pickle: bool = False) -> Adapter:
    """Read an adapter's folder: config, LoRA tensors, the projector trained beside them.

    Args:
        folder: With `adapter_config.json` and `adapter_model.safetensors` (or a trusted `.bin`); a projector is looked for
            among them and in `non_lora_trainables.*` or `mm_projector.*`.
        trust_pickle: Read pickled files.

    Raises:
        AdapterError: it is no LoRA adapter, torn, or of mixed dialects.
        WeightsError: a file is missing, cannot be read, or is a pickle.
    """
    path = Path(folder).expanduser()
    if not (path / "adapter_config.json").is_file():
        raise AdapterError(f"{path}: no adapter_config.json in it", hint="adapter= takes the folder that PEFT or LLaVA's training wrote")
    config = read_json(path / "adapter_config.json")
    _is_lora(path, config)
    stem = next((f for f in ("adapter_model.safetensors", "adapter_model.bin") if (path / f).is_file()), None)
    if stem is None:
        raise AdapterError(f"{path}: no adapter_model.safetensors in it", hint="the download is incomplete: fetch it again")
    tensors = read_tensors(path / stem, trust_pickle=trust_pickle)
    lora, others = _told_apart(tensors)
    if not lora:
        raise AdapterError(f"{path / stem}: no LoRA tensors in it ({listing(tensors)})", hint="is it a whole model? then weights=")
    dialect = dialects.inspect(lora)
    if dialect not in dialects.DIALECTS:
        raise AdapterError(f"{path / stem}: LoRA keys of two dialects, {dialect}", hint="the file is mixed of two adapters")
    _is_sound(path / stem, lora)
    extra = _beside(path, trust_pickle=trust_pickle)
    projector, saved = _projector(others | extra)
    if strays := saved.keys() & extra.keys():
        raise AdapterError(f"{path}: trained tensors that land nowhere ({listing(strays)})", hint="only LoRA and a projector are applied")
    return Adapter(
        folder=path,
        config=config,
        dialect=dialect,
        digest=digest(path),
        lora=lora,
        saved=saved,
        projector=projector or None,
        projector_trained=_trained_a_projector(path),
    )


def _is_lora(folder: Path, config: Mapping[str, Any]) -> None:
    file = folder / "adapter_config.json"
    if config.get("peft_type", "LORA") != "LORA":
        raise AdapterError(f"{file}: peft_type {config['peft_type']}", hint="only LoRA adapters are read")
    for key in ("r", "lora_alpha", "target_modules"):
        if not config.get(key):
            raise AdapterError(f"{file}: no {key} in it", hint="nothing is assumed of an adapter: write it down as it was trained")
    if config.get("bias", "none") != "none":
        raise AdapterError(f"{file}: bias={config['bias']} trains biases of the base", hint="only bias=none is read")
    if changed := [name for name in _OTHER_MATHS if config.get(name)]:
        raise AdapterError(f"{file}: {', '.join(changed)} is set", hint="LoRA, DoRA and rank-stabilised LoRA of modules are read")
    if config.get("init_lora_weights", True) not in _STARTS:
        start = config["init_lora_weights"]
        hint = "save it with PEFT's path_initial_model_for_weight_conversion, which makes it an adapter of the published base"
        raise AdapterError(f"{file}: init_lora_weights={start} changed the base before the training", hint=hint)


def _told_apart(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    """Return LoRA tensors by module path and kind, and all others by name, both without PEFT's prefix."""
    lora: dict[str, dict[str, torch.Tensor]] = {}
    others: dict[str, torch.Tensor] = {}
    for key, tensor in tensors.items():
        name = key.removeprefix(dialects.PREFIX)
        if found := _LORA.search(name):
            lora.setdefault(name[: found.start()], {})[found[1]] = tensor
        else:
            others[name] = tensor
    return lora, others


def _is_sound(file: Path, lora: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
    """Check what can be checked without a base: pairs are whole, numbers are numbers, something was learnt.

    Raises:
        AdapterError: it is not so.
    """
    halves = [
        path
        for path, kinds in lora.items()
        if not ({"lora_A", "lora_B"} <= kinds.keys() or {"lora_embedding_A", "lora_embedding_B"} <= kinds.keys())
    ]
    if halves:
        raise AdapterError(f"{file}: {len(halves)} modules have lora_A or lora_B alone ({listing(halves)})", hint="the file is not whole")
    if any(not torch.isfinite(tensor).all() for kinds in lora.values() for tensor in kinds.values()):
        raise AdapterError(f"{file}: NaN or infinity in it", hint="the training diverged")
    learnt = [tensor for kinds in lora.values() for kind, tensor in kinds.items() if kind in {"lora_B", "lora_embedding_A"}]
    if not any(tensor.any() for tensor in learnt):
        raise AdapterError(f"{file}: every lora_B is zero: it changes nothing", hint="was it saved before its training?")


def _beside(folder: Path, *, trust_pickle: bool) -> dict[str, torch.Tensor]:
    """Return what LLaVA's training keeps beside the LoRA tensors."""
    for name in ("non_lora_trainables", "mm_projector"):
        if (file := folder / f"{name}.safetensors").is_file():
            return {key.removeprefix(dialects.PREFIX): tensor for key, tensor in read_tensors(file).items()}
        if (file := folder / f"{name}.bin").is_file():
            if not trust_pickle:
                raise AdapterError(f"{file}: the projector is a pickle, which is not read", hint=TRUST)
            return {key.removeprefix(dialects.PREFIX): tensor for key, tensor in read_pickle(file, trust_pickle=True).items()}
    return {}


def _projector(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the projector's tensors by their names in transformers, and all others."""
    found: dict[str, torch.Tensor] = {}
    others: dict[str, torch.Tensor] = {}
    for key, tensor in tensors.items():
        if part := _PROJECTOR.search(key):
            layer, _, kind = part[1].removeprefix("modules_to_save.").partition(".")
            found[f"{_LAYERS.get(layer, layer)}.{kind}" if kind else layer] = tensor
        else:
            others[key] = tensor
    return found, others


def _trained_a_projector(folder: Path) -> bool:
    """Say whether LLaVA's config beside an adapter tells of a projector that was trained with it."""
    if not (folder / "config.json").is_file():
        return False
    config = read_json(folder / "config.json")
    return "mm_projector_type" in config and not config.get("freeze_mm_mlp_adapter", False)
