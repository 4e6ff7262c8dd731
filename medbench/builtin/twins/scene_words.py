"""Endoscopic scenes in words: answers to the fixed questions of MEDVQA-GI, and prompts that ask for such a picture."""

from __future__ import annotations

import numpy as np

from medbench.builtin.twins.colon import PLACES, Scene

TYPES = {"sessile": "Paris is", "pedunculated": "Paris ip", "flat": "Paris iia"}
NONE = ["None"]
UNASKED = ["Not relevant"]


def answers_of(scene: Scene) -> list[list[str]]:
    """Return the answers to questions 0 to 17, each a list, in the questions' order."""
    polyps, tool = scene.polyps, scene.instrument
    inflamed = "Oesophagitis" if scene.procedure == "gastroscopy" else "Ulcerative colitis"
    findings = (["Polyp"] if polyps else []) + ([inflamed] if scene.inflamed else [])
    colours = [
        *dict.fromkeys("Pink" if polyp.shape == "flat" else "Red" for polyp in polyps),
        *(["Red", "Yellow"] if scene.inflamed else []),
    ]
    places = list(dict.fromkeys(polyp.place.capitalize() for polyp in polyps)) + (
        [place.capitalize() for place in PLACES] if scene.inflamed else []
    )
    easy = scene.inflamed or any(polyp.size in {"11-20mm", ">20mm"} for polyp in polyps)
    return [
        [scene.procedure.capitalize()],
        ["No"] if polyps else UNASKED,
        ["Yes" if easy else "No"] if findings else UNASKED,
        ["Yes" if scene.box else "No"],
        ["Yes" if scene.text else "No"],
        colours or NONE,
        ["Pink"] if scene.landmark else NONE,
        [str(len(polyps) + scene.inflamed)],
        [str(len(polyps))],
        ["1" if tool else "0"],
        places or NONE,
        ["Center", "Lower-right"] if tool else NONE,
        findings or ["No"],
        [scene.landmark.capitalize()] if scene.landmark else ["No"],
        [tool.capitalize()] if tool else ["No"],
        ["Center"] if scene.landmark else NONE,
        list(dict.fromkeys(polyp.size for polyp in polyps)) or NONE,
        list(dict.fromkeys(TYPES[polyp.shape] for polyp in polyps)) or NONE,
    ]


def prompts_of(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Return two to five different prompts that the picture answers."""
    found = [*_about_polyps(scene), *_about_the_rest(scene)]
    count = min(len(found), int(rng.integers(2, 6)))
    kept = [found[at] for at in rng.permutation(len(found))[:count].tolist()]
    starts = rng.choice(["Generate an image", "generate an image", "Generate a picture", "Create an image"], size=count)
    return [f"{start} {rest}" for start, rest in zip(starts.tolist(), kept, strict=True)]


def _about_polyps(scene: Scene) -> list[str]:
    polyps = scene.polyps
    if not polyps:
        return ["with no polyps", "not containing any polyps"]
    found = [f"containing {'a polyp' if len(polyps) == 1 else f'{len(polyps)} polyps'}"]
    for polyp in polyps:
        found.append(f"with a polyp located in the {polyp.place} of the image" if polyp.place != "center" else "with a polyp in the center")
        found.append(f"with a polyp of size {polyp.size}")
        found.append(f"containing a polyp of the type {TYPES[polyp.shape]}")
    return list(dict.fromkeys(found))


def _about_the_rest(scene: Scene) -> list[str]:
    found = [f"from a {scene.procedure}", "with a green or black box artifact" if scene.box else "with no green or black box artifact"]
    found.append("with text" if scene.text else "containing no text")
    if scene.inflamed:
        found.append("with ulcerative colitis" if scene.procedure == "colonoscopy" else "with oesophagitis")
    if scene.instrument:
        found.append(f"containing a {scene.instrument}")
    if scene.landmark:
        found.append(f"showing the {scene.landmark}")
    return found
