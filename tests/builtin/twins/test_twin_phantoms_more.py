"""The phantoms of the other modalities: a finding is seen at the size models look at, and the words are about the picture."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from medbench.builtin.datasets.roco import modalities_in
from medbench.builtin.twins.chest import Chest, chest_film
from medbench.builtin.twins.chinese import in_chinese
from medbench.builtin.twins.colon import Polyp, Scene, draw_scene, scene_picture
from medbench.builtin.twins.figures import MODALITY_CUI, NAMES, WORDS, draw_figure
from medbench.builtin.twins.fluoroscopy import Swallow, swallow_picture
from medbench.builtin.twins.pathvqa import facts_of
from medbench.builtin.twins.questions import Fact
from medbench.builtin.twins.scene_words import answers_of, prompts_of
from medbench.builtin.twins.skin import CONDITIONS, TONES, skin_picture
from medbench.builtin.twins.tissue import Section, section_picture
from medbench.builtin.twins.ultrasound import Scan, scan_picture
from medbench.builtin.twins.vessels import Angiogram, angiogram_picture


def colon(scene, size, rng):
    return scene_picture(scene, size, rng).pixels


POLYP = Polyp(place="upper-left", shape="sessile", size="<5mm")
FINDINGS = [
    (chest_film, Chest(), Chest(haze=True)),
    (scan_picture, Scan(), Scan(finding="stone")),
    (scan_picture, Scan(organ="liver"), Scan(organ="liver", finding="cyst")),
    (scan_picture, Scan(organ="liver"), Scan(organ="liver", finding="mass")),
    (angiogram_picture, Angiogram(), Angiogram(fault="stenosis")),
    (angiogram_picture, Angiogram(), Angiogram(fault="aneurysm")),
    (angiogram_picture, Angiogram(vessel="cerebral"), Angiogram(vessel="cerebral", fault="occlusion")),
    (swallow_picture, Swallow(), Swallow(finding="stricture")),
    (swallow_picture, Swallow(part="colon"), Swallow(part="colon", finding="diverticulum")),
    (colon, Scene(), Scene(polyps=(POLYP,))),
    (colon, Scene(), Scene(polyps=(Polyp(place="center", shape="flat", size="5-10mm"),))),
    (colon, Scene(), Scene(inflamed=True)),
    (colon, Scene(), Scene(instrument="polyp snare")),
    (colon, Scene(), Scene(landmark="cecum")),
    (colon, Scene(), Scene(box="green")),
    (colon, Scene(procedure="gastroscopy"), Scene(procedure="gastroscopy", landmark="z-line")),
    (section_picture, Section(), Section(change="necrosis")),
    (section_picture, Section(kind="smooth muscle"), Section(kind="smooth muscle", change="inflammation")),
    (section_picture, Section(kind="adipose tissue"), Section(kind="adipose tissue", change="granuloma")),
]


def thumbnail(draw, shown, seed):
    picture = Image.fromarray(draw(shown, 128, np.random.default_rng(seed))).convert("L")
    return np.asarray(picture.resize((64, 64), Image.Resampling.BOX), dtype=float)


@pytest.mark.parametrize(("draw", "without", "shown"), FINDINGS)
def test_a_finding_changes_enough_pixels_to_be_learnt(draw, without, shown):
    for seed in range(3):
        change = np.abs(thumbnail(draw, shown, seed) - thumbnail(draw, without, seed))
        assert (change > 14).sum() >= 9


def test_skin_differs_by_condition_in_every_tone():
    for tone in TONES:
        pictures = [skin_picture(condition, tone, 64, np.random.default_rng(1)).astype(float) for condition in CONDITIONS]
        for number, one in enumerate(pictures):
            assert all(np.abs(one - other).mean() > 4 for other in pictures[:number])


def test_masks_lie_where_the_polyp_and_the_instrument_are():
    seen = scene_picture(Scene(polyps=(POLYP,), instrument="biopsy forceps"), 128, np.random.default_rng(0))
    assert seen.pixels.shape == (128, 128, 3)
    assert set(np.unique(seen.polyps)) == {0, 255}
    y, x = (axis.mean() for axis in np.nonzero(seen.polyps))
    assert max(x, y) < 64
    y, x = (axis.mean() for axis in np.nonzero(seen.instrument))
    assert min(x, y) > 64


def test_answers_and_prompts_follow_the_scene():
    scene = Scene(polyps=(POLYP, Polyp(place="center", shape="pedunculated", size="5-10mm")), box="black", instrument="polyp snare")
    said = answers_of(scene)
    assert len(said) == 18
    assert (said[8], said[10], said[16], said[17]) == (["2"], ["Upper-left", "Center"], ["<5mm", "5-10mm"], ["Paris is", "Paris ip"])
    assert (said[3], said[4], said[14], said[13]) == (["Yes"], ["No"], ["Polyp snare"], ["No"])
    assert answers_of(Scene())[12] == ["No"]
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scene = draw_scene(rng)
        prompts = prompts_of(scene, rng)
        assert 2 <= len(set(prompts)) == len(prompts) <= 5
        assert scene.polyps or not any(re.search(r"(?<!no )(?<!any )polyps?\b(?! snare)", p) for p in prompts)


def test_captions_name_the_modality_that_is_drawn():
    figures = [draw_figure(32, np.random.default_rng(seed)) for seed in range(150)]
    one = [figure for figure in figures if len(modalities_in(figure.caption)) == 1]
    assert 120 < len(one) < 145
    assert all(modalities_in(figure.caption) == [figure.modality] for figure in one)
    assert {figure.modality for figure in figures} == set(WORDS)
    assert all(figure.concepts[0] == MODALITY_CUI[figure.modality] and set(figure.concepts) <= set(NAMES) for figure in figures)
    assert any(len(modalities_in(figure.caption)) > 1 for figure in figures)


def test_facts_about_sections_do_not_contradict_each_other():
    said = dict(facts_of(Section(change="necrosis", corner="lower left"), np.random.default_rng(0)))
    assert (said["is necrosis present?"], said["is the tissue normal?"]) == ("yes", "no")
    assert said["where is the necrosis located?"] == "lower left of the image"
    assert dict(facts_of(Section(), np.random.default_rng(0)))["is the tissue normal?"] == "yes"


def test_chinese_answers():
    def fact(answer, wording):
        return Fact(kind="PRES", answer=answer, closed=True, wordings=(wording, "x"))

    assert in_chinese(fact("no", "Is there a pneumothorax?")).answer == "没有"
    assert in_chinese(fact("yes", "Is the heart enlarged?")).answer == "是"
    assert in_chinese(fact("right upper zone", "Where is the nodule?")).answer == "右上肺野"
    assert in_chinese(fact(3, "How many lesions are in the liver?")).answer == "3"
    assert in_chinese(fact("yes", "An unknown question?")) is None
