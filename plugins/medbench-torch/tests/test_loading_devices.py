from __future__ import annotations

import gc
import weakref

import pytest
import torch
from medbench_torch import devices
from medbench_torch.devices import memory_guard, place, to_dtype

from medbench.errors import OutOfMemory, UsageError


def test_auto_on_a_cpu_is_fp32_and_sdpa(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    placement = place()
    assert (placement.device, placement.dtype, placement.attn) == (torch.device("cpu"), torch.float32, "sdpa")
    assert not placement.attn_asked


@pytest.mark.parametrize(("has_bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_on_cuda_takes_bf16_only_where_it_is(monkeypatch, has_bf16, dtype):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_bf16 or including_emulation)
    placement = place()
    assert (placement.device.type, placement.dtype) == ("cuda", dtype)


def test_fp32_on_cuda_is_not_tf32(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    place("cuda", "fp32")
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("name", ["bf16", "bfloat16", "torch.bfloat16"])
def test_dtypes_have_the_names_people_type(name):
    assert to_dtype(name) is torch.bfloat16


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "gpu"}, "device=gpu: torch knows no such device"),
        ({"device": "cuda:7"}, "device=cuda:7"),
        ({"dtype": "int8"}, "dtype=int8: not a dtype that models run in"),
        ({"attn": "flash"}, "attn=flash: not a kind of attention"),
        ({"device": "cpu", "attn": "flash_attention_2"}, "needs a CUDA device, not cpu"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(given, message):
    with pytest.raises(UsageError, match=message) as caught:
        place(**given)
    assert caught.value.hint


def test_a_full_device_is_out_of_memory_and_lets_go_of_what_it_held():
    alive = []

    def run():
        held = torch.zeros(8)
        alive.append(weakref.ref(held))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has …")

    with pytest.raises(OutOfMemory, match=r"^CUDA out of memory$") as caught, memory_guard():
        run()
    gc.collect()
    assert caught.value
    assert alive[0]() is None


def test_a_full_cpu_is_out_of_memory_too():
    with pytest.raises(OutOfMemory), memory_guard():
        torch.empty(2**62, dtype=torch.uint8)


def test_other_errors_pass_the_guard():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), memory_guard():
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert devices.ATTENTIONS[0] == "auto"
