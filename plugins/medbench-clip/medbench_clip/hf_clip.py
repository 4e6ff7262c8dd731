"""`hf-clip`: any CLIP-like model of transformers, with its own pixels, its own texts and its own temperature."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medbench.errors import UsageError
from medbench.types import Embed, Failed, Vector

if TYPE_CHECKING:
    from medbench_clip.hf_encoder import HfEncoder

PRESETS = ("tiny", "tiny-siglip")
BATCH = 64


class HfClip:
    """A model of transformers with image features, text features and a learnt factor on their cosines.

    Args:
        weights: Folder or hub id: `openai/clip-vit-base-patch32`, `flaviagiammarino/pubmed-clip-vit-base-patch32`,
            `google/siglip-base-patch16-224`, `google/medsiglip-448` …
        revision: Branch, tag or commit of a hub repository.
        aspect: How a picture becomes square: `crop` (what the model's own processor does), `pad`, `squash`.
        dtype: `auto` (bf16 on an accelerator that has it, else fp32), `float32`, `bfloat16`, `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        attn: `auto` (sdpa), `sdpa`, `eager`, `flash_attention_2`.
        preset: `tiny` or `tiny-siglip`: random weights of the true class, made on the spot; marked untrained.
        batch_size: Pictures or texts that go through the model together; 0: 64.
        workers: Threads that decode pictures; 0: one for each core, at most 8.
        trust_pickle: Read pickled weights, which can run code of their maker.

    Raises:
        UsageError: an option is not known.
    """

    def __init__(
        self,
        *,
        weights: str = "",
        revision: str = "",
        aspect: str = "crop",
        dtype: str = "auto",
        device: str = "auto",
        attn: str = "auto",
        preset: str = "",
        batch_size: int = 0,
        workers: int = 0,
        trust_pickle: bool = False,
    ) -> None:
        if preset and preset not in PRESETS:
            raise UsageError(f"preset={preset}: not known", hint=f"one of {', '.join(PRESETS)}, or weights=FOLDER")
        self.weights, self.revision, self.trust_pickle = weights, revision, trust_pickle
        self.aspect, self.preset = aspect, preset
        self.dtype, self.device, self.attn = dtype, device, attn
        self.batch_size, self.workers = batch_size, workers

    def facts(self) -> dict[str, Any]:
        """Return what is known only after loading: digest, class, pixels, temperature, numbers, versions."""
        return self._loaded[1]

    def embed(self, requests: Sequence[Embed]) -> Iterator[tuple[int, Vector | Failed]]:
        """Yield (index, raw vector) for each request of a window, in any order."""
        from medbench_torch.embedding import embed_window

        yield from embed_window(self._loaded[0], requests, self.batch_size or BATCH, self.workers)

    @cached_property
    def _loaded(self) -> tuple[HfEncoder, dict[str, Any]]:
        from medbench_torch import loading
        from medbench_torch.devices import place
        from medbench_torch.weights import find_weights

        from medbench_clip.hf_encoder import load_encoder
        from medbench_clip.hf_tiny import build_tiny

        placement = place(self.device, self.dtype, self.attn)
        if self.preset and not self.weights:
            with tempfile.TemporaryDirectory(prefix="medbench-tiny-") as scratch:
                encoder = load_encoder(build_tiny(Path(scratch), self.preset), placement, self.aspect)
            return encoder, loading.facts(encoder.model, placement, **encoder.facts())
        folder = find_weights(self.weights, revision=self.revision, trust_pickle=self.trust_pickle)
        encoder = load_encoder(folder, placement, self.aspect, trust_pickle=self.trust_pickle)
        return encoder, loading.facts(encoder.model, placement, weights=folder, **encoder.facts())
