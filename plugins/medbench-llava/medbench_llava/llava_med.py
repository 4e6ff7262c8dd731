"""LLaVA-Med 1.5: Mistral behind a CLIP tower, converted from the original checkpoint where it is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from medbench.errors import UsageError
from medbench_llava.base import Sources
from medbench_llava.llava import Llava
from medbench_llava.presets import Tiny

OWN = "own"
"""`vision_tower=own`: the tower inside the checkpoint."""


class LlavaMed(Llava):
    """LLaVA-Med 1.5. For the options see `VisionLanguageModel`.

    `vision_tower` says which tower an original checkpoint gets: by default the CLIP that its config names, which is what the
    authors' loader takes; `own` the one inside the checkpoint; else a folder or a hub id. The choice is among the facts.
    """

    NAME: ClassVar[str] = "llava-med"
    WEIGHTS: ClassVar[str] = "microsoft/llava-med-v1.5-mistral-7b"
    TEMPLATE: ClassVar[str] = "mistral-instruct"
    TINY: ClassVar[Tiny] = Tiny(text="mistral")
    REFUSED: ClassVar[Mapping[str, str]] = {}

    def sources(self) -> Sources:
        """Return where weights and adapter lie; an original checkpoint is converted first, once on this machine.

        Raises:
            UsageError: a tower is named for weights that have one.
            WeightsError: a part is not there, or not whole.
        """
        from medbench_torch.weights import read_json

        from medbench_llava.converted import converted, tower_of

        found = super().sources()
        config = read_json(found.weights / "config.json")
        if "mm_vision_tower" not in config:
            if self.vision_tower:
                raise UsageError(
                    f"vision_tower={self.vision_tower}: {found.weights} is converted, and has its tower", hint="leave vision_tower out"
                )
            return msgspec.structs.replace(found, tower=tower_of(found.weights) or "as converted by others")
        folder = converted("llava-med", *self._conversion(found.weights, config))
        return msgspec.structs.replace(found, weights=folder, tower=tower_of(folder))

    def _conversion(self, weights: Path, config: Mapping[str, Any]) -> tuple[tuple[str, ...], Any]:
        """Return what the result depends on, and what makes it."""
        from medbench_torch.convert import convert_llava
        from medbench_torch.weights import digest

        wanted = self.vision_tower or str(config["mm_vision_tower"])
        tower: str | Path = OWN if wanted == OWN else self._tower(wanted)
        known = OWN if tower == OWN else digest(Path(tower))
        return (
            (digest(weights), known),
            lambda out: convert_llava(weights, out, vision=tower, trust_pickle=self.trust_pickle),
        )

    def _tower(self, wanted: str) -> Path:
        from medbench_torch.weights import WeightsError, find_weights

        try:
            return find_weights(wanted, trust_pickle=self.trust_pickle)
        except WeightsError as error:
            hint = "--model-option vision_tower=FOLDER of that CLIP, or vision_tower=own for the one inside the checkpoint"
            raise WeightsError(f"the vision tower {error.message}", hint=hint) from error
