"""LLaVA-Rad: Vicuna behind a DINOv2 tower trained on chest radiographs, assembled from the parts that its authors publish."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from medbench.errors import UsageError
from medbench_llava.base import Sources
from medbench_llava.llava import Llava
from medbench_llava.presets import Tiny


class LlavaRad(Llava):
    """LLaVA-Rad. For the options see `VisionLanguageModel`.

    `adapter` is the folder of the published repository (LoRA, projector, tower), `weights` its base, Vicuna-7B-v1.5, or a folder
    that was assembled before; `vision_tower` names the tower's file where it is not in the adapter's folder. The published tower
    is a pickle, which needs `trust_pickle=true` once.
    """

    NAME: ClassVar[str] = "llava-rad"
    WEIGHTS: ClassVar[str] = "lmsys/vicuna-7b-v1.5"
    ASPECT: ClassVar[str] = "crop"
    TINY: ClassVar[Tiny] = Tiny(vision="dinov2", adapter=True)
    REFUSED: ClassVar[Mapping[str, str]] = {}

    def sources(self) -> Sources:
        """Return where weights and adapter lie; base, tower and projector are put together first, once on this machine.

        Raises:
            UsageError: no adapter is named, or a tower for weights that have one.
            WeightsError: a part is not there, or not whole.
        """
        from medbench_torch.convert import convert_rad
        from medbench_torch.weights import digest, find_weights, read_json

        from medbench_llava.converted import converted, tower_of

        found = super().sources()
        if found.adapter is None:
            raise UsageError("llava-rad needs its adapter", hint="--model-option adapter=FOLDER, or adapter=microsoft/llava-rad")
        if read_json(found.weights / "config.json").get("model_type") == "llava":
            if self.vision_tower:
                raise UsageError(
                    f"vision_tower={self.vision_tower}: {found.weights} is assembled, and has its tower", hint="leave vision_tower out"
                )
            return msgspec.structs.replace(found, tower=tower_of(found.weights) or "as assembled by others")
        tower = find_weights(self.vision_tower, trust_pickle=self.trust_pickle) if self.vision_tower else _tower_in(found.adapter)
        parts = (digest(found.weights), digest(tower), digest(found.adapter))
        adapter = found.adapter
        folder = converted("llava-rad", parts, lambda out: convert_rad(found.weights, tower, adapter, out, trust_pickle=self.trust_pickle))
        return msgspec.structs.replace(found, weights=folder, tower=f"DINOv2 of {tower.name}")


def _tower_in(adapter: Path) -> Path:
    """Return the file of the tower in the adapter's folder, by the names under which it is published.

    Raises:
        WeightsError: there is none, or several.
    """
    from medbench_torch.weights import PICKLES, WeightsError

    names = ("*518*.safetensors", *(f"biomedclip*{suffix}" for suffix in PICKLES))
    files = sorted({file for pattern in names for file in adapter.glob(pattern)})
    if len(files) != 1:
        said = f"{len(files)} files that could be its vision tower" if files else "no vision tower in it"
        raise WeightsError(f"{adapter}: {said}", hint="--model-option vision_tower=FILE (biomedclipcxr_518_checkpoint.pt)")
    return files[0]
