"""Text-to-image pipelines from folders: every tensor of every part comes from its file, and no filter is put behind them."""

from __future__ import annotations

import contextlib
import inspect
import logging
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import medbench_diffusion.diffusers_alone  # noqa: F401 - before diffusers and transformers: they find no torchvision

# isort: split
import diffusers
import torch
import transformers
from medbench_torch.devices import Placement, memory_guard
from medbench_torch.images import FILES, pil_processor
from medbench_torch.loading import load_model, quiet
from medbench_torch.weights import TRUST, WeightsError, find_weights, listing, read_json

from medbench.errors import UsageError, nearest

INDEX = "model_index.json"
UNFILTERED = ("safety_checker", "feature_extractor", "watermark")
"""Parts that look at finished pictures or mark them."""
KEPT = ("*.json", "*.txt", "*.model", "*/*.safetensors")
"""What is fetched of a hub repository: the parts, not the whole checkpoints that lie beside their folders."""
LEFT = ("safety_checker/*", "*.fp16.safetensors", "*.fp16-*.safetensors", "*.non_ema.safetensors", "*.onnx*", "*/openvino*")
COMBINED = "KandinskyV22CombinedPipeline"
DECODER = "KandinskyV22Pipeline"
PRIOR = "KandinskyV22PriorPipeline"


def fetch(weights: str, revision: str = "", *, trust_pickle: bool = False) -> Path:
    """Return the folder of a pipeline, which is fetched where it is a hub id.

    Raises:
        WeightsError: it is not there, or no pipeline of diffusers.
    """
    kept = (*KEPT, "*/*.bin") if trust_pickle else KEPT
    folder = find_weights(weights, revision=revision, trust_pickle=trust_pickle, kept=kept, left=LEFT)
    if (folder / "base" / INDEX).is_file():
        folder = folder / "base"
    if not (folder / INDEX).is_file():
        hint = "weights=FOLDER or a hub id of a pipeline; a single checkpoint file is converted by diffusers' from_single_file"
        raise WeightsError(f"{folder}: no {INDEX} in it: not a pipeline of diffusers", hint=hint)
    return folder


def load_pipeline(folder: Path, placement: Placement, *, prior: Path | None = None, trust_pickle: bool = False) -> Any:
    """Return the text-to-image pipeline of a folder on its device.

    Args:
        folder: With `model_index.json`.
        placement: Device and dtype.
        prior: Folder of Kandinsky's prior, where `folder` holds the decoder alone.
        trust_pickle: Read pickled weights.

    Raises:
        WeightsError: a part is missing or torn, has other tensors than its class, or the pipeline draws nothing from text alone.
        OutOfMemory: it does not fit.
    """
    named = class_of(folder)
    cls = getattr(diffusers, named)
    with quiet_diffusers():
        made = _assembled(cls, folder, placement, trust_pickle=trust_pickle)
        if named == DECODER:
            if prior is None:
                raise WeightsError(f"{folder}: Kandinsky's decoder alone", hint="prior=FOLDER names its prior")
            if class_of(prior) != PRIOR:
                raise WeightsError(f"{prior}: a {class_of(prior)}, not a {PRIOR}", hint="prior=FOLDER of kandinsky-2-2-prior")
            first = _assembled(getattr(diffusers, PRIOR), prior, placement, trust_pickle=trust_pickle)
            made = combined(made, first)
        with memory_guard():
            made = made.to(placement.device)
        made.set_progress_bar_config(disable=True)
    return made


def combined(decoder: Any, prior: Any) -> Any:
    """Return one pipeline of Kandinsky's two."""
    parts = {f"prior_{name}": part for name, part in prior.components.items()}
    return diffusers.KandinskyV22CombinedPipeline(**decoder.components, **parts)


def class_of(folder: Path) -> str:
    """Return the name of a folder's pipeline class.

    Raises:
        WeightsError: diffusers has no such class: code that a folder brings is never run.
    """
    named = str(read_json(folder / INDEX).get("_class_name", ""))
    with quiet_diffusers():  # it is imported now
        found = getattr(diffusers, named, None)
    if not isinstance(found, type):
        close = nearest(named, [name for name in dir(diffusers) if name.endswith("Pipeline")])
        hint = f"did you mean {close[0]}?" if close else "a newer diffusers may know it; code that a folder brings is never run"
        raise WeightsError(f"{folder / INDEX}: diffusers {diffusers.__version__} has no {named}", hint=hint)
    return named


def draws_from_text(folder: Path) -> None:
    """Check by its class that a folder's pipeline draws pictures from text alone.

    Raises:
        WeightsError: it needs a picture or something else.
    """
    named = class_of(folder)
    parameters = inspect.signature(getattr(diffusers, named).__call__).parameters
    needed = [name for name, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD and name != "self"]
    if named == DECODER or ("prompt" in parameters and set(needed) <= {"prompt"} and "image" not in parameters):
        return
    raise WeightsError(f"{folder}: a {named} does not draw from text alone", hint="a text-to-image pipeline")


def parts_of(pipe: Any) -> dict[str, torch.nn.Module]:
    """Return a pipeline's networks by name."""
    return {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}


def own_size(pipe: Any) -> int:
    """Return the side in pixels of the pictures that a pipeline was made for; 0: it does not say."""
    core = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    side = getattr(getattr(core, "config", None), "sample_size", None)
    return side * grain(pipe) if isinstance(side, int) else 0


def grain(pipe: Any) -> int:
    """Return how many pixels one step of the latent grid is."""
    decoder = getattr(pipe, "decoder_pipe", None)
    factor = getattr(decoder, "movq_scale_factor", None) or getattr(pipe, "vae_scale_factor", None)
    return int(factor or 8)


def multiple(pipe: Any) -> int:
    """Return what the sides of a picture must be multiples of, in pixels.

    Kandinsky rounds others up and draws a larger picture than was asked for; the rest refuses what is no multiple of 8.
    """
    step = grain(pipe)
    return step * step if hasattr(pipe, "decoder_pipe") else math.lcm(step, 8)


@contextlib.contextmanager
def quiet_diffusers() -> Iterator[None]:
    """Keep diffusers and transformers from printing bars, reports and advice: whoever runs a model hears of it from us."""
    level, hub = diffusers.utils.logging.get_verbosity(), logging.getLogger("huggingface_hub")
    heard = hub.level
    hub.setLevel(logging.ERROR)  # it warns of every README without a head
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    try:
        with quiet(), warnings.catch_warnings():
            for kind in (DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", kind)  # of its own code against newer numpy, torch and itself
            yield
    finally:
        hub.setLevel(heard)
        diffusers.utils.logging.set_verbosity(level)
        diffusers.utils.logging.enable_progress_bar()


def _assembled(cls: Any, folder: Path, placement: Placement, *, trust_pickle: bool) -> Any:
    """Return a pipeline whose networks were loaded one by one, strictly; the rest is the library's."""
    accepted = inspect.signature(cls.__init__).parameters
    given: dict[str, Any] = {}
    for name, entry in read_json(folder / INDEX).items():
        if name in UNFILTERED and name in accepted:
            given[name] = None
        elif isinstance(entry, list) and len(entry) == 2 and entry[0]:
            part = _part(folder / name, *entry, placement=placement, trust_pickle=trust_pickle)
            if part is not None:
                given[name] = part
    if "requires_safety_checker" in accepted:
        given["requires_safety_checker"] = False
    try:
        return cls.from_pretrained(folder, local_files_only=True, **given)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{folder}: cannot be loaded ({reason[:200]})", hint="is the folder whole?") from error


def _part(folder: Path, library: str, named: str, *, placement: Placement, trust_pickle: bool) -> Any:
    """Return a network of a pipeline, or an image processor of Pillow; None: it is neither, and the library's to load.

    Raises:
        WeightsError: it is missing, brings code, or its tensors are not its class's.
    """
    if library not in {"transformers", "diffusers"}:
        raise WeightsError(f"{folder}: of a module {library}", hint="code that a folder brings is never run")
    if not folder.is_dir():
        raise WeightsError(f"{folder}: no such folder, and {INDEX} names it", hint="the download is incomplete: fetch it again")
    if any((folder / name).is_file() for name in FILES) and not (folder / "config.json").is_file():
        return pil_processor(folder)
    cls = getattr(transformers if library == "transformers" else diffusers, named, None)
    if not isinstance(cls, type) or not issubclass(cls, torch.nn.Module):
        return None
    if library == "transformers":
        return load_model(cls, folder, placement, trust_pickle=trust_pickle)
    return _of_diffusers(cls, folder, placement, trust_pickle=trust_pickle)


def _of_diffusers(cls: Any, folder: Path, placement: Placement, *, trust_pickle: bool) -> Any:
    pickled = not any(folder.glob("*.safetensors"))
    if pickled and not trust_pickle:
        found = next(folder.glob("*.bin"), None)
        if found is None:
            raise WeightsError(f"{folder}: no weights in this folder", hint="looked for *.safetensors")
        raise WeightsError(f"{found}: a pickle, which is not read", hint=TRUST)
    try:
        with memory_guard():
            model, info = cls.from_pretrained(
                folder,
                torch_dtype=placement.dtype,
                use_safetensors=not pickled,
                local_files_only=True,
                output_loading_info=True,
                low_cpu_mem_usage=False,
            )
    except (OSError, ValueError, TypeError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"{folder}: cannot be loaded ({reason[:200]})", hint="are config and weights whole, and of one model?"
        ) from error
    faults = "; ".join(f"{len(info[key])} tensors {what} ({listing(info[key])})" for key, what in _FAULTS.items() if info.get(key))
    if faults:
        raise WeightsError(f"{folder}: not the weights of this {cls.__name__}: {faults}", hint="other weights, or their config")
    return model.eval()


_FAULTS = {"missing_keys": "missing", "unexpected_keys": "that the model does not have", "mismatched_keys": "of another shape"}


def check_prior(prior: str) -> None:
    """Refuse a prior for a pipeline that has none.

    Raises:
        UsageError: one was named.
    """
    if prior:
        raise UsageError(f"prior={prior}: only for weights that are Kandinsky's decoder alone", hint="leave prior out")
