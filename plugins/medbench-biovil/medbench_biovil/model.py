"""`biovil-t`: options and capabilities of BioViL-T; torch is imported when it is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medbench.errors import UsageError
from medbench.types import Embed, Failed, Ground, HeatMap, Vector
from medbench_biovil.sizes import check_preset

if TYPE_CHECKING:
    from medbench_biovil.encoder import BioVilEncoder

WEIGHTS = "microsoft/BiomedVLP-BioViL-T"
BATCH = 32
SIGMA = 1.5
"""Patches: the published smoothing of maps."""


class BioVilT:
    """BioViL-T: one chest radiograph, or one and its prior, against sentences; and where in a radiograph a phrase is.

    Args:
        weights: Folder or hub id of `microsoft/BiomedVLP-BioViL-T`: config, vocabulary and weights of the text side, and those of
            the image side, which are published as a pickle (`trust_pickle`, or converted once: see the README).
        image_weights: File of the image side, where it lies elsewhere.
        revision: Branch, tag or commit of a hub repository.
        sigma: Of the Gaussian that smooths maps, in patches; 1.5 as published, 0 for none.
        dtype: `auto` (bf16 on an accelerator that has it, else fp32), `float32`, `bfloat16`, `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        preset: `tiny`: random weights in every part of the network; marked untrained.
        batch_size: Requests that go through the networks together; 0: 32.
        workers: Threads that decode pictures; 0: one for each core, at most 8.
        trust_pickle: Read pickled weights, which can run code of their maker.

    Raises:
        UsageError: an option is not known, or not in its range.
    """

    def __init__(
        self,
        *,
        weights: str = "",
        image_weights: str = "",
        revision: str = "",
        sigma: float = SIGMA,
        dtype: str = "auto",
        device: str = "auto",
        preset: str = "",
        batch_size: int = 0,
        workers: int = 0,
        trust_pickle: bool = False,
    ) -> None:
        check_preset(preset)
        if not 0 <= sigma <= 14:
            raise UsageError(f"sigma={sigma:g}: patches, 0 to 14", hint=f"{SIGMA} is published")
        if image_weights and preset:
            raise UsageError("image_weights and preset are both given", hint="leave one out")
        self.weights, self.image_weights, self.revision, self.trust_pickle = weights, image_weights, revision, trust_pickle
        self.sigma, self.preset = sigma, preset
        self.dtype, self.device = dtype, device
        self.batch_size, self.workers = batch_size, workers

    def facts(self) -> dict[str, Any]:
        """Return what is known only after loading: digest, sizes, numbers, versions. Cosines of this model have no temperature."""
        return self._loaded[1]

    def embed(self, requests: Sequence[Embed]) -> Iterator[tuple[int, Vector | Failed]]:
        """Yield (index, raw vector) for each request of a window, in any order."""
        from medbench_torch.embedding import embed_window

        yield from embed_window(self._loaded[0], requests, self.batch_size or BATCH, self.workers)

    def ground(self, requests: Sequence[Ground]) -> Iterator[tuple[int, HeatMap | Failed]]:
        """Yield (index, map of cosines) for each request of a window, in any order."""
        yield from self._loaded[0].ground(requests, self.batch_size or BATCH, self.workers, self.sigma)

    @cached_property
    def _loaded(self) -> tuple[BioVilEncoder, dict[str, Any]]:
        from medbench_torch import loading
        from medbench_torch.devices import place
        from medbench_torch.weights import digest, find_weights

        from medbench_biovil.encoder import load_encoder, tiny_encoder

        placement = place(self.device, self.dtype)
        folder: Path | str = ""
        told: dict[str, Any] = {"image_preset": "raw_minmax", "sigma": self.sigma}
        if self.preset and not self.weights:
            encoder = tiny_encoder(self.preset, placement)
        else:
            folder = find_weights(self.weights or WEIGHTS, revision=self.revision, trust_pickle=self.trust_pickle)
            file = find_weights(Path(self.image_weights).expanduser(), trust_pickle=self.trust_pickle) if self.image_weights else None
            encoder = load_encoder(folder, file, placement, trust_pickle=self.trust_pickle)
            if file is not None:
                told["image_weights_digest"] = digest(file)
        told["text_tokens"] = encoder.sentences.length
        return encoder, loading.facts(encoder.networks, placement, weights=folder, **told)
