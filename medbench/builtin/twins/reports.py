"""Findings in words: the report of a drawn chest, in the manner of Open-I with its `XXXX` in place of what was removed."""

from __future__ import annotations

import numpy as np

from medbench.builtin.twins.chest import ENLARGED, Chest, Side, Spot

NORMAL = (
    "The heart is normal in size. The mediastinum is unremarkable. The lungs are clear.",
    "Heart size and mediastinal contour are within normal limits. No focal airspace disease, effusion or pneumothorax.",
    "The cardiac silhouette is normal. Lungs are clear bilaterally. No pleural effusion or pneumothorax. XXXX are intact.",
    "Lungs are clear. No pleural fluid. Normal heart size. No acute bony abnormality.",
    "The heart, pulmonary XXXX and mediastinum are within normal limits. There is no pleural effusion or pneumothorax.",
    "No acute findings. Heart size is normal and both lungs are well expanded and clear.",
)
"""Whole reports of normal films: few enough that they recur, as they do in the real collection."""

_BONES = (
    "Osseous structures are intact.",
    "No acute bony abnormality.",
    "Visualized XXXX are unremarkable.",
    "The thoracic spine shows mild degenerative change.",
    "Bony thorax without acute XXXX.",
)


def report_of(chest: Chest, rng: np.random.Generator) -> str:
    """Return the findings section: what the film shows is fixed by `chest`, how it is said by `rng`."""
    if chest.normal and rng.random() < 0.8:
        return _one(rng, *NORMAL)
    said = [_heart(chest, rng), _lungs(chest, rng), *_spots(chest, rng), _pleura(chest, rng), *_device(chest, rng)]
    if rng.random() < 0.5:
        said.append(_one(rng, *_BONES))
    if rng.random() < 0.3:
        said[0], said[1] = said[1], said[0]
    return " ".join(sentence for sentence in said if sentence)


def _one(rng: np.random.Generator, *choices: str) -> str:
    return choices[rng.integers(len(choices))]


def _heart(chest: Chest, rng: np.random.Generator) -> str:
    if chest.ratio < ENLARGED:
        return _one(
            rng,
            "The heart is normal in size.",
            "Heart size within normal limits.",
            "Normal cardiomediastinal silhouette.",
            "Cardiac silhouette is not enlarged, stable compared to XXXX.",
        )
    degree = "mildly" if chest.ratio < 0.57 else "moderately" if chest.ratio < 0.61 else "markedly"
    return _one(
        rng,
        f"The heart is {degree} enlarged.",
        f"The cardiac silhouette is {degree} enlarged.",
        f"{degree.capitalize()} enlarged heart, similar to XXXX.",
        f"There is cardiomegaly, the heart being {degree} enlarged.",
    )


def _lungs(chest: Chest, rng: np.random.Generator) -> str:
    if chest.flat:
        return _one(
            rng,
            "The lungs are hyperinflated with flattened diaphragms.",
            "Hyperexpanded lungs with flattening of the diaphragms.",
            "Flattened hemidiaphragms consistent with emphysema.",
        )
    if chest.opacity or chest.nodule:
        return ""
    return _one(
        rng, "The lungs are clear.", "No focal consolidation.", "No focal airspace opacity is seen.", "Lungs are without focal XXXX."
    )


def _spots(chest: Chest, rng: np.random.Generator) -> list[str]:
    said = []
    if chest.opacity:
        where = zone_words(chest.opacity)
        said.append(
            _one(
                rng,
                f"There is an airspace opacity in the {where}.",
                f"Patchy opacity in the {where} concerning for pneumonia.",
                f"Focal consolidation is seen in the {where}.",
                f"New airspace disease within the {where} since XXXX.",
            )
        )
    if chest.nodule:
        where = zone_words(chest.nodule)
        said.append(
            _one(
                rng,
                f"There is a rounded nodule in the {where}.",
                f"A nodule of 12 ± 1 mm projects over the {where}.",
                f"Well-defined nodular density in the {where}.",
                f"Solitary pulmonary nodule in the {where}, not seen on XXXX.",
            )
        )
    return said


def zone_words(spot: Spot) -> str:
    """Return where a spot is: `right upper zone`."""
    return f"{spot.side} {spot.zone} zone"


def effusion_size(amount: float) -> str:
    """Return `small`, `moderate` or `large` for the share of the lung's height that is fluid."""
    return "small" if amount < 0.25 else "moderate" if amount < 0.4 else "large"


def _pleura(chest: Chest, rng: np.random.Generator) -> str:
    air = chest.pneumothorax
    if not chest.effusions and not air:
        return _one(
            rng,
            "No pleural effusion or pneumothorax.",
            "There is no pleural effusion. There is no pneumothorax.",
            "No effusion or pneumothorax is identified.",
            "Negative for pneumothorax or pleural XXXX.",
        )
    said = [_fluid(side, amount, rng) for side, amount in sorted(chest.effusions.items(), reverse=True)] or ["No pleural effusion."]
    said.append(_air(air, rng) if air else _one(rng, "No pneumothorax.", "There is no pneumothorax."))
    return " ".join(said)


def _fluid(side: Side, amount: float, rng: np.random.Generator) -> str:
    size = effusion_size(amount)
    return _one(
        rng,
        f"There is a {size} {side} pleural effusion.",
        f"{size.capitalize()} {side}-sided pleural effusion.",
        f"{size.capitalize()} effusion on the {side}.",
    )


def _air(side: Side, rng: np.random.Generator) -> str:
    return _one(
        rng, f"There is a {side} pneumothorax.", f"{side.capitalize()}-sided pneumothorax is present.", f"Pneumothorax on the {side}."
    )


def _device(chest: Chest, rng: np.random.Generator) -> list[str]:
    if chest.device == "pacemaker":
        return [_one(rng, "A left-sided pacemaker is in XXXX.", "Left chest wall pacemaker with lead in the right ventricle.")]
    if chest.device == "central line":
        return [_one(rng, "Right central venous line with tip in the SVC.", "Right-sided central catheter is seen, tip at the XXXX.")]
    if chest.device == "endotracheal tube":
        return [_one(rng, "The endotracheal tube is above the carina.", "Endotracheal tube in XXXX position.")]
    return []


def impression_of(chest: Chest, rng: np.random.Generator) -> str:
    """Return the impression section: the findings once more, in short."""
    said = []
    if chest.ratio >= ENLARGED:
        said.append("Cardiomegaly.")
    if chest.opacity:
        said.append(f"Opacity in the {zone_words(chest.opacity)}, {_one(rng, 'consider pneumonia', 'possible infection', 'XXXX')}.")
    if chest.nodule:
        said.append(f"Nodule in the {zone_words(chest.nodule)}.")
    said += [f"{side.capitalize()} pleural effusion." for side in sorted(chest.effusions, reverse=True)]
    if chest.pneumothorax:
        said.append(f"{chest.pneumothorax.capitalize()} pneumothorax.")
    return " ".join(said) or _one(rng, "No acute cardiopulmonary abnormality.", "No acute disease.", "Negative chest x-XXXX.")


def indication_of(rng: np.random.Generator) -> str:
    """Return the indication section; now and then it is empty."""
    return _one(rng, "XXXX-year-old with chest pain", "Dyspnea", "Cough and fever", "Positive TB test", "Pre-op XXXX", "")


def terms_of(chest: Chest) -> tuple[str, ...]:
    """Return major terms in the manner of Open-I: `Cardiomegaly/mild`, or `normal` alone."""
    found = []
    if chest.ratio >= ENLARGED:
        found.append(f"Cardiomegaly/{'mild' if chest.ratio < 0.57 else 'moderate' if chest.ratio < 0.61 else 'severe'}")
    if chest.opacity:
        found.append(f"Opacity/lung/{chest.opacity.zone} zone/{chest.opacity.side}")
    if chest.nodule:
        found.append(f"Nodule/lung/{chest.nodule.zone} zone/{chest.nodule.side}")
    found += [f"Pleural Effusion/{side}/{effusion_size(amount)}" for side, amount in sorted(chest.effusions.items())]
    if chest.pneumothorax:
        found.append(f"Pneumothorax/{chest.pneumothorax}")
    if chest.flat:
        found.append("Lung/hyperdistention")
    return tuple(found) or ("normal",)
