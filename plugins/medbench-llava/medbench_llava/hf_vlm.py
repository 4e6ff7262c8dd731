"""Any image-text-to-text model of transformers, by the family it belongs to or by its own processor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from medbench.errors import UsageError
from medbench_llava.base import Sources, StatingSpeaker, VisionLanguageModel

if TYPE_CHECKING:
    from medbench_torch.devices import Placement


class HfVlm(VisionLanguageModel):
    """A model of transformers for images and text. For the options see `VisionLanguageModel`."""

    NAME: ClassVar[str] = "hf-vlm"
    REFUSED: ClassVar[Mapping[str, str]] = {
        "vision_tower": "its weights bring their own",
        "aspect": "its own processor says how pictures are resized",
    }

    def sources(self) -> Sources:
        """Return where weights and adapter lie.

        Raises:
            UsageError: no weights are named.
            WeightsError: one of them is not there.
        """
        if not self.weights:
            raise UsageError("hf-vlm needs weights", hint="--model-option weights=FOLDER, or a hub id such as google/medgemma-4b-it")
        return super().sources()

    def assemble(self, sources: Sources, placement: Placement) -> tuple[StatingSpeaker, dict[str, Any] | None]:
        """Return the model of these sources, ready to speak, and what is to be told of its adapter."""
        from transformers import AutoModelForImageTextToText

        from medbench_llava.families import FAMILIES, GeneralSpeaker

        _takes_images(sources.weights)
        model, tokenizer, adapted = self.load(AutoModelForImageTextToText, sources, placement)
        speaker = FAMILIES.get(model.config.model_type, GeneralSpeaker)
        return speaker(model, tokenizer, sources.weights, self.prompt), adapted


def _takes_images(weights: Path) -> None:
    """Judge by the config alone whether weights are of a model for images and text.

    Raises:
        WeightsError: transformers knows the model, and it is none.
    """
    from medbench_torch.weights import WeightsError, read_json
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN

    kind = read_json(weights / "config.json").get("model_type") if (weights / "config.json").is_file() else None
    if kind in CONFIG_MAPPING and kind not in KNOWN:
        raise WeightsError(f"{weights}: a {kind} model, which takes no images", hint="hf-vlm is for image-text-to-text models")
