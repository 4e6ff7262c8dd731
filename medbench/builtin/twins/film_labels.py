"""What labellers would say of a drawn chest: the 14 CheXpert labels, the 14 of ChestX-ray14."""

from __future__ import annotations

import numpy as np

from medbench.builtin.twins.chest import ENLARGED, Chest

CONGESTED = 0.575
"""Cardiothoracic ratio from which a heart counts as failing: half of the enlarged ones."""

_TOLD = ("Cardiomegaly", "Consolidation", "Pleural Effusion", "Pneumothorax", "Edema")
"""Labels whose absence a report tends to state."""


def chexpert_findings(chest: Chest) -> dict[str, bool]:
    """Return each CheXpert label but `No Finding` and whether the film shows it."""
    spot = chest.opacity
    fluid = max(chest.effusions.values(), default=0.0)
    return {
        "Enlarged Cardiomediastinum": chest.ratio > CONGESTED,
        "Cardiomegaly": chest.ratio > ENLARGED,
        "Lung Opacity": spot is not None,
        "Lung Lesion": chest.nodule is not None,
        "Edema": chest.ratio > CONGESTED and bool(chest.effusions),
        "Consolidation": spot is not None and spot.zone != "upper",
        "Pneumonia": spot is not None and spot.side == "right",
        "Atelectasis": fluid >= 0.3,
        "Pneumothorax": chest.pneumothorax is not None,
        "Pleural Effusion": bool(chest.effusions),
        "Pleural Other": len(chest.effusions) == 2,
        "Fracture": False,
        "Support Devices": bool(chest.device),
    }


def chexpert_fields(chest: Chest, rng: np.random.Generator) -> dict[str, str]:
    """Return label -> field as the labeller writes it: `1.0`, `0.0`, `-1.0` (hedged), or a blank (not mentioned)."""
    shown = chexpert_findings(chest)
    fields = {"No Finding": "" if any(is_ for name, is_ in shown.items() if name != "Support Devices") else "1.0"}
    for name, is_shown in shown.items():
        chance = rng.random()
        if is_shown:
            fields[name] = "-1.0" if chance < 0.08 else "1.0"
        elif name in _TOLD:
            fields[name] = "0.0" if chance < 0.6 else "-1.0" if chance > 0.98 else ""
        else:
            fields[name] = "-1.0" if chance > 0.985 else ""
    return fields


def radiologist_fields(chest: Chest) -> dict[str, str]:
    """Return label -> `1.0` or `0.0` as one who looks at the film sees it; devices do not keep a film from being normal."""
    shown = chexpert_findings(chest)
    normal = not any(is_ for name, is_ in shown.items() if name != "Support Devices")
    return {"No Finding": "1.0" if normal else "0.0", **{name: "1.0" if is_ else "0.0" for name, is_ in shown.items()}}


def nih_findings(chest: Chest) -> list[str]:
    """Return the ChestX-ray14 labels of a film, in the order in which its file joins them; none: `No Finding`."""
    spot, nodule = chest.opacity, chest.nodule
    fluid = max(chest.effusions.values(), default=0.0)
    shown = {
        "Cardiomegaly": chest.ratio > ENLARGED,
        "Emphysema": chest.flat,
        "Effusion": bool(chest.effusions),
        "Hernia": chest.device == "pacemaker" and chest.flat,
        "Infiltration": spot is not None and spot.zone == "upper",
        "Mass": nodule is not None and nodule.zone == "lower",
        "Nodule": nodule is not None and nodule.zone != "lower",
        "Atelectasis": fluid >= 0.3,
        "Pneumothorax": chest.pneumothorax is not None,
        "Pleural_Thickening": 0 < fluid < 0.3,
        "Pneumonia": spot is not None and spot.zone == "mid",
        "Fibrosis": chest.flat and spot is not None,
        "Edema": chest.ratio > CONGESTED and bool(chest.effusions),
        "Consolidation": spot is not None and spot.zone == "lower",
    }
    return [name for name, is_ in shown.items() if is_]
