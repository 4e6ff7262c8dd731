"""Loading strictly: every tensor of the model comes from its weights, every tensor of the weights lands in the model."""

from __future__ import annotations

import contextlib
import importlib.metadata
import pickle
import platform
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from medbench.errors import UsageError, nearest
from medbench_torch.devices import Placement, memory_guard, place
from medbench_torch.weights import (
    PICKLES,
    TRUST,
    WeightsError,
    checkpoint_files,
    digest,
    find_weights,
    listing,
    read_json,
)

LIBRARIES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors", "pillow", "numpy")
_CONVERT = "python -m medbench_torch.convert llava FOLDER OUT makes a folder that transformers loads"
_STALE = re.compile(r"rotary_emb\.inv_freq$|(^|\.)position_ids$")
"""Buffers that older versions saved and newer ones compute."""


def load_model(
    cls: Any, weights: str | Path, placement: Placement, *, revision: str = "", trust_pickle: bool = False, **kwargs: Any
) -> nn.Module:
    """Return a pretrained model in evaluation mode on its device, or say in one line why these weights are not its own.

    Args:
        cls: A class of transformers (or an `Auto…` class) with `from_pretrained`.
        weights: Folder or hub id; see `find_weights`.
        placement: Device, dtype and attention.
        revision: Branch, tag or commit of a hub repository.
        trust_pickle: Read pickled weights.
        **kwargs: Passed on to `from_pretrained`.

    Raises:
        UsageError: the model has no such kind of attention.
        WeightsError: a tensor is missing, left over or of another shape; a file is missing, torn or a pickle; the
            folder is of another kind of model.
        OutOfMemory: the model does not fit.
    """
    folder = find_weights(weights, revision=revision, trust_pickle=trust_pickle)
    more = _readable(cls, folder, trust_pickle=trust_pickle)
    with memory_guard():
        model, info = _from_pretrained(cls, folder, placement, kwargs | more)
        _is_strict(folder, type(model).__name__, info)
        moved: nn.Module = model.to(placement.device)
    return moved.eval()


def check_weights(cls: Any, folder: Path, *, trust_pickle: bool = False) -> None:
    """Check by names and shapes alone that a folder holds the weights of a model: nothing is loaded, whatever its size.

    Args:
        cls: As for `load_model`.
        folder: The folder.
        trust_pickle: Read pickled weights.

    Raises:
        WeightsError: as from `load_model`.
    """
    more = _readable(cls, folder, trust_pickle=trust_pickle)
    model, info = _from_pretrained(cls, folder, place("cpu"), {"device_map": "meta"} | more)
    _is_strict(folder, type(model).__name__, info)


def _readable(cls: Any, folder: Path, *, trust_pickle: bool) -> dict[str, Any]:
    """Return what `from_pretrained` must be told about the form of the weights, all files of which are there.

    Raises:
        WeightsError: a file is missing, a pickle that is not trusted, or the folder is of another kind of model.
    """
    _is_a_model_of(cls, folder)
    pickled = [file for file in checkpoint_files(folder) if file.suffix in PICKLES]
    if pickled and not trust_pickle:
        raise WeightsError(f"{pickled[0]}: a pickle, which is not read", hint=TRUST)
    return {"use_safetensors": False} if pickled else {}


def strict_state(module: nn.Module, state: Mapping[str, torch.Tensor], *, ignore: Iterable[str] = (), source: str = "") -> None:
    """Fill a module from a state dict whose names and shapes are exactly its own.

    Args:
        module: What is filled, in place; tensors take its dtype and device.
        state: Tensors by name.
        ignore: Regular expressions (searched) of names that may be missing from either side.
        source: Where the state comes from, for messages.

    Raises:
        WeightsError: a tensor is missing, left over or of another shape.
    """
    check_state(module, state, ignore=ignore, source=source)
    own = module.state_dict()
    module.load_state_dict({key: state[key] for key in own.keys() & state.keys()}, strict=False)


def check_state(module: nn.Module, state: Mapping[str, torch.Tensor], *, ignore: Iterable[str] = (), source: str = "") -> None:
    """Check what `strict_state` checks and fill nothing: the module may be on the meta device, whatever its size.

    Raises:
        WeightsError: a tensor is missing, left over or of another shape.
    """
    passing = [re.compile(pattern) for pattern in ignore]
    own = module.state_dict()
    info = {
        "missing_keys": {key for key in own.keys() - state.keys() if not any(p.search(key) for p in passing)},
        "unexpected_keys": {key for key in state.keys() - own.keys() if not any(p.search(key) for p in passing)},
        "mismatched_keys": {
            (key, tuple(state[key].shape), tuple(own[key].shape)) for key in own.keys() & state.keys() if own[key].shape != state[key].shape
        },
    }
    _is_strict(source or "the weights", type(module).__name__, info)


def facts(
    model: nn.Module, placement: Placement, *, weights: str | Path = "", adapter: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return what is known of a model only after loading, as plain data for the record.

    Args:
        model: The loaded model, an adapter merged or in place.
        placement: Where it runs.
        weights: File or folder of its weights, whose digest is among the facts; empty: it has none (`untrained`).
        adapter: Facts from `apply_adapter`.
        **more: Further facts; they win over those found here.
    """
    path = Path(weights).expanduser() if weights else None
    found: dict[str, Any] = {
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "dtype": _dtype_of(model),
        "device": placement.device.type,
        "device_name": _device_name(placement.device),
        "attention": _attention_of(model, placement),
        "image_backend": "pil",
        "weights_digest": digest(path) if path and path.exists() else "",
        "untrained": path is None,
        "versions": versions(),
    }
    if adapter is not None:
        found["adapter"] = dict(adapter)
    return found | more


def versions() -> dict[str, str]:
    """Return the version of each library that outputs may depend on, and of Python."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _is_a_model_of(cls: Any, folder: Path) -> None:
    """Judge by the config alone whether the folder can hold a model of this class: before any weight is read.

    Raises:
        WeightsError: it holds something else.
    """
    if not folder.is_dir():
        raise WeightsError(f"{folder}: a file; this model is loaded from a folder with config.json", hint="name the folder")
    if (folder / "adapter_config.json").is_file():
        raise WeightsError(f"{folder}: an adapter, not a model", hint=f"weights=BASE adapter={folder}")
    if not (folder / "config.json").is_file():
        hint = "config.json, *.safetensors and the tokenizer's files belong into one folder"
        raise WeightsError(f"{folder}: no config.json in this folder", hint=hint)
    config = read_json(folder / "config.json")
    kind = config.get("model_type")
    if not kind:
        raise WeightsError(f"{folder / 'config.json'}: no model_type in it", hint="is it a folder of transformers?")
    if "mm_vision_tower" in config and "text_config" not in config:
        raise WeightsError(f"{folder}: an original LLaVA checkpoint (model_type {kind} with mm_vision_tower)", hint=_CONVERT)
    known = transformers.CONFIG_MAPPING.keys()
    if kind not in known:
        raise WeightsError(
            f"{folder / 'config.json'}: model_type {kind} is unknown to transformers {transformers.__version__}", hint=_advice(config)
        )
    wanted = getattr(getattr(cls, "config_class", None), "model_type", None)
    if wanted and kind != wanted:
        raise WeightsError(
            f"{folder}: a {kind} model, not {wanted} ({cls.__name__})", hint="other weights, or the model that these are for"
        )


def _advice(config: Mapping[str, Any]) -> str:
    kind = config["model_type"]
    if kind in {"llava_mistral", "llava_llama"}:
        return _CONVERT
    if "auto_map" in config:
        return "the folder brings code of its own, which is never run"
    close = nearest(kind, transformers.CONFIG_MAPPING.keys())
    return f"did you mean {close[0]}?" if close else "a newer transformers may know it"


def _from_pretrained(cls: Any, folder: Path, placement: Placement, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    fixed = {
        "dtype": placement.dtype,
        "local_files_only": True,
        "output_loading_info": True,
        # reported by us, with the names and both shapes
        "ignore_mismatched_sizes": True,
    }
    with quiet():
        try:
            return cls.from_pretrained(folder, attn_implementation=placement.attn, **fixed, **given)  # type: ignore[no-any-return]
        except ValueError as error:
            if "attention" not in str(error) and "attn_implementation" not in str(error):
                raise _broken(folder, error) from error
            if placement.attn_asked:
                raise UsageError(f"attn={placement.attn}: {cls.__name__} does not have it", hint="attn=eager, or auto") from error
            return cls.from_pretrained(folder, attn_implementation="eager", **fixed, **given)  # type: ignore[no-any-return]
        except torch.OutOfMemoryError:
            raise
        except (OSError, RuntimeError, TypeError, AttributeError, KeyError, pickle.UnpicklingError) as error:
            raise _broken(folder, error) from error


def _broken(folder: Path, error: Exception) -> Exception:
    """Return what to raise for weights that transformers refuses; running out of memory stays what it is."""
    text = str(error)
    if "can't allocate memory" in text or "out of memory" in text:
        return error
    reason = " ".join(text.split())
    return WeightsError(f"{folder}: cannot be loaded ({reason[:200]})", hint="are config.json and weights whole, and of one model?")


def _is_strict(source: str | Path, model: str, info: Mapping[str, Any]) -> None:
    """Raise unless names and shapes agree, saying what does not.

    Raises:
        WeightsError: they do not.
    """
    shapes = [f"{key} {_shape(there)} for {_shape(wanted)}" for key, there, wanted in info["mismatched_keys"]]
    unexpected = [key for key in info["unexpected_keys"] if not _STALE.search(key)]
    faults = [
        (shapes, "of another shape"),
        (info["missing_keys"], "missing"),
        (unexpected, "that the model does not have"),
    ]
    said = [f"{len(keys)} tensor{'s' if len(keys) > 1 else ''} {what} ({listing(keys)})" for keys, what in faults if keys]
    if info.get("error_msgs"):
        said.append(" ".join(str(info["error_msgs"][0]).split())[:200])
    if said:
        raise WeightsError(
            f"{source}: not the weights of this {model}: {'; '.join(said)}", hint="other weights, or a config that is theirs"
        )


def _shape(shape: Iterable[int]) -> str:
    return "×".join(str(size) for size in shape) or "()"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing reports and progress bars: whoever runs a model hears of it from us."""
    level = transformers.logging.get_verbosity()
    bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()


def _dtype_of(model: nn.Module) -> str:
    """Return the dtype that most parameters have."""
    counts: Counter[str] = Counter()
    for parameter in model.parameters():
        counts[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
    return counts.most_common(1)[0][0] if counts else ""


def _attention_of(model: nn.Module, placement: Placement) -> str:
    return str(getattr(getattr(model, "config", None), "_attn_implementation", None) or placement.attn)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
