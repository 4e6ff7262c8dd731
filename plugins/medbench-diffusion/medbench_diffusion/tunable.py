"""Models that can be fine-tuned: the options of `medbench fit`, which a run refuses, and the call that carries it out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from medbench.errors import UsageError
from medbench.interfaces import Example, FitEvents
from medbench_diffusion.base import TextToImage
from medbench_diffusion.recipe import Recipe


class Tunable(TextToImage, ABC):
    """A model with a LoRA adapter, which `medbench fit` writes.

    The options named here are those of a fit (`medbench_diffusion.recipe.Recipe`); all others are `TextToImage`'s. `steps` are
    steps of drawing, `steps_of_fit` of training.
    """

    ADAPTED: ClassVar[bool] = True
    PUBLISHED: ClassVar[Mapping[str, Any]] = {}
    """The recipe that is followed where nothing else is said."""

    def __init__(
        self,
        *,
        r: int | None = None,
        alpha: float | None = None,
        dropout: float | None = None,
        lr: float | None = None,
        epochs: float | None = None,
        steps_of_fit: int | None = None,
        minutes: float | None = None,
        accumulate: int | None = None,
        snr_gamma: float | None = None,
        text_encoder_lora: bool | None = None,
        caption_dropout: float | None = None,
        flip: bool | None = None,
        weight_decay: float | None = None,
        checkpointing: bool | None = None,
        evaluate_every: int | None = None,
        patience: int | None = None,
        save_every: int | None = None,
        autoencoder_steps: int | None = None,
        base_steps: int | None = None,
        base_lr: float | None = None,
        **options: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in Recipe.__struct_fields__}
        super().__init__(**options)
        self.recipe = Recipe.of(given)

    def facts(self) -> dict[str, Any]:
        """Return what is known only after loading.

        Raises:
            UsageError: an option of fitting was given to a run, where it would do nothing.
        """
        if self.recipe.given:
            said = ", ".join(self.recipe.given)
            raise UsageError(f"{said}: of medbench fit, not of a run", hint="leave them out; the adapter's card says how it was fitted")
        return super().facts()

    @abstractmethod
    def learner(self, pipe: Any, **settings: Any) -> Any:
        """Return a pipeline as the training loop sees it."""

    @abstractmethod
    def write_base(self, folder: Path, words: Sequence[str], seed: int) -> Path:
        """Write the untrained base of a preset, whose tokenizer knows some words."""

    def fit(
        self, examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int, events: FitEvents | None
    ) -> Mapping[str, Any]:
        """Fine-tune on examples and leave an adapter (and a base, where one was made) in `out`; see `medbench_diffusion.fitting`."""
        from medbench_diffusion.fitting import fit

        return fit(self, examples, validation, out, seed, events)
