"""Where a fit computes: all that it asks of accelerate, on one device, several, or sharded over them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, DistributedType, broadcast_object_list, send_to_device
from torch import nn

from medbench.errors import UsageError
from medbench_torch.fit.stages import Stage
from medbench_torch.fit.trainable import Trainable, checkpoint_activations, groups_of, set_training

SHARDED = (DistributedType.FSDP, DistributedType.DEEPSPEED)
FILE = "state.pt"
T = TypeVar("T")


class Machine:
    """The processes of a fit and the network in their hands.

    Args:
        device: `auto`, or `cpu` to leave an accelerator alone.
        precision: `no`, `bf16`, `fp16`; empty: what `accelerate launch` said, else `no`.
    """

    def __init__(self, device: str = "auto", precision: str = "") -> None:
        if precision not in ("", "no", "bf16", "fp16"):
            raise UsageError(f"precision = {precision}: unknown", hint="no, bf16 or fp16")
        wanted = precision or os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        shared = AcceleratorState._shared_state  # noqa: SLF001 - accelerate keeps one state a process, and refuses another precision
        if shared and shared.get("_mixed_precision", wanted) != wanted:
            AcceleratorState._reset_state()  # noqa: SLF001
        self._accelerator = Accelerator(
            cpu=device == "cpu", mixed_precision=wanted, kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=False)]
        )
        self.precision = str(self._accelerator.mixed_precision)
        self.rank = self._accelerator.process_index
        self.world = self._accelerator.num_processes
        self.main = self._accelerator.is_main_process
        self.device = self._accelerator.device
        self._sharded = self._accelerator.distributed_type in SHARDED
        self._accumulate = 1
        self._stages = 0
        self._optimizer: Any = None
        self.module: nn.Module = nn.Identity()

    def prepare(self, trainable: Trainable, stage: Stage) -> None:
        """Take a trainable's network into hand for a stage.

        Raises:
            UsageError: a second stage of a sharded fit.
        """
        self._stages += 1
        if self._sharded and self._stages > 1:
            raise UsageError("a sharded fit (FSDP, DeepSpeed) has one stage", hint="run the stages one by one, each with its own --out")
        accelerator = self._accelerator
        accelerator.gradient_accumulation_steps = self._accumulate = stage.accumulate
        if accelerator.distributed_type == DistributedType.DEEPSPEED:
            # there is no loader of its own from which accelerate could tell
            accelerator.state.deepspeed_plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = stage.batch
        module = trainable.module
        groups = groups_of(module, trainable.parameters_of(stage.trains), stage)
        if not groups:
            raise UsageError(f"stage {stage.name} trains nothing", hint="train = full, lora, or parts of parameter names")
        if stage.checkpointing and not checkpoint_activations(module):
            raise UsageError(f"stage {stage.name}: this network has no gradient checkpointing", hint="checkpointing=false")
        if not self._sharded:
            module.to(self.device)
        set_training(module)
        optimizer = torch.optim.AdamW(groups, lr=stage.schedule.lr, betas=stage.betas)
        self.module, self._optimizer = accelerator.prepare(module, optimizer)

    def release(self) -> None:
        """Let go of the network: it is the trainable's again."""
        self._accelerator.unwrap_model(self.module, keep_fp32_wrapper=False)
        self._accelerator.free_memory()
        self._optimizer, self.module = None, nn.Identity()

    # --- a step

    def moved(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a batch on the device."""
        made: dict[str, Any] = send_to_device(batch, self.device, non_blocking=True)
        return made

    @contextlib.contextmanager
    def accumulating(self, *, last: bool) -> Iterator[None]:
        """Run one of the passes of a step: gradients are exchanged in the last one alone."""
        self._accelerator.gradient_state._set_sync_gradients(last)  # noqa: SLF001 - its own counter assumes its own loader
        with contextlib.nullcontext() if last else self._accelerator.no_sync(self.module), self._accelerator.autocast():
            yield

    def backward(self, loss: torch.Tensor, total: Any) -> None:
        """Add the gradients of a summed loss, as a part of the mean over all targets of the step in all processes."""
        # accelerate divides by the passes of a step, and the processes' gradients are averaged: both are undone
        self._accelerator.backward(loss * (self._accumulate * self.world / max(total, 1.0)))

    def step(self, rate: float, clip: float) -> None:
        """Clip, step with a learning rate, and forget the gradients."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group.get("factor", 1.0)
        if clip:
            self._accelerator.clip_grad_norm_([p for group in self._optimizer.param_groups for p in group["params"]], clip)
        self._optimizer.step()
        self._optimizer.zero_grad()

    @contextlib.contextmanager
    def judging(self) -> Iterator[nn.Module]:
        """Give the network for evaluation: no gradients, no dropout; training mode comes back."""
        module = self.module if self._sharded else self._accelerator.unwrap_model(self.module)
        module.eval()
        try:
            with torch.no_grad(), self._accelerator.autocast():
                yield module
        finally:
            set_training(self.module)

    # --- between processes

    def meet(self) -> None:
        """Wait for all processes."""
        self._accelerator.wait_for_everyone()

    def agree(self, value: T) -> T:
        """Return the main process's value in every process."""
        if self.world == 1:
            return value
        box = [value]
        broadcast_object_list(box)
        return box[0]

    def summed(self, value: Any) -> Any:
        """Return the sum over all processes of a number or a tensor."""
        if self.world == 1:
            return value
        if isinstance(value, torch.Tensor):
            return self._accelerator.reduce(value.clone(), "sum")
        return self._accelerator.reduce(torch.tensor(value, device=self.device), "sum").item()

    # --- on disk

    def save_all(self, folder: Path) -> None:
        """Write weights and optimiser: what training goes on from."""
        if self._sharded:
            self._accelerator.save_state(str(folder))
        elif self.main:
            self._write(folder, {**self._trained(), "optimizer": self._optimizer.state_dict()})

    def save_weights(self, folder: Path) -> None:
        """Write weights alone."""
        if self._sharded:
            self._accelerator.save_state(str(folder))
        elif self.main:
            self._write(folder, self._trained())

    def load(self, folder: Path) -> None:
        """Take back what `save_all` or `save_weights` wrote."""
        if self._sharded:
            self._accelerator.load_state(str(folder))
            return
        state = self._read(folder)
        self._put(state)
        if "optimizer" in state:
            self._optimizer.load_state_dict(state["optimizer"])

    def load_weights(self, folder: Path) -> None:
        """Take back the weights alone."""
        if self._sharded:
            self._accelerator.load_state(str(folder))
        else:
            self._put(self._read(folder))

    def whole_state(self) -> Mapping[str, torch.Tensor]:
        """Return every tensor of the network, whole; all processes take part, the main one has it."""
        state: Mapping[str, torch.Tensor] = self._accelerator.get_state_dict(self.module)
        return state

    def _bare(self) -> nn.Module:
        module: nn.Module = self._accelerator.unwrap_model(self.module)
        return module

    def _trained(self) -> dict[str, Any]:
        """Return what training changes: trained parameters, and buffers such as the statistics of batch norm."""
        module = self._bare()
        kept = set(module.state_dict(keep_vars=True))
        parameters = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
        return {"parameters": parameters, "buffers": {name: b for name, b in module.named_buffers() if name in kept}}

    def _put(self, state: Mapping[str, Any]) -> None:
        module = self._bare()
        there = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        with torch.no_grad():
            for name, tensor in {**state["parameters"], **state["buffers"]}.items():
                there[name].copy_(tensor)

    @staticmethod
    def _write(folder: Path, state: Mapping[str, Any]) -> None:
        with (folder / FILE).open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())

    def _read(self, folder: Path) -> dict[str, Any]:
        state: dict[str, Any] = torch.load(folder / FILE, map_location="cpu", weights_only=True)
        return state
