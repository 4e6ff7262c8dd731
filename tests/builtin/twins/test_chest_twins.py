"""The twins of the chest and breast datasets: what is drawn is what is said."""

from __future__ import annotations

import numpy as np
from PIL import Image

from medbench.builtin.twins.boxes import box_between, film_with_boxes
from medbench.builtin.twins.chest import Chest, Spot, chest_film, draw_chest
from medbench.builtin.twins.film_labels import chexpert_fields, chexpert_findings, nih_findings, radiologist_fields
from medbench.builtin.twins.mammogram import Breast, draw_breast, mammogram
from medbench.builtin.twins.writing import generator


def test_labels_say_what_is_drawn():
    for seed in range(60):
        chest = draw_chest(np.random.default_rng(seed))
        shown = chexpert_findings(chest)
        assert shown["Pleural Effusion"] == bool(chest.effusions)
        assert shown["Support Devices"] == bool(chest.device)
        fields = chexpert_fields(chest, np.random.default_rng(seed))
        assert set(fields) == set(radiologist_fields(chest)) == {*shown, "No Finding"}
        assert all(fields[name] in ("1.0", "-1.0") if is_shown else fields[name] != "1.0" for name, is_shown in shown.items())
        abnormal = [name for name, is_shown in shown.items() if is_shown and name != "Support Devices"]
        assert (radiologist_fields(chest)["No Finding"] == "1.0") == (not abnormal)
        if chest.normal:
            assert nih_findings(chest) == []


def test_each_chestxray14_label_occurs():
    told = {label for seed in range(1500) for label in nih_findings(draw_chest(np.random.default_rng(seed)))}
    assert len(told) == 14


def test_boxes_surround_their_findings():
    for seed in range(6):
        chest = Chest(opacity=Spot(side="right", zone="lower"), nodule=Spot(side="left", zone="upper"))
        names = (seed, "boxes")
        film, boxes = film_with_boxes(chest, 112, names)
        assert np.array_equal(film, chest_film(chest, 112, generator(seed, "boxes")))
        opacity, nodule = boxes
        assert opacity.x + opacity.width < 56 < nodule.x
        assert nodule.y + nodule.height < 56 < opacity.y + opacity.height
        assert 4 <= nodule.width <= 20
        assert 8 <= opacity.width <= 40
        assert box_between(film, chest, chest, names, "nothing") is None
    assert film_with_boxes(chest, 112, names, boxed=False)[1] == ()


def test_findings_of_a_breast_can_be_seen():
    for finding in ("cyst", "mass", "calcifications"):
        shown = Breast(side="L", density=1, finding=finding, large=True)
        for view in ("CC", "MLO"):
            with_it, without = (
                np.asarray(Image.fromarray(mammogram(b, view, 64, np.random.default_rng(3)))) for b in (shown, Breast(side="L", density=1))
            )
            assert (np.abs(with_it - without) > 0.1).sum() >= 12
    assert {draw_breast(np.random.default_rng(k), "L", 1).category for k in range(80)} == {1, 2, 3, 4, 5}
    left, right = (mammogram(Breast(side=side, density=2), "CC", 64, np.random.default_rng(1)) for side in ("L", "R"))
    assert left[:, :10].mean() > 5 * left[:, -10:].mean()
    assert right[:, -10:].mean() > 5 * right[:, :10].mean()
