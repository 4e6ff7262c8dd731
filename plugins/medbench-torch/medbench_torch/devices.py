"""Where a model runs and in which numbers: device, dtype and kind of attention, chosen once and recorded."""

from __future__ import annotations

import contextlib
import importlib.util
import traceback
from collections.abc import Iterator

import torch

from medbench.errors import OutOfMemory, UsageError
from medbench.types import Struct

DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
}
ATTENTIONS = ("auto", "sdpa", "eager", "flash_attention_2")


class Placement(Struct):
    """A device, a dtype and a kind of attention, all decided."""

    device: torch.device
    dtype: torch.dtype
    attn: str
    """Name that transformers knows it by."""
    attn_asked: bool = False
    """The user named it: a model without it is an error instead of a reason for another one."""


def place(device: str = "auto", dtype: str = "auto", attn: str = "auto") -> Placement:
    """Return where to run what `auto` leaves open: an accelerator where there is one, bf16 where it has that, else fp32; sdpa.

    With fp32 on CUDA, TF32 is switched off for this process, convolutions included: fp32 then means fp32.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: `auto` or one of `DTYPES`.
        attn: One of `ATTENTIONS`.

    Raises:
        UsageError: a name that is unknown, or a device or library that is not there.
    """
    where = _device(device)
    numbers = _best_dtype(where) if dtype == "auto" else to_dtype(dtype)
    if where.type == "cuda" and numbers is torch.float32:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    return Placement(device=where, dtype=numbers, attn=_attention(attn, where), attn_asked=attn != "auto")


def to_dtype(name: str) -> torch.dtype:
    """Return a floating dtype by name.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return DTYPES[name.removeprefix("torch.")]
    except KeyError:
        raise UsageError(f"dtype={name}: not a dtype that models run in", hint=f"one of auto, {', '.join(DTYPES)}") from None


@contextlib.contextmanager
def memory_guard() -> Iterator[None]:
    """Turn a device that is out of memory into medbench's `OutOfMemory`, with the memory of what failed given back.

    Raises:
        OutOfMemory: the block needed more memory than there is.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(error) from None
    except RuntimeError as error:
        if not _speaks_of_memory(error):
            raise
        raise _out_of_memory(error) from None


def _out_of_memory(error: Exception) -> OutOfMemory:
    # the frames of the traceback hold the very tensors that did not fit
    traceback.clear_frames(error.__traceback__)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return OutOfMemory(str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__)


def _speaks_of_memory(error: RuntimeError) -> bool:
    """Say whether an error of the CPU's or MPS's allocator, which have no class of their own, is about memory."""
    text = str(error)
    return "DefaultCPUAllocator: can't allocate memory" in text or "MPS backend out of memory" in text


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"device={name}: torch knows no such device", hint=f"here: {', '.join(_devices())}") from None
    there = _devices()
    if str(device) not in there and device.type not in there:
        raise UsageError(f"device={name}: not on this machine", hint=f"here: {', '.join(there)}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device={name}: this machine has {torch.cuda.device_count()} of them", hint=f"here: {', '.join(there)}")
    return device


def _devices() -> list[str]:
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["auto", "cpu", *(["cuda", *cuda] if cuda else []), *(["mps"] if torch.backends.mps.is_available() else [])]


def _best_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    if device.type == "mps" and torch.backends.mps.is_macos_or_newer(14, 0):
        return torch.bfloat16
    return torch.float32


def _attention(name: str, device: torch.device) -> str:
    if name not in ATTENTIONS:
        raise UsageError(f"attn={name}: not a kind of attention", hint=f"one of {', '.join(ATTENTIONS)}")
    if name == "flash_attention_2":
        if device.type != "cuda":
            raise UsageError(f"attn={name}: needs a CUDA device, not {device.type}", hint="attn=sdpa runs everywhere")
        if importlib.util.find_spec("flash_attn") is None:
            raise UsageError(f"attn={name}: flash-attn is not installed", hint="pip install flash-attn, or attn=sdpa")
    return "sdpa" if name == "auto" else name
