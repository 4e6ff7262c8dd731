"""How a model is fine-tuned: the options of a fit, and the published recipes behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from medbench.errors import UsageError
from medbench.recipes import Options

SD = {"r": 4, "alpha": 4.0, "lr": 1e-4, "epochs": 5.0, "batch": 4, "size": 512, "snr_gamma": 0.0, "weight_decay": 1e-2}
"""diffusers' train_text_to_image_lora.py at its defaults, and what MEDVQA-GI 2025's notebook sets."""
KANDINSKY = {"r": 8, "alpha": 8.0, "lr": 1e-4, "epochs": 5.0, "batch": 4, "size": 256, "snr_gamma": 5.0, "weight_decay": 1e-2}
"""The MMCP team's at MEDVQA-GI 2024 (README of their code); epochs as above."""
TINY = {"r": 16, "alpha": 32.0, "lr": 3e-3, "steps": 220, "batch": 16, "size": 64, "snr_gamma": 5.0, "weight_decay": 0.0}
"""Of the small model of `preset=tiny`, whose base is made here too."""


class Recipe(Options):
    """The options of a fit as a user gives them; None: as published, or as the preset has it."""

    r: int | None = None
    alpha: float | None = None
    dropout: float = 0.0
    lr: float | None = None
    epochs: float | None = None
    steps_of_fit: int | None = None
    minutes: float | None = None
    accumulate: int = 1
    snr_gamma: float | None = None
    """Largest signal-to-noise ratio that counts (min-SNR weighting); 0: every timestep counts alike."""
    text_encoder_lora: bool = False
    caption_dropout: float = 0.0
    """Share of the examples that are learnt without their prompt, so that guidance stays possible."""
    flip: bool = False
    """Mirror half of the pictures: left and right mean nothing in a colon, but text in a picture does."""
    weight_decay: float | None = None
    checkpointing: bool = False
    evaluate_every: int = 0
    patience: int = 0
    save_every: int = 200
    autoencoder_steps: int = 300
    """Steps of a preset's autoencoder stage."""
    base_steps: int = 500
    """Steps of a preset's base stage."""
    base_lr: float = 2e-3

    NUMBERS: ClassVar[tuple[str, ...]] = ("r", "alpha", "lr", "epochs", "steps_of_fit", "minutes", "accumulate", "base_steps", "base_lr")

    def setting(self, name: str, published: Mapping[str, Any], *, tiny: bool) -> Any:
        """Return what an option is: as given, as the preset has it, as published."""
        said = getattr(self, name, None)
        return said if said is not None else (TINY if tiny else published).get(name)

    def check(self) -> None:
        """Raise for what contradicts itself.

        Raises:
            UsageError: naming the option.
        """
        self.check_positive(*self.NUMBERS, "autoencoder_steps")
        self.check_shares("dropout", "caption_dropout")
        self.check_alternatives("epochs", "steps_of_fit", "minutes")
        if self.snr_gamma is not None and self.snr_gamma < 0:
            raise UsageError(f"snr_gamma={self.snr_gamma:g}: below 0", hint="0 switches it off; 5 is usual")

    def length(self, published: Mapping[str, Any], *, tiny: bool) -> dict[str, Any]:
        """Return how long the LoRA stage is, as a `Schedule` takes it."""
        if self.minutes is not None:
            return {"seconds": self.minutes * 60}
        if self.epochs is not None:
            return {"epochs": self.epochs}
        steps = self.steps_of_fit or (TINY["steps"] if tiny else None)
        return {"steps": steps} if steps else {"epochs": published["epochs"]}
