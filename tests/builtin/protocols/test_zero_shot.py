"""Zero-shot classification against the sums written out: single prompts, both ensembles, findings by pairs, questions."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.builtin.protocols.prompts import finding_prompts
from medbench.builtin.protocols.temporal import Temporal
from medbench.builtin.protocols.zero_shot import ZeroShot
from medbench.errors import UsageError
from medbench.types import Embed, Failed, Image, Prediction, Probabilities, Sample, Vector

CLASSES = {"ct": ("ct scan",), "mri": ("mri",)}
ENSEMBLE = {"ct": ("ct scan", "computed tomography", "cat"), "mri": ("mri", "mr")}


def samples(*, exclusive=True, n=5):
    labels = [{"ct": float(i % 2), "mri": float(1 - i % 2)} if exclusive else {"Edema": float(i % 2), "No Finding": None} for i in range(n)]
    return [
        Sample(
            id=f"s{i}", group="g", split="test", images=(Image(path=f"{i}.png", digest=str(i)),), labels=labels[i], prompt=f"thing {i % 2}"
        )
        for i in range(n)
    ]


class Outputs:
    """A made-up vector for everything; `broken` names texts and images that fail."""

    def __init__(self, broken=(), dim=6, **facts):
        self.broken, self.facts, self.dim, self.asked = broken, facts, dim, []

    def of(self, name):
        return np.random.default_rng(sum(map(ord, name)) * 31 + len(name)).normal(size=self.dim).astype("<f4") * 3

    def __getitem__(self, request):
        self.asked.append(request)
        name = request.images[0].path if request.images else request.text
        return Failed(kind="input", error=name) if name in self.broken else Vector(data=self.of(name).tobytes())


def unit(vector):
    return vector.astype(float) / np.linalg.norm(vector)


def softmax(logits):
    raised = np.exp(np.asarray(logits) - np.max(logits))
    return raised / raised.sum()


def given(protocol, asked, outputs, how, **params):
    made = protocol.predictions(asked, outputs, protocol.Params(**params))
    return {p.sample: p.value for p in made if p.condition == {"prompts": how}}


def test_single_prompts_compete_by_a_softmax():
    outputs = Outputs(logit_scale=7.0)
    found = given(ZeroShot(), samples(), outputs, "single", prompts=CLASSES)
    for name, value in found.items():
        image = unit(outputs.of(f"{name[1:]}.png"))
        expected = softmax([7 * image @ unit(outputs.of(text)) for text in ("ct scan", "mri")])
        assert value.labels == ("ct", "mri")
        assert value.values == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("mean_of", ["", "unit", "raw"])
def test_the_mean_of_embeddings_is_of_unit_or_raw_vectors(mean_of):
    outputs = Outputs(logit_scale=7.0)
    found = given(ZeroShot(), samples(), outputs, "ensemble-embeddings", prompts=CLASSES, ensemble=ENSEMBLE, mean_of=mean_of)
    take = (lambda vector: vector) if mean_of == "raw" else unit
    means = [unit(np.mean([take(outputs.of(text)) for text in texts], axis=0)) for texts in ENSEMBLE.values()]
    for name, value in found.items():
        image = unit(outputs.of(f"{name[1:]}.png"))
        assert value.values == pytest.approx(softmax([7 * image @ mean for mean in means]), abs=1e-5)


def test_the_mean_of_probabilities_is_over_the_prompts_of_a_class():
    outputs = Outputs(logit_scale=7.0)
    found = given(ZeroShot(), samples(), outputs, "ensemble-probabilities", prompts=CLASSES, ensemble=ENSEMBLE)
    for name, value in found.items():
        image = unit(outputs.of(f"{name[1:]}.png"))
        each = softmax([7 * image @ unit(outputs.of(text)) for texts in ENSEMBLE.values() for text in texts])
        means = np.array([each[:3].mean(), each[3:].mean()])
        assert value.values == pytest.approx(means / means.sum(), abs=1e-5)
        assert sum(value.values) == pytest.approx(1)


def test_a_model_trained_by_a_sigmoid_judges_each_class_by_itself():
    outputs = Outputs(logit_scale=3.0, logit_bias=-1.0)
    found = given(ZeroShot(), samples(n=1), outputs, "single", prompts=CLASSES)
    image = unit(outputs.of("0.png"))
    expected = [1 / (1 + np.exp(1 - 3 * image @ unit(outputs.of(text)))) for text in ("ct scan", "mri")]
    assert found["s0"].values == pytest.approx(expected, abs=1e-5)


def test_findings_are_judged_by_what_is_said_and_denied_with_raw_means():
    outputs = Outputs(logit_scale=5.0)
    said = finding_prompts("Edema", {}, {})
    assert said.present[0] == "Findings consistent with edema"
    assert said.absent[0] == "There is no edema"
    found = given(ZeroShot(), samples(exclusive=False), outputs, "ensemble-embeddings", labels="Edema")
    present, absent = (unit(np.mean([outputs.of(text) for text in texts], axis=0)) for texts in said)
    for name, value in found.items():
        image = unit(outputs.of(f"{name[1:]}.png"))
        assert value.labels == ("Edema",)
        assert value.values[0] == pytest.approx(softmax([5 * image @ present, 5 * image @ absent])[0], abs=1e-5)
    found = given(ZeroShot(), samples(exclusive=False), outputs, "ensemble-probabilities", labels="Edema")
    image = unit(outputs.of("0.png"))
    each = [softmax([5 * image @ unit(outputs.of(p)), 5 * image @ unit(outputs.of(a))])[0] for p in said.present for a in said.absent]
    assert found["s0"].values[0] == pytest.approx(np.mean(each), abs=1e-5)


def test_a_label_that_says_there_is_nothing_has_prompts_of_its_own():
    said = finding_prompts("No Finding", {}, {})
    assert not any("finding consistent with no" in prompt.lower() for prompt in said.present)
    stated = finding_prompts("Pneumonia", {"Pneumonia": ("pneumonia",)}, {"Pneumonia": ("normal",)})
    assert stated == (("pneumonia",), ("normal",))


def test_without_several_prompts_there_is_no_ensemble():
    made = list(ZeroShot().predictions(samples(), Outputs(), ZeroShot.Params(prompts=CLASSES)))
    assert {p.condition["prompts"] for p in made} == {"single"}
    assert [p.sample for p in made] == [f"s{i}" for i in range(5)]


def test_what_is_predicted_was_asked():
    params = ZeroShot.Params(prompts=CLASSES, ensemble=ENSEMBLE)
    requests = list(ZeroShot().requests(samples(), params))
    outputs = Outputs()
    list(ZeroShot().predictions(samples(), outputs, params))
    assert len(requests) == len(set(requests)) == 5 + 5
    assert set(outputs.asked) == set(requests)


def test_a_broken_image_fails_alone_and_a_broken_prompt_fails_its_way():
    params = {"prompts": CLASSES, "ensemble": ENSEMBLE}
    found = given(ZeroShot(), samples(), Outputs(broken=("2.png",)), "single", **params)
    assert [name for name, value in found.items() if isinstance(value, Failed)] == ["s2"]
    outputs = Outputs(broken=("cat",))
    assert all(isinstance(value, Probabilities) for value in given(ZeroShot(), samples(), outputs, "single", **params).values())
    assert all(isinstance(value, Failed) for value in given(ZeroShot(), samples(), outputs, "ensemble-embeddings", **params).values())
    everything = [f"{i}.png" for i in range(5)]
    assert all(isinstance(value, Failed) for value in given(ZeroShot(), samples(), Outputs(broken=everything), "single", **params).values())


def test_images_and_texts_without_a_common_space_fail():
    class Odd(Outputs):
        def of(self, name):
            return np.ones(3 if name.endswith(".png") else 4, dtype="<f4")

    found = given(ZeroShot(), samples(), Odd(), "single", prompts=CLASSES)
    assert all(isinstance(value, Failed) and "no common space" in value.error for value in found.values())


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"prompts": {"ct": ("ct",)}}, "no prompt for mri"),
        ({"prompts": {**CLASSES, "pet": ("pet",)}}, "stated for pet, which is no label"),
        ({"ensemble": ENSEMBLE}, "ensemble is stated without prompts"),
    ],
)
def test_prompts_that_do_not_fit_the_labels_are_refused(params, said):
    with pytest.raises(UsageError, match=said):
        list(ZeroShot().requests(samples(), ZeroShot.Params(**params)))


@pytest.mark.parametrize("wrong", [{"mean_of": "both"}, {"logit_scale": -1.0}, {"prompts": {"ct": ()}}])
def test_parameters_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        ZeroShot.Params(**wrong)


def test_a_question_is_put_into_the_prompts_of_its_samples():
    params = ZeroShot.Params(prompts={"ct": ("a {question}",), "mri": ("no {question}",)})
    texts = {request.text for request in ZeroShot().requests(samples(), params)} - {""}
    assert texts == {"a thing 0", "a thing 1", "no thing 0", "no thing 1"}
    outputs = Outputs(logit_scale=2.0)
    found = {p.sample: p.value for p in ZeroShot().predictions(samples(), outputs, params)}
    image = unit(outputs.of("1.png"))
    expected = softmax([2 * image @ unit(outputs.of(text)) for text in ("a thing 1", "no thing 1")])
    assert found["s1"].values == pytest.approx(expected, abs=1e-5)
    assert list(found) == [f"s{i}" for i in range(5)]


def test_change_is_asked_of_both_images_together():
    changes = ("improving", "stable", "worsening")
    pair = Sample(
        id="p",
        group="g",
        split="test",
        prompt="edema",
        images=(Image(path="now.png", digest="1", role="current"), Image(path="before.png", digest="2", role="prior")),
        labels={name: float(name == "stable") for name in changes},
    )
    requests = list(Temporal().requests([pair], Temporal.Params()))
    assert requests[0] == Embed(images=pair.images)
    assert "edema is improving" in {request.text for request in requests}
    made = list(Temporal().predictions([pair], Outputs(), Temporal.Params()))
    assert [p.condition["prompts"] for p in made] == ["single", "ensemble-embeddings", "ensemble-probabilities"]
    assert all(isinstance(p, Prediction) and p.value.labels == changes for p in made)
