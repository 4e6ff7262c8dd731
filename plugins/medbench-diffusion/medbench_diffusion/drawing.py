"""One call of a pipeline with its settings in place: only what its class knows is passed on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch._dynamo.exc import TorchDynamoException

from medbench.errors import UsageError
from medbench_diffusion.pipelines import multiple, own_size, quiet_diffusers

_NAMED = {"steps": "num_inference_steps", "guidance": "guidance_scale"}
CORES = ("unet", "transformer", "prior_prior")
"""The networks that run once a step."""


class Drawer:
    """Draws batches of pictures.

    Args:
        pipe: A pipeline of diffusers.
        steps: Denoising steps; None: as its class has it.
        guidance: Guidance scale; None: as its class has it.
        size: Pixels along a side; None: what its networks were made for.
        negative: Prompt of what is not to be drawn.
        more: Further arguments of the call.

    Raises:
        UsageError: the pipeline has no such setting, or not with this value.
    """

    def __init__(
        self,
        pipe: Any,
        *,
        steps: int | None,
        guidance: float | None,
        size: int | None,
        negative: str = "",
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.pipe = pipe
        self.multiple = multiple(pipe)
        known = inspect.signature(type(pipe).__call__).parameters
        self._call: dict[str, Any] = {}
        wanted = {"steps": steps, "guidance": guidance, **(more or {})}
        if negative:
            wanted["negative_prompt"] = negative
        for name, value in wanted.items():
            spelled = _NAMED.get(name, name)
            if value is not None and spelled not in known:
                raise UsageError(f"{name}={value}: {type(pipe).__name__} has no such setting", hint=f"leave {name} out")
            if spelled in known and (value is not None or name in _NAMED):
                self._call[spelled] = known[spelled].default if value is None else value
        fallback = known["height"].default if "height" in known else None
        self.size = size or own_size(pipe) or (fallback if isinstance(fallback, int) else 512)
        if size and size % self.multiple:
            raise UsageError(
                f"size={size}: not a multiple of {self.multiple}", hint=f"size={max(size // self.multiple, 1) * self.multiple}"
            )
        trained = pipe.scheduler.config.get("num_train_timesteps")
        if steps and trained and steps > trained:
            raise UsageError(f"steps={steps}: more than the {trained} that the model was trained with", hint="20 to 50 are usual")

    def __call__(self, prompts: list[str], generators: list[torch.Generator], width: int, height: int) -> np.ndarray[Any, Any]:
        """Return float pixels (n, height, width, 3), 0 to 1; those of a picture that is none are not finite."""
        call = dict(self._call)
        if "negative_prompt" in call:
            call["negative_prompt"] = [call["negative_prompt"]] * len(prompts)
        try:
            with quiet_diffusers():
                made = self.pipe(prompts, generator=generators, width=width, height=height, output_type="np", **call).images
        except TorchDynamoException as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"compile=true: torch cannot compile here ({reason[:160]})", hint="leave compile out") from error
        return np.asarray(made, dtype=np.float32)

    def short(self) -> Drawer:
        """Return one that draws in two steps: enough to see whether two models are the same."""
        made = Drawer(self.pipe, steps=None, guidance=None, size=self.size)
        made._call = {**self._call, **{name: 2 for name in self._call if name.endswith("num_inference_steps")}}
        return made

    def compile(self) -> None:
        """Compile the networks that run at each step, in place: Kandinsky holds them in two places."""
        for name in CORES:
            if isinstance(core := getattr(self.pipe, name, None), torch.nn.Module):
                core.compile()

    def facts(self) -> dict[str, Any]:
        """Return how it draws."""
        return {
            "steps": self._call.get("num_inference_steps"),
            "guidance": self._call.get("guidance_scale"),
            "size": self.size,
            **{name: value for name, value in self._call.items() if name.startswith("prior_")},
        }
