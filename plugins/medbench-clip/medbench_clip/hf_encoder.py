"""A loaded model of transformers as an encoder: what its family wants of a text, and the temperature it learnt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from medbench_torch.devices import Placement
from medbench_torch.embedding import Shown
from medbench_torch.images import Pixels, pil_processor
from medbench_torch.loading import load_model, quiet
from medbench_torch.weights import WeightsError, read_json

from medbench.types import Image
from medbench_clip.encoder import only_image

if TYPE_CHECKING:
    from PIL import Image as Pil

CLASSES = {
    "altclip": "AltCLIPModel",
    "chinese_clip": "ChineseCLIPModel",
    "clip": "CLIPModel",
    "metaclip_2": "MetaClip2Model",
    "siglip": "SiglipModel",
}
"""`model_type` -> class. Others of transformers want other pixels (SigLIP 2 with flexible sizes) or give no two vectors."""


class HfEncoder:
    """A model on its device, with its tokenizer and its pixels.

    Args:
        model: One of `CLASSES`.
        tokenizer: Padding on the right.
        pixels: From a picture to a tensor.
    """

    mode = "RGB"

    def __init__(self, model: Any, tokenizer: Any, pixels: Pixels) -> None:
        self.model = model
        self._tokenizer, self._pixels = tokenizer, pixels
        # trained on texts padded to their full length without a mask: the last position is what is read
        self._whole = model.config.model_type == "siglip"
        known = model.config.text_config.max_position_embeddings
        self._length = min(tokenizer.model_max_length, known - (tokenizer.pad_token_id + 1 if _counts_from_pad(model) else 0))

    def arranged(self, images: Sequence[Image]) -> tuple[Image, ...]:
        """Return the one image; raises InputError for several."""
        return only_image(images)

    def prepare(self, picture: Pil.Image) -> torch.Tensor:
        """Return normalised pixels, float32 (3, side, side)."""
        return self._pixels(picture)

    def encode_images(self, shown: Sequence[Shown]) -> torch.Tensor:
        """Return raw vectors, (pictures, dimensions)."""
        pixels = torch.stack([pixels for (pixels,) in shown]).to(self.model.device, self.model.dtype)
        return _vectors(self.model.get_image_features(pixel_values=pixels))

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return raw vectors, (texts, dimensions); a text beyond the model's length is cut."""
        padding = "max_length" if self._whole else "longest"
        made = self._tokenizer(list(texts), padding=padding, truncation=True, max_length=self._length, return_tensors="pt")
        inputs = {"input_ids": made["input_ids"].to(self.model.device)}
        if not self._whole:
            inputs["attention_mask"] = made["attention_mask"].to(self.model.device)
        return _vectors(self.model.get_text_features(**inputs))

    def facts(self) -> dict[str, Any]:
        """Return class, pixels, length of texts, and the learnt temperature."""
        told = {"class": type(self.model).__name__, "text_tokens": self._length, **self._pixels.facts()}
        told["logit_scale"] = float(self.model.logit_scale.detach().float().exp())
        if hasattr(self.model, "logit_bias"):
            told["logit_bias"] = float(self.model.logit_bias.detach().float())
        return told


def load_encoder(folder: Path, placement: Placement, aspect: str, *, trust_pickle: bool = False) -> HfEncoder:
    """Return the encoder of a weights folder.

    Raises:
        WeightsError: it is not whole, or of a class that is not one of `CLASSES`.
        UsageError: there is no such aspect or attention.
    """
    kind = str(read_json(folder / "config.json").get("model_type", "")) if (folder / "config.json").is_file() else ""
    if kind and kind not in CLASSES:
        hint = "clip-roco loads it" if kind == "clip-roco" else f"known: {', '.join(CLASSES)}"
        raise WeightsError(f"{folder}: a {kind} model, which gives no vectors of pictures and texts here", hint=hint)
    model = load_model(getattr(transformers, CLASSES.get(kind, "CLIPModel")), folder, placement, trust_pickle=trust_pickle)
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="right")
    except Exception as error:  # transformers and tokenizers raise whatever their parsing trips over
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        hint = "its files belong beside the weights; spiece.model needs: pip install 'medbench-clip[sentencepiece]'"
        raise WeightsError(f"{folder}: its tokenizer cannot be loaded ({reason})", hint=hint) from error
    return HfEncoder(model, tokenizer, Pixels(pil_processor(folder), aspect))


def _counts_from_pad(model: Any) -> bool:
    """Say whether positions of a text are counted from the pad token's number on, as RoBERTa does."""
    return str(model.config.model_type) == "altclip"


def _vectors(made: Any) -> torch.Tensor:
    vectors: torch.Tensor = made if isinstance(made, torch.Tensor) else made.pooler_output
    return vectors
