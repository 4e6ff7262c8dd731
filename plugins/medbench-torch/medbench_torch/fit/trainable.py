"""What the loop needs of a plugin that can be trained, and the choice of the parameters that a stage trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from medbench.errors import UsageError
from medbench.interfaces import Example
from medbench_torch.fit.stages import Stage, Trains

Batch = tuple[dict[str, Any], int]
"""What one forward pass takes, and how many targets (tokens, pairs, pixels) its loss is summed over."""


class Trainable(Protocol):
    """A network and all that is particular about training it.

    `collate` is called in threads. Everything random about an example comes from its seed and everything random inside the
    network from torch's generator, which the loop seeds for each pass: a fit that was interrupted ends like one that was not.
    """

    @property
    def module(self) -> nn.Module:
        """The network; its `forward` is what `loss` calls, so that it can be wrapped for several processes."""
        ...

    def identity(self) -> Mapping[str, Any]:
        """Return, as plain data, what the result depends on beside stages, examples and seed: base weights, options."""
        ...

    def begin(self, stage: Stage) -> None:
        """Make the network ready for a stage: wrap it with LoRA, freeze what the stage has no use for. It may be another one then."""
        ...

    def parameters_of(self, trains: Trains) -> Sequence[str]:
        """Return the names of the parameters that a stage trains: `chosen(self.module, trains)`, or another choice."""
        ...

    def collate(self, examples: Sequence[Example], seeds: Sequence[int], *, training: bool = True) -> Batch:
        """Return a batch; with `training`, augmented as the seeds say. Tensors stay on the CPU: the loop moves them."""
        ...

    def loss(self, module: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        """Return the loss *summed* over the targets of the batch. `module` is the network, wrapped where it must be."""
        ...

    def evaluate(self, module: nn.Module, examples: Mapping[str, Sequence[Example]]) -> Mapping[str, float]:
        """Return further held-out values beside `loss`; an empty mapping where there are none."""
        ...

    def save(self, folder: Path, stage: Stage, state: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
        """Write what a stage made below `folder`: `base/` for all weights, `adapter/` for a part. `state` holds every tensor, whole."""
        ...


def chosen(module: nn.Module, trains: Trains, *, also: Sequence[str] = ()) -> list[str]:
    """Return the names of the parameters that `trains` stands for; `also` are parts of names that go with "lora", where there are any.

    Raises:
        UsageError: a part of a name occurs in no parameter.
    """
    names = [name for name, parameter in module.named_parameters() if parameter.is_floating_point()]
    if trains == "full":
        return names
    parts = ("lora_",) if trains == "lora" else tuple(trains)
    for part in parts:
        if not any(part in name for name in names):
            tops = sorted({name.split(".")[0] for name in names})
            raise UsageError(
                f"train = {part}: no parameter has that in its name", hint=f"full, lora, or a part of a name below {', '.join(tops)}"
            )
    taken = (*parts, *also) if trains == "lora" else parts
    return [name for name in names if any(part in name for part in taken)]


def groups_of(module: nn.Module, names: Sequence[str], stage: Stage) -> list[dict[str, Any]]:
    """Freeze all parameters but the named ones and return the optimiser's groups; each keeps its factor on the rate as `factor`.

    Biases and the weights of norms (one dimension) have no weight decay.
    """
    wanted = set(names)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in wanted)
        if name in wanted:
            factor = next((factor for part, factor in stage.rates.items() if part in name), 1.0)
            groups.setdefault((factor, stage.weight_decay if parameter.ndim > 1 else 0.0), []).append(parameter)
    return [{"params": parameters, "factor": factor, "weight_decay": decay} for (factor, decay), parameters in groups.items()]


def set_training(module: nn.Module) -> None:
    """Put a network into training mode, but for the parts of which nothing is trained: those behave as they will later."""
    module.train()
    for part in _frozen(module):
        part.eval()


def _frozen(module: nn.Module) -> Iterator[nn.Module]:
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        yield module
    elif parameters:
        for child in module.children():
            yield from _frozen(child)


def checkpoint_activations(module: nn.Module) -> bool:
    """Switch gradient checkpointing on in a network of transformers or diffusers, or in its parts; say whether one offers it."""
    for part in module.modules():
        # the newer name of transformers, whose older one warns
        for name in ("activation_checkpointing_enable", "gradient_checkpointing_enable", "enable_gradient_checkpointing"):
            if name in dir(type(part)):
                getattr(part, name)()
                return True
    return False
