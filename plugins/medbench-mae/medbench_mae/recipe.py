"""How the models are fitted: the options of a fit, what they are where nothing is said, and the stages they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from medbench.errors import UsageError
from medbench.types import Struct

RECONSTRUCT, ALIGN, LABEL = "reconstruct", "align", "label"
STAGES = (RECONSTRUCT, ALIGN, LABEL)
CHOICES = {
    "loss": ("margin", "infonce"),
    "same": ("report", "labels"),
    "text_pool": ("mean", "attention"),
    "train": ("head", "pool", "full"),
}

DEFAULTS: dict[str, dict[str, float]] = {
    RECONSTRUCT: {"epochs": 50.0, "lr": 1.5e-4, "batch": 64, "weight_decay": 0.05},
    ALIGN: {"epochs": 20.0, "lr": 1e-4, "batch": 64, "weight_decay": 0.05},
    LABEL: {"epochs": 10.0, "lr": 1e-4, "batch": 64, "weight_decay": 0.05},
}
"""Our choice: the poster leaves optimiser, batch, steps and rates open. Rate and decay of MAE are those of its paper at batch 256."""
TINY: dict[str, dict[str, float]] = {
    RECONSTRUCT: {"steps": 300, "lr": 2e-3, "batch": 32, "weight_decay": 0.05},
    ALIGN: {"steps": 400, "lr": 2e-3, "batch": 32, "weight_decay": 0.05},
    LABEL: {"steps": 150, "lr": 1e-3, "batch": 32, "weight_decay": 0.05},
}
"""Of `preset=tiny`, which sees a few hundred pictures."""


class Recipe(Struct):
    """The options of a fit as a user gives them; None: the default, or the preset's."""

    stages: str = ""
    """Some of `STAGES`, joined by commas; empty: all that the model has."""
    mask_ratio: float = 0.75
    """Share of the patches that are hidden from the encoder in `reconstruct`."""
    loss: str = "margin"
    margin: float = 1.4
    """ε of the margin loss; unit vectors that have nothing to do with each other are 1.41 apart."""
    same: str = "report"
    """What y_i = y_j means in `align`: the reports are the same, word for word; or all labels of the two studies are."""
    text_pool: str = "mean"
    joint: int = 128
    """Width of the space in which pictures and reports are compared."""
    max_tokens: int = 256
    """Tokens of a report that the language model reads; the rest is cut."""
    train: str = "pool"
    """What `label` trains: `head`, `pool` (pooling and head; the encoder stays as the stages before left it), `full` (the encoder too)."""
    reconstruct_epochs: float | None = None
    reconstruct_steps: int | None = None
    reconstruct_lr: float | None = None
    align_epochs: float | None = None
    align_steps: int | None = None
    align_lr: float | None = None
    label_epochs: float | None = None
    label_steps: int | None = None
    label_lr: float | None = None
    augment: bool | None = None
    """Pictures are moved, turned and exposed a little otherwise each time; never mirrored. Default: in the preset."""
    evaluate_every: int = 0
    patience: int = 0
    accumulate: int = 1
    checkpointing: bool = False
    save_every: int = 200

    @property
    def given(self) -> list[str]:
        """Return the options that are not at their default."""
        return [name for name in self.__struct_fields__ if getattr(self, name) != getattr(Recipe(), name)]

    def chosen_stages(self, had: tuple[str, ...]) -> tuple[str, ...]:
        """Return the stages to go through, in their order.

        Args:
            had: The stages that a model has.

        Raises:
            UsageError: one of those named is not among them.
        """
        named = tuple(part.strip() for part in self.stages.split(",") if part.strip())
        strange = next((name for name in named if name not in had), None)
        if strange is not None:
            raise UsageError(f"stages={self.stages}: there is no stage {strange} here", hint=f"some of {', '.join(had)}")
        return tuple(name for name in had if name in (named or had))

    def setting(self, stage: str, name: str, *, tiny: bool) -> float:
        """Return what a stage's setting is where it has one: as given, as the preset has it, as it is by default."""
        said = getattr(self, f"{stage}_{name}", None)
        return float(said if said is not None else (TINY if tiny else DEFAULTS)[stage][name])

    def length(self, stage: str, *, tiny: bool) -> dict[str, Any]:
        """Return the length of a stage as a schedule has it."""
        given = {name: value for name in ("epochs", "steps") if (value := getattr(self, f"{stage}_{name}")) is not None}
        return given or {name: value for name, value in (TINY if tiny else DEFAULTS)[stage].items() if name in ("epochs", "steps")}

    def check(self) -> None:
        """Raise for what contradicts itself.

        Raises:
            UsageError: naming the option.
        """
        self._check_lengths()
        if not 0 < self.mask_ratio < 1:
            raise UsageError(f"mask_ratio={self.mask_ratio:g}: a share above 0 and below 1", hint="0.75 as published")
        if not 0 < self.margin <= 2:
            raise UsageError(f"margin={self.margin:g}: a distance of unit vectors", hint="above 0, at most 2")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name}={getattr(self, name)}: not known", hint=f"one of {', '.join(known)}")
        if min(self.joint, self.max_tokens, self.accumulate) < 1:
            raise UsageError("joint, max_tokens and accumulate are 1 or more", hint="leave them out for their defaults")
        if min(self.patience, self.evaluate_every, self.save_every) < 0:
            raise UsageError("patience, evaluate_every and save_every are 0 or more", hint="leave them out for their defaults")

    def _check_lengths(self) -> None:
        for stage in STAGES:
            for name in ("epochs", "steps", "lr"):
                value = getattr(self, f"{stage}_{name}")
                if value is not None and not value > 0:
                    raise UsageError(f"{stage}_{name}={value:g}: must be above 0", hint=f"leave the stage out with stages={LABEL}, say")
            if getattr(self, f"{stage}_epochs") is not None and getattr(self, f"{stage}_steps") is not None:
                raise UsageError(f"{stage}_epochs and {stage}_steps: one of them says how long", hint="give one")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Recipe:
        """Return the recipe of some options, those that are None left at their default.

        Raises:
            UsageError: a value is of another kind, or out of its range.
        """
        try:
            made = msgspec.convert({name: value for name, value in given.items() if value is not None}, cls, strict=False)
        except msgspec.ValidationError as error:
            raise UsageError(f"an option of the fit is of another kind: {error}", hint="medbench show model mae-llm") from None
        made.check()
        return made
