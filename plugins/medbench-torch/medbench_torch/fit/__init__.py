"""Fitting: one loop for every model that can be trained, with stages, resume, early stopping and events."""

from __future__ import annotations

from medbench_torch.fit.cards import lora_in_words, write_card
from medbench_torch.fit.curves import draw_losses, losses
from medbench_torch.fit.journal import Events, plainly, read_events
from medbench_torch.fit.loop import fit
from medbench_torch.fit.pictures import Pictures
from medbench_torch.fit.stage_run import Settings
from medbench_torch.fit.stages import Schedule, Stage, Trains
from medbench_torch.fit.trainable import Batch, Trainable, chosen

__all__ = [
    "Batch",
    "Events",
    "Pictures",
    "Schedule",
    "Settings",
    "Stage",
    "Trainable",
    "Trains",
    "chosen",
    "draw_losses",
    "fit",
    "lora_in_words",
    "losses",
    "plainly",
    "read_events",
    "write_card",
]
