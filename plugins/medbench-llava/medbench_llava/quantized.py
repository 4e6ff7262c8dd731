"""Weights in 4 or 8 bits, by bitsandbytes, where it is installed and there is a CUDA device."""

from __future__ import annotations

import importlib.util
from typing import Any

from medbench_torch.devices import Placement

from medbench.errors import UsageError

KINDS = ("4bit", "8bit")


def quantisation(kind: str, placement: Placement) -> dict[str, Any]:
    """Return what `from_pretrained` needs to quantise; empty where nothing is asked for.

    Raises:
        UsageError: the kind is unknown, the package is absent, or the device cannot.
    """
    if not kind:
        return {}
    if kind not in KINDS:
        raise UsageError(f"quantize={kind}: not known", hint=f"one of {', '.join(KINDS)}, or leave it out")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UsageError(f"quantize={kind}: bitsandbytes is not installed", hint="pip install 'medbench-llava[quantize]'")
    if placement.device.type != "cuda":
        raise UsageError(f"quantize={kind}: needs a CUDA device, not {placement.device.type}", hint="leave quantize out")
    from transformers import BitsAndBytesConfig

    given = {"load_in_4bit": True, "bnb_4bit_compute_dtype": placement.dtype, "bnb_4bit_quant_type": "nf4"}
    config = BitsAndBytesConfig(**(given if kind == "4bit" else {"load_in_8bit": True}))
    return {"quantization_config": config, "device_map": {"": placement.device}}
