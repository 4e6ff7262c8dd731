"""What is drawn must be seen at the size models look at, and must be what the words say."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medbench.builtin.twins.abdomen import Abdomen, abdomen_slice, draw_abdomen
from medbench.builtin.twins.canvas import Canvas, smooth
from medbench.builtin.twins.chest import ENLARGED, Chest, Spot, chest_film, draw_chest
from medbench.builtin.twins.head import Head, draw_head, head_slice
from medbench.builtin.twins.lateral import chest_lateral
from medbench.builtin.twins.questions import facts_of
from medbench.builtin.twins.reports import report_of
from medbench.builtin.twins.sheet import contact_sheet

FINDINGS = [
    (chest_film, Chest(), Chest(ratio=0.6)),
    (chest_film, Chest(), Chest(effusions={"left": 0.15})),
    (chest_film, Chest(), Chest(opacity=Spot(side="right", zone="mid"))),
    (chest_film, Chest(), Chest(nodule=Spot(side="left", zone="upper"))),
    (chest_film, Chest(), Chest(pneumothorax="right")),
    (chest_film, Chest(), Chest(device="pacemaker")),
    (chest_film, Chest(), Chest(device="central line")),
    (chest_film, Chest(), Chest(device="endotracheal tube")),
    (chest_lateral, Chest(), Chest(effusions={"left": 0.3})),
    (head_slice, Head(), Head(lesion="hemorrhage")),
    (head_slice, Head(), Head(lesion="infarct", side="left")),
    (head_slice, Head(modality="T2"), Head(modality="T2", lesion="mass")),
    (head_slice, Head(), Head(lesion="subdural")),
    (head_slice, Head(), Head(wide=True)),
    (abdomen_slice, Abdomen(), Abdomen(liver_lesions=1)),
    (abdomen_slice, Abdomen(), Abdomen(cyst="left")),
    (abdomen_slice, Abdomen(), Abdomen(stone="right")),
    (abdomen_slice, Abdomen(), Abdomen(aneurysm=True)),
    (abdomen_slice, Abdomen(), Abdomen(ascites=True)),
    (abdomen_slice, Abdomen(), Abdomen(contrast=True)),
]


def thumbnail(draw, shown, seed):
    picture = Image.fromarray(draw(shown, 128, np.random.default_rng(seed))).resize((64, 64), Image.Resampling.BOX)
    return np.asarray(picture, dtype=float)


@pytest.mark.parametrize(("draw", "without", "shown"), FINDINGS)
def test_a_finding_changes_enough_pixels_to_be_learnt(draw, without, shown):
    seen = 0
    for seed in range(3):
        change = np.abs(thumbnail(draw, shown, seed) - thumbnail(draw, without, seed))
        seen += int((change > 14).sum() >= 9)
    assert seen == 3


def test_the_patients_right_is_on_the_left_of_the_film():
    def middle_of_change(shown, without, draw):
        change = np.abs(thumbnail(draw, shown, 0) - thumbnail(draw, without, 0))
        return float((change.sum(axis=0) * np.arange(64)).sum() / change.sum())

    assert middle_of_change(Chest(effusions={"right": 0.5}), Chest(), chest_film) < 28
    assert middle_of_change(Chest(effusions={"left": 0.5}), Chest(), chest_film) > 36
    assert middle_of_change(Head(lesion="infarct", side="right"), Head(), head_slice) < 28
    assert middle_of_change(Abdomen(stone="left"), Abdomen(), abdomen_slice) > 36


def test_position_and_exposure_vary_more_than_a_finding():
    first, second = thumbnail(chest_film, Chest(), 1), thumbnail(chest_film, Chest(), 2)
    with_nodule = thumbnail(chest_film, Chest(nodule=Spot(side="left", zone="mid")), 1)
    assert np.abs(first - second).mean() > 2 * np.abs(first - with_nodule).mean()


@pytest.mark.parametrize("draw", [chest_film, chest_lateral])
def test_drawing_is_a_function_of_findings_and_seed(draw):
    first, again = (draw(Chest(flat=True), 96, np.random.default_rng(4)) for _ in range(2))
    assert first.shape == (96, 96)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert first.max() - first.min() > 200


def test_random_chests_are_unambiguous():
    chests = [draw_chest(np.random.default_rng(k)) for k in range(300)]
    assert all(abs(c.ratio - ENLARGED) >= 0.03 for c in chests)
    assert 60 < sum(c.normal for c in chests) < 120
    for chest in chests:
        spots = [s for s in (chest.opacity, chest.nodule) if s]
        assert len(set(spots)) == len(spots)
        assert all(s.side != chest.pneumothorax for s in spots)
        assert not any(s.zone == "lower" and chest.effusions.get(s.side) for s in spots)


def test_reports_say_what_is_drawn():
    for k in range(200):
        rng = np.random.default_rng(k)
        chest = draw_chest(rng)
        text = report_of(chest, rng).lower()
        negated = ("no pleural effusion", "no effusion", "no focal", "no pneumothorax", "negative for")
        assert bool(chest.effusions) == ("small" in text or "moderate " in text or "large " in text.replace("not enlarged", ""))
        assert (chest.nodule is not None) == ("nodul" in text)
        assert (chest.opacity is not None) == any(f"{chest.opacity.side} {chest.opacity.zone} zone" in text for _ in [0] if chest.opacity)
        assert not chest.normal or any(word in text for word in (*negated, "clear"))
        for side in ("left", "right"):
            assert (chest.pneumothorax == side) == any(
                phrase in text for phrase in (f"a {side} pneumothorax", f"{side}-sided pneumothorax", f"pneumothorax on the {side}")
            )


def test_every_fact_has_several_wordings_and_one_answer_per_wording():
    for k in range(100):
        for draw in (draw_chest, draw_head, draw_abdomen):
            facts = facts_of(draw(np.random.default_rng(k)))
            wordings = [w for fact in facts for w in fact.wordings]
            assert len(set(wordings)) == len(wordings)
            assert all(len(fact.wordings) >= 2 for fact in facts)
            assert {fact.answer for fact in facts} >= {"yes", "no"}


def test_answers_follow_the_picture():
    def answers(shown):
        return {wording: fact.answer for fact in facts_of(shown) for wording in fact.wordings}

    said = answers(Chest(ratio=0.6, nodule=Spot(side="left", zone="mid")))
    assert (said["Is there cardiomegaly?"], said["Where is the nodule?"], said["Is this a normal film?"]) == ("yes", "left mid zone", "no")
    said = answers(Head(modality="T2", lesion="infarct", side="left", lobe="frontal"))
    assert (said["Is this a CT or an MRI?"], said["Where is the lesion?"], said["What color are the ventricles?"]) == (
        "MRI",
        "left frontal lobe",
        "white",
    )
    said = answers(Abdomen(liver_lesions=3))
    assert (said["How many lesions are in the liver?"], said["Is there ascites?"]) == (3, "no")
    assert "Where is the stone?" not in said


def test_a_curve_passes_through_its_points():
    points = [(0.1, 0.2), (0.5, 0.9), (0.8, 0.3)]
    for closed in (True, False):
        curve = smooth(points, closed=closed)
        assert all(np.abs(curve - point).sum(axis=1).min() < 1e-9 for point in np.array(points))


@pytest.mark.parametrize("soft", [0.003, 0.02, 0.06])
def test_a_mask_covers_the_area_of_its_shape(soft):
    mask = Canvas(128).oval(0.5, 0.5, 0.2, 0.1, soft)
    assert mask.sum() / 128**2 == pytest.approx(np.pi * 0.2 * 0.1, rel=0.06 if soft < 0.05 else 0.15)
    assert mask.max() <= 1.0


def test_contact_sheet_places_pictures_in_their_colours_with_captions():
    pictures = [Image.new("L", (40, 20), 255), Image.new("RGB", (20, 40), (200, 0, 0)), Image.new("L", (8, 8), 90)]
    bare = contact_sheet(pictures, 2, side=64)
    captioned = contact_sheet(pictures, 2, ["a nodule", "", "β " + "long " * 20], side=64)
    assert bare.size == (6 + 2 * 70, 6 + 2 * 70)
    assert captioned.width == bare.width
    assert captioned.height > bare.height
    # in colour whatever the pictures are: endoscopy, skin and tissue say little in grey
    assert [bare.getpixel((x, y)) for x, y in ((38, 38), (108, 38), (38, 108))] == [(255,) * 3, (200, 0, 0), (90,) * 3]
    with pytest.raises(ValueError, match="1 captions for 3 pictures"):
        contact_sheet(pictures, 2, ["one"])
    with pytest.raises(ValueError, match="columns is 0"):
        contact_sheet(pictures, 0)
