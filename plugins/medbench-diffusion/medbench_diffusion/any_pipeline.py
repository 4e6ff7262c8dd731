"""Any text-to-image pipeline of diffusers, as it is or with an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from medbench_diffusion.base import TextToImage


class Diffusion(TextToImage):
    """Any pipeline of diffusers that draws from text alone. For the options see `TextToImage`.

    Args:
        prior: Folder or hub id of Kandinsky's prior, where `weights` is its decoder alone.
        **options: Of every model here.
    """

    NAME: ClassVar[str] = "diffusion"

    def __init__(self, *, prior: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.prior = prior

    def prior_of(self, folder: Path) -> Path | None:
        """Return the folder of the prior, where `folder` holds a decoder alone."""
        from medbench_diffusion.pipelines import DECODER, check_prior, class_of, fetch

        if class_of(folder) == DECODER:
            return fetch(self.prior, trust_pickle=self.trust_pickle) if self.prior else None
        check_prior(self.prior)
        return None
