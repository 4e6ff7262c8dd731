"""The models before anything was fitted: what they take, what they say, what they refuse."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from medbench_mae.model import MaeCls, MaeLlm
from medbench_torch.testing import asked, check_batch_equals_single, check_facts_complete
from medbench_torch.weights import WeightsError

from medbench.errors import UsageError
from medbench.types import Classify, Embed, Failed, Image, Vector


@pytest.fixture(scope="module")
def model():
    return MaeCls(preset="tiny", device="cpu")


def test_neither_batch_nor_order_changes_an_output(model, pictures):
    asked_for = [(pictures[0],), (pictures[1], pictures[2]), (pictures[3],), (pictures[0], pictures[3], pictures[5])]
    check_batch_equals_single(model, [Embed(images=images) for images in asked_for])
    made = check_batch_equals_single(
        model, [Classify(images=images, labels=("Edema", "Mass")[: 1 + n % 2]) for n, images in enumerate(asked_for)]
    )
    assert [output.labels for output in made] == [("Edema",), ("Edema", "Mass"), ("Edema",), ("Edema", "Mass")]


def test_the_vector_of_several_pictures_is_their_mean(model, pictures):
    one, two, both = (
        output.array() for output in asked(model, [Embed(images=(p,)) for p in pictures[:2]] + [Embed(images=tuple(pictures[:2]))])
    )
    np.testing.assert_allclose(both, (one + two) / 2, rtol=1e-3, atol=1e-5)
    assert not np.allclose(one, two, atol=1e-3)


def test_a_text_and_a_broken_picture_fail_alone(model, pictures, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    broken = Image(path=str(tmp_path / "torn.png"))
    made = asked(model, [Embed(text="edema"), Embed(images=(pictures[0],)), Embed(images=(pictures[1], broken))])
    assert [type(output) for output in made] == [Failed, Vector, Failed]
    assert "embeds images, not texts" in made[0].error
    assert isinstance(asked(model, [Classify(images=(broken,), labels=("Edema",))])[0], Failed)


def test_facts_are_complete_and_an_untrained_model_says_so(model):
    facts = check_facts_complete(model, more=("image_size", "aspect", "patches", "layer_norm_eps", "labels", "dim"))
    assert (facts["untrained"], facts["mask_ratio"], facts["patches"], facts["dim"]) == (True, 0.0, 64, 96)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "mae-llm has no published weights"),
        (
            {"preset": "tiny", "margin": 1.5, "norm_eps": 1e-6, "language_model": "x"},
            "margin, norm_eps, language_model: of medbench fit, not of a run",
        ),
        ({"preset": "small"}, "preset=small: not known"),
        ({"aspect": "stretch"}, "aspect=stretch: not known"),
        ({"loss": "triplet"}, "loss=triplet: not known"),
        ({"margin": "wide"}, "an option of the fit is of another kind"),
        ({"margin": 2.5}, "margin=2.5: a distance of unit vectors"),
        ({"label_steps": 3, "label_epochs": 1.0}, "label_epochs and label_steps: one of them says how long"),
        ({"text_batch": 0}, "text_batch=0: at least 1"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(options, message):
    with pytest.raises(UsageError) as raised:
        MaeLlm(**options).facts()
    assert message in raised.value.message
    assert raised.value.hint


def test_a_folder_that_no_fit_wrote_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"no model\.json"):
        MaeCls(weights=str(tmp_path), device="cpu").facts()
    (tmp_path / "model.json").write_text('{"kind": "mae-cls"}')
    with pytest.raises(WeightsError, match=r"model\.json: Object missing required field"):
        MaeCls(weights=str(tmp_path), device="cpu").facts()


def test_planning_imports_no_torch():
    code = "import sys, medbench_mae.model; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
