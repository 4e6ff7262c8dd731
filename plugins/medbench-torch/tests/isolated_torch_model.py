"""A torch model for a child process: it holds memory, computes, hangs inside an operation, or crashes, as the prompt says."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

from medbench.types import Text

MIB = 1 << 20


class Held:
    """Holds `held_mib` MiB of weights and answers with a sum over a part of them."""

    def __init__(self, *, held_mib: int = 1, pid_file: str = ""):
        torch.set_num_threads(1)
        self.weights = torch.ones(held_mib * MIB // 4)
        if pid_file:
            Path(pid_file).write_text(str(os.getpid()))

    def facts(self):
        return {"pid": os.getpid(), "torch": torch.__version__, "n_parameters": self.weights.numel()}

    def generate(self, requests):
        for request in requests:
            if "segfault" in request.prompt:
                ctypes.string_at(0)
            while "hang" in request.prompt:
                torch.ones(1500, 1500) @ torch.ones(1500, 1500)
            yield Text(text=f"{self.weights[: len(request.prompt)].sum().item():g}", finish_reason="stop")
