"""How a LLaVA is fine-tuned: the options of a fit, the published recipe behind them, and the stages they make."""

from __future__ import annotations

from typing import Any

from medbench.errors import UsageError
from medbench.recipes import Options

PUBLISHED = {
    "lora": {"lr": 2e-4, "projector_lr": 2e-5, "epochs": 1.0, "accumulate": 1, "warmup": 0.03, "batch": 16},
    "full": {"lr": 2e-5, "projector_lr": 2e-5, "epochs": 1.0, "accumulate": 1, "warmup": 0.03, "batch": 16},
}
"""LLaVA-1.5's finetune_lora.sh and finetune.sh: cosine, no weight decay; the language model (or LoRA on it) and the projector."""

TINY = {"lr": 3e-3, "projector_lr": 2e-3, "steps": 240, "warmup": 20.0, "batch": 16, "r": 16, "alpha": 32.0, "augment": True}
"""Of the small model of `preset=tiny`, whose base is made here too."""


class Recipe(Options):
    """The options of a fit as a user gives them; None: as published, or as the preset has it."""

    train: str = "lora"
    """`lora`, `full` (language model and projector), or parts of parameter names, joined by commas."""
    r: int | None = None
    alpha: float | None = None
    dropout: float = 0.05
    projector: bool = True
    """Train the projector as a whole beside LoRA."""
    lr: float | None = None
    projector_lr: float | None = None
    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    accumulate: int | None = None
    warmup: float | None = None
    weight_decay: float = 0.0
    checkpointing: bool | None = None
    max_length: int = 2048
    """Tokens of prompt and answer together; an answer beyond is cut."""
    augment: bool | None = None
    """Shift, contrast and noise on the pictures."""
    evaluate_every: int = 0
    patience: int = 0
    save_every: int = 200
    base_steps: int = 560
    """Steps of the base stage of a preset."""
    base_lr: float = 2e-3
    tasks: str = ""
    """Weights of several tasks: `vqa-rad=3,slake=1`; empty: all examples in one pool."""

    def setting(self, name: str, *, tiny: bool) -> Any:
        """Return what an option is: as given, as the preset has it, as published."""
        if name in self.__struct_fields__ and (said := getattr(self, name)) is not None:
            return said
        if tiny and name in TINY:
            return TINY[name]
        return PUBLISHED["lora" if self.train == "lora" else "full"].get(name)

    def check(self) -> None:
        """Raise for what contradicts itself.

        Raises:
            UsageError: naming the option.
        """
        self.check_positive("r", "alpha", "lr", "epochs", "steps", "minutes", "accumulate", "max_length", "base_steps", "base_lr")
        self.check_shares("dropout")
        self.check_alternatives("epochs", "steps", "minutes")
        if self.train != "lora" and (self.r is not None or self.alpha is not None):
            raise UsageError(f"r and alpha are LoRA's, and train={self.train}", hint="train=lora, or leave them out")
        self.weights_of_tasks()

    def weights_of_tasks(self) -> dict[str, float]:
        """Return task -> weight.

        Raises:
            UsageError: it is not of the form name=number.
        """
        found = {}
        for part in filter(None, self.tasks.split(",")):
            name, sign, number = part.partition("=")
            try:
                found[name.strip()] = float(number)
            except ValueError:
                sign = ""
            if not sign:
                raise UsageError(f"tasks={self.tasks}: not of the form name=weight", hint="tasks=vqa-rad=3,slake=1")
        return found
