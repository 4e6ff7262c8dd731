"""How clip-roco is trained: the options of a fit, and what the report says of them."""

from __future__ import annotations

from typing import Any

from medbench.errors import UsageError
from medbench.recipes import Options

PUBLISHED: dict[str, Any] = {"lr": 5e-5, "epochs": 40.0, "patience": 5}
"""The report: Adam from 5e-5, batch 64. It leaves the epochs open: 40 at most, ended by five looks without an improvement."""
TINY: dict[str, Any] = {"lr": 1e-3, "epochs": 30.0, "patience": 8}
"""Of the preset, which is smaller and sees a few hundred pictures."""
BATCH = 64
SPLITS = ("data", "64/16/20")


class Recipe(Options):
    """The options of a fit as a user gives them; None: as published, or as the preset has it."""

    lr: float | None = None
    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    patience: int | None = None
    """Looks at the validation examples without an improvement of their loss that end it; 0: none do."""
    evaluate_every: int = 0
    """Steps between two looks; 0: one epoch."""
    dropout: float | None = None
    norm: bool = True
    """Batch normalisation in the convolution blocks, which the report does not mention."""
    split: str = "data"
    """`data`: train and validation as the data has them; `64/16/20`: both together, shuffled by the seed and cut anew."""
    folds: int = 0
    """Cross-validation before the fit: as many networks, each judged on the fold that it did not see; 0: none."""
    save_every: int = 200

    def setting(self, name: str, preset: str) -> Any:
        """Return what an option is: as given, as the preset has it, as published."""
        said = getattr(self, name)
        return said if said is not None else (TINY if preset else PUBLISHED)[name]

    def length(self, preset: str) -> dict[str, Any]:
        """Return the length of the stage as a schedule has it."""
        if self.minutes is not None:
            return {"seconds": self.minutes * 60}
        if self.steps is not None:
            return {"steps": self.steps}
        return {"epochs": self.setting("epochs", preset)}

    def check(self) -> None:
        """Raise for what contradicts itself.

        Raises:
            UsageError: naming the option.
        """
        self.check_positive("lr", "epochs", "steps", "minutes")
        self.check_alternatives("epochs", "steps", "minutes")
        self.check_shares("dropout")
        if self.split not in SPLITS:
            raise UsageError(f"split={self.split}: not known", hint=f"one of {', '.join(SPLITS)}")
        if self.folds < 0 or self.folds == 1:
            raise UsageError(f"folds={self.folds}: two or more", hint="leave folds out for none")
        if min(self.patience or 0, self.evaluate_every, self.save_every) < 0:
            raise UsageError("patience, evaluate_every and save_every are 0 or more")
