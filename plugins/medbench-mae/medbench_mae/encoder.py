"""A fitted encoder with its pooling and its head: from pictures to vectors and probabilities, and the files that it is kept in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from medbench_torch.devices import Placement
from medbench_torch.images import Pixels, pil_processor
from medbench_torch.loading import load_model, quiet, strict_state
from medbench_torch.weights import WeightsError, read_json, read_tensors
from safetensors.torch import save

from medbench.files import write_whole
from medbench.identity import sample_seed
from medbench.types import Image, Probabilities, Struct, Vector
from medbench_mae.network import Readout, all_tokens

if TYPE_CHECKING:
    from PIL import Image as Pil

ENCODER, READOUT, ALIGNMENT, CARD = "encoder", "readout.safetensors", "alignment.safetensors", "model.json"


class About(Struct):
    """What `model.json` says beside the tensors."""

    kind: str
    """The model it was fitted as: `mae-cls` or `mae-llm`."""
    heads: int
    """Of attention pooling."""
    aspect: str
    labels: tuple[str, ...] = ()
    """What the head gives, in order; empty: it was not trained."""
    fit: dict[str, Any] = {}
    """How it came about: base, stages, data."""


class MaeEncoder:
    """A ViT-MAE whose pictures lose no patch, on its device, with pooling and head."""

    mode = "RGB"

    def __init__(self, vit: Any, readout: Readout, pixels: Pixels, about: About, placement: Placement) -> None:
        self.vit, self.readout = vit.eval(), readout.to(placement.device, placement.dtype).eval()
        self.pixels, self.about = pixels, about
        self._placement = placement
        self._head = None if readout.head is None else tuple(part.detach().to("cpu", torch.float64) for part in readout.head.parameters())

    def arranged(self, images: Sequence[Image]) -> tuple[Image, ...]:
        """Return all images of a request: their vectors are averaged."""
        return tuple(images)

    def prepare(self, picture: Pil.Image) -> torch.Tensor:
        """Return the pixels of a picture, float32 (3, side, side)."""
        return self.pixels(picture)

    def encode_images(self, shown: Sequence[tuple[torch.Tensor, ...]]) -> torch.Tensor:
        """Return one vector for each request, (requests, width)."""
        flat = torch.stack([one for pictures in shown for one in pictures]).to(self._placement.device, self._placement.dtype)
        owner = torch.tensor([number for number, pictures in enumerate(shown) for _ in pictures], device=flat.device)
        return self.readout.pooled(all_tokens(self.vit, flat), owner, len(shown))

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Refuse: only pictures are embedded; texts were the target of training alone."""
        raise TypeError(f"{len(texts)} texts for an encoder of pictures")

    def probabilities(self, vector: Vector, labels: Sequence[str]) -> Probabilities:
        """Return the probability of each label that is known here, for the vector of a request.

        Args:
            vector: As `encode_images` gives it.
            labels: What is asked for; empty: all that the head gives.
        """
        features = torch.from_numpy(vector.array().copy()).double()
        weight, bias = self._head or _rows_of_chance(labels, len(features))
        values = torch.sigmoid(weight @ features + bias).tolist()
        given = dict(zip(self.about.labels if self._head else labels, values, strict=True))
        known = tuple(label for label in labels or given if label in given)
        return Probabilities(labels=known, values=tuple(given[label] for label in known))


def _rows_of_chance(labels: Sequence[str], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of a head that was never trained, each drawn from the name of its label alone."""
    rows = [torch.randn(width, dtype=torch.float64, generator=torch.Generator().manual_seed(sample_seed(0, label))) for label in labels]
    return torch.stack(rows) * width**-0.5 if rows else torch.zeros(0, width, dtype=torch.float64), torch.zeros(
        len(rows), dtype=torch.float64
    )


def read_about(folder: Path) -> About:
    """Return what a fitted folder says of itself.

    Raises:
        WeightsError: it is none.
    """
    path = folder / CARD
    if not path.is_file():
        hint = "medbench fit mae-cls --task mimic-cls14 … --out OUT, then weights=OUT"
        raise WeightsError(f"{folder}: no {CARD}, so no folder that medbench fit wrote", hint=hint)
    try:
        return msgspec.convert(read_json(path), About)
    except msgspec.ValidationError as error:
        raise WeightsError(f"{path}: {error}", hint="is it of another version?") from None


def read_encoder(folder: Path, placement: Placement, aspect: str = "") -> MaeEncoder:
    """Return the encoder of a folder that `write_encoder` filled.

    Args:
        folder: The folder.
        placement: Where it runs.
        aspect: How pictures become square; empty: as in the fit.

    Raises:
        WeightsError: something is missing, torn, or of another model.
    """
    from transformers import ViTMAEModel

    about = read_about(folder)
    vit: Any = load_model(ViTMAEModel, folder / ENCODER, placement, mask_ratio=0.0)
    readout = Readout(vit.config.hidden_size, about.heads, len(about.labels))
    strict_state(readout, read_tensors(folder / READOUT), source=str(folder / READOUT))
    pixels = Pixels(pil_processor(folder / ENCODER), aspect or about.aspect)
    return MaeEncoder(vit, readout, pixels, about, placement)


def write_encoder(folder: Path, mae: Any, processor: Any, state: Mapping[str, torch.Tensor], about: About) -> None:
    """Write encoder, pooling, head and, where there is one, the alignment.

    Args:
        folder: Where to.
        mae: The `ViTMAEForPreTraining` whose encoder it is.
        processor: Of its pictures.
        state: Every tensor of the `MaeNetwork`.
        about: What is said beside them.
    """
    vit = part_of(state, "mae.vit.")
    with quiet():
        mae.vit.save_pretrained(folder / ENCODER, state_dict=vit)
        processor.save_pretrained(folder / ENCODER)
    write_whole(folder / READOUT, save(part_of(state, "readout.")))
    aligned = {name: tensor for name, tensor in part_of(state, "").items() if not name.startswith(("mae.", "readout."))}
    if aligned:
        write_whole(folder / ALIGNMENT, save(aligned))
    write_whole(folder / CARD, msgspec.json.format(msgspec.json.encode(about, order="deterministic"), indent=2) + b"\n")


def part_of(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with `prefix`, without it, on the CPU."""
    return {
        name.removeprefix(prefix): tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
