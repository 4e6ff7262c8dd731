"""LLaVA-1.5: the published model, and the same with a LoRA adapter that is checked before it is believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from medbench.errors import UsageError
from medbench.interfaces import Example
from medbench_llava.base import Sources, VisionLanguageModel
from medbench_llava.presets import Tiny
from medbench_llava.recipe import Recipe

if TYPE_CHECKING:
    from medbench_torch.devices import Placement

    from medbench_llava.speaker import LlavaSpeaker

ONE_TOWER = "it has one tower in all its releases; llava-med and llava-rad take this option"


class Llava(VisionLanguageModel):
    """LLaVA-1.5, or any `LlavaForConditionalGeneration`, as it is published. For the options see `VisionLanguageModel`."""

    NAME: ClassVar[str] = "llava"
    WEIGHTS: ClassVar[str] = "llava-hf/llava-1.5-7b-hf"
    TEMPLATE: ClassVar[str] = "llava-v1"
    ASPECT: ClassVar[str] = "pad"
    REFUSED: ClassVar[Mapping[str, str]] = {"adapter": "llava-lora takes one", "vision_tower": ONE_TOWER}

    def assemble(self, sources: Sources, placement: Placement) -> tuple[LlavaSpeaker, dict[str, Any] | None]:
        """Return the model of these sources, ready to speak, and what is to be told of its adapter."""
        from medbench_torch.images import Pixels, pil_processor
        from transformers import LlavaForConditionalGeneration

        from medbench_llava.speaker import LlavaSpeaker

        model, tokenizer, adapted = self.load(LlavaForConditionalGeneration, sources, placement)
        pixels = Pixels(pil_processor(sources.weights), self.aspect)
        return LlavaSpeaker(model, tokenizer, pixels, self.prompt), adapted


class LlavaLora(Llava):
    """LLaVA-1.5 with a LoRA adapter: base, projector and adapter are those of one training, or it does not run.

    The options named here are those of `medbench fit` (`medbench_llava.recipe.Recipe`); all others are `VisionLanguageModel`'s.
    """

    NAME: ClassVar[str] = "llava-lora"
    TINY: ClassVar[Tiny] = Tiny(adapter=True)
    REFUSED: ClassVar[Mapping[str, str]] = {"vision_tower": ONE_TOWER}

    def __init__(
        self,
        *,
        train: str | None = None,
        r: int | None = None,
        alpha: float | None = None,
        dropout: float | None = None,
        projector: bool | None = None,
        lr: float | None = None,
        projector_lr: float | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        minutes: float | None = None,
        accumulate: int | None = None,
        warmup: float | None = None,
        weight_decay: float | None = None,
        checkpointing: bool | None = None,
        max_length: int | None = None,
        augment: bool | None = None,
        evaluate_every: int | None = None,
        patience: int | None = None,
        save_every: int | None = None,
        base_steps: int | None = None,
        base_lr: float | None = None,
        tasks: str | None = None,
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

    def sources(self) -> Sources:
        """Return where weights and adapter lie.

        Raises:
            UsageError: no adapter is named, and the weights bring none.
            WeightsError: one of them is not there.
        """
        found = super().sources()
        if found.adapter is None:
            raise UsageError("llava-lora needs an adapter", hint="--model-option adapter=FOLDER (medbench fit writes one); without: llava")
        return found

    def fit(self, examples: Iterable[Example], validation: Iterable[Example], out: Path, seed: int, events: Any) -> Mapping[str, Any]:
        """Fine-tune on examples and leave an adapter (and a base, where one was made) in `out`; see `medbench_llava.fitting`."""
        from medbench_llava.fitting import fit

        return fit(self, examples, validation, out, seed, events)
