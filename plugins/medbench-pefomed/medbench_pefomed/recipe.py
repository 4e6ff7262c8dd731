"""How PeFoMed is fine-tuned: the options of a fit, the published stages behind them, and what of these is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from medbench.recipes import Options
from medbench.types import Struct

CAPTIONS = {"roco-caption": 60.0, "mimic-mrg": 60.0}
"""Tasks of the first stage and how often each is drawn from, as published (CLEF 60, ROCO 60, MedICaT 20, MIMIC-CXR 60)."""
UNREAD = "CLEF 2022 captions (ratio 60) and MedICaT (20) have no reader here"


class Published(Struct):
    """A stage as the released configurations have it."""

    lr: float
    min_lr: float
    steps: int
    warmup: int
    batch: int
    accumulate: int


STAGES = {
    # 100 images on each of two devices
    "captions": Published(lr=1e-5, min_lr=1e-6, steps=5_000, warmup=1_000, batch=10, accumulate=20),
    # one image on each of two devices
    "questions": Published(lr=1e-5, min_lr=1e-6, steps=5_000, warmup=100, batch=1, accumulate=2),
    "reports": Published(lr=3e-5, min_lr=1e-5, steps=400, warmup=100, batch=1, accumulate=2),
}
TINY = Published(lr=2e-3, min_lr=2e-4, steps=250, warmup=20, batch=24, accumulate=1)
"""Of the small model of `preset=tiny`."""
TINY_R, TINY_ALPHA = 16, 32.0


class Recipe(Options):
    """The options of a fit as a user gives them; None: as published, or as the preset has it."""

    r: int | None = None
    alpha: float | None = None
    dropout: float | None = None
    lr: float | None = None
    min_lr: float | None = None
    steps: int | None = None
    """Steps of the last stage."""
    caption_steps: int | None = None
    """Steps of the first stage, where its data is named."""
    accumulate: int | None = None
    warmup: int | None = None
    weight_decay: float | None = None
    augment: Literal["published", "mild", "none"] | None = None
    """Random crop and mirror, as published; a little movement and exposure; nothing."""
    checkpointing: bool | None = None
    save_every: int = 200
    base_steps: int = 450
    """Steps of the base stage of a preset."""
    base_lr: float = 2e-3

    def check(self) -> None:
        """Raise for what cannot be meant.

        Raises:
            UsageError: naming the option.
        """
        self.check_positive("r", "alpha", "lr", "steps", "caption_steps", "accumulate", "base_steps", "base_lr")
        self.check_shares("dropout")


def divided(tasks: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the tasks of the first stage and those of the second.

    >>> divided(["vqa-rad", "mimic-mrg"])
    (['mimic-mrg'], ['vqa-rad'])
    """
    return [task for task in CAPTIONS if task in tasks], [task for task in tasks if task not in CAPTIONS]


def left_out(tasks: Sequence[str]) -> list[str]:
    """Return in words what of the published recipe these tasks leave out.

    >>> left_out(["roco-caption", "mimic-mrg", "vqa-rad"])
    ['stage captions: CLEF 2022 captions (ratio 60) and MedICaT (20) have no reader here']
    """
    first, second = divided(tasks)
    said = []
    if first:
        absent = [f"{task} (ratio {CAPTIONS[task]:g}) was not named" for task in CAPTIONS if task not in first]
        said.append(f"stage captions: {'; '.join([*absent, UNREAD])}")
    else:
        said.append(f"stage captions as a whole: none of {', '.join(CAPTIONS)} was named with --task; {UNREAD}")
    if not second:
        said.append("the second stage: no task of questions or reports was named beside those of captions")
    return said
