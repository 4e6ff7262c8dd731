"""Probes and concepts: what is learnt from, what is left out, conditions, and curves that rise where there is something to learn."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from medbench.builtin.protocols.concepts import Concepts
from medbench.builtin.protocols.probe import Probe
from medbench.errors import DataError, UsageError
from medbench.types import Failed, Image, Sample, Vector

FINDINGS = ("edema", "nodule")


def people(split, n, *, seed=0):
    """Samples of two findings each; the vector of sample i of a split is made of them and noise."""
    rng = np.random.default_rng([seed, len(split)])
    made = []
    for i in range(n):
        labels = {finding: float(rng.random() < 0.4) for finding in FINDINGS}
        first = next((finding for finding in FINDINGS if labels[finding]), "")
        made.append(
            Sample(
                id=f"{split}-{i}",
                group=f"{split}-{i // 2}",
                split=split,
                images=(Image(path=f"{split}-{i}.png", digest=f"{split}{i}"),),
                references=(f"caption {split}-{i}",),
                labels=labels,
                meta={"first_cui": first} if first else {},
            )
        )
    return made


TRAIN, TEST = people("train", 80), people("test", 30)


class Encoder:
    """Vectors that hold the findings (the image the first, the caption the second) among noise; `broken` names what fails."""

    facts = {}

    def __init__(self, *broken, texts=True):
        self.broken, self.texts = set(broken), texts
        self.labels = {sample.id: sample.labels for sample in (*TRAIN, *TEST)}

    def __getitem__(self, request):
        name = request.images[0].path.removesuffix(".png") if request.images else request.text.removeprefix("caption ")
        if name in self.broken or not (request.images or self.texts):
            return Failed(kind="input", error=f"no {name}")
        rng = np.random.default_rng([*list(name.encode()), bool(request.images)])
        vector = rng.normal(size=12) * 0.7
        vector[0] += 4 * self.labels[name][FINDINGS[0 if request.images else 1]]
        vector[1] += 4 * self.labels[name][FINDINGS[1]]
        return Vector(data=vector.astype("<f4").tobytes())


def judged(protocol, samples=(*TRAIN, *TEST), outputs=None, **params):
    return list(protocol.predictions(list(samples), outputs or Encoder(), protocol.Params(**params)))


def accuracy(predictions, **condition):
    truth = {sample.id: sample.labels for sample in TEST}
    right = [
        (value >= 0.5) == (truth[p.sample][label] == 1)
        for p in predictions
        if condition.items() <= p.condition.items()
        for label, value in zip(p.value.labels, p.value.values, strict=True)
    ]
    return np.mean(right)


def test_only_the_evaluated_samples_are_predicted_under_every_condition():
    made = judged(Probe(), shots=(10, "all"), seeds=2, heads=("logistic", "mlp"))
    conditions = [tuple(sorted(p.condition.items(), key=str)) for p in made]
    assert {p.sample for p in made} == {sample.id for sample in TEST}
    assert len(made) == len(set(zip(conditions, (p.sample for p in made), strict=True))) == 30 * (2 + 1 + 2 + 2)
    assert {p.condition["seed"] for p in made if p.condition["shots"] == "all" and p.condition["head"] == "logistic"} == {0}
    assert all(p.value.labels == FINDINGS for p in made)


def test_more_shots_are_better_than_few():
    made = judged(Probe(), shots=(5, 80), seeds=5)
    assert accuracy(made, shots=80) > accuracy(made, shots=5)
    assert accuracy(made, shots=80) > 0.85


def test_the_run_seed_changes_the_draws_and_nothing_else():
    one, two = (judged(Probe(), shots=(10,), seeds=1, seed=seed) for seed in (0, 1))
    assert [p.condition for p in one] == [p.condition for p in two]
    assert [p.value for p in one] != [p.value for p in two]
    assert [p.value for p in one] == [p.value for p in judged(Probe(), shots=(10,), seeds=1, seed=0)]


def test_nothing_of_the_evaluated_samples_reaches_a_head():
    swapped = [msgspec.structs.replace(s, labels={name: 1.0 - value for name, value in s.labels.items()}) for s in TEST]
    assert judged(Probe(), (*TRAIN, *swapped), shots=(20,)) == judged(Probe(), shots=(20,))
    alone = judged(Probe(), (*TRAIN, TEST[3]), shots=(20,))
    together = [p for p in judged(Probe(), shots=(20,)) if p.sample == "test-3"]
    assert [p.value.values for p in alone] == [pytest.approx(p.value.values) for p in together]


def test_failed_samples_are_left_out_of_train_and_carried_through_in_test():
    outputs = Encoder("train-3", "train-4", "test-5")
    made = judged(Probe(), outputs=outputs, shots=("all",), seeds=1)
    assert [p.sample for p in made if isinstance(p.value, Failed)] == ["test-5"]
    (told,) = Probe().remarks([*TRAIN, *TEST], outputs, Probe.Params(shots="all"))
    assert "78 train samples; 2 are left out" in told


def test_unknown_truth_is_learnt_from_where_any_is_known():
    masked = [msgspec.structs.replace(s, labels={"edema": None, "nodule": s.labels["nodule"]}) for s in TRAIN[:40]]
    empty = [msgspec.structs.replace(s, labels={"edema": None, "nodule": float("nan")}) for s in TRAIN[40:50]]
    samples = [*masked, *empty, *TRAIN[50:], *TEST]
    assert accuracy(judged(Probe(), samples, shots=("all",))) > 0.7
    assert "70 train samples; 10 are left out" in Probe().remarks(samples, Encoder(), Probe.Params(shots="all"))[0]


def test_a_label_that_train_never_knows_is_not_predicted():
    samples = [*TRAIN, *[msgspec.structs.replace(s, labels={**s.labels, "hernia": 1.0}) for s in TEST]]
    assert {p.value.labels for p in judged(Probe(), samples, shots=("all",))} == {FINDINGS}


def test_classes_that_exclude_each_other_share_a_head():
    def one(sample):
        edema = sample.labels["edema"]
        return msgspec.structs.replace(sample, labels={"edema": edema, "none": 1 - edema})

    made = judged(Probe(), [one(s) for s in (*TRAIN, *TEST)], shots=("all",))
    assert all(sum(p.value.values) == pytest.approx(1) for p in made)


def test_more_shots_than_there_are_samples_are_left_out_and_said():
    params = Probe.Params(shots="10,1000")
    assert {p.condition["shots"] for p in Probe().predictions([*TRAIN, *TEST], Encoder(), params)} == {10}
    assert Probe().remarks([*TRAIN, *TEST], Encoder(), params)[1] == "probe: train has no 1000 samples to learn from"


def test_nothing_to_learn_from_is_said():
    with pytest.raises(DataError, match="none of the 80 train samples can be learnt from: no train-0"):
        judged(Probe(), outputs=Encoder(*[s.id for s in TRAIN]))
    with pytest.raises(DataError, match="none of the 0 train samples"):
        judged(Probe(), TEST)
    with pytest.raises(UsageError, match="no sample has the label oedema"):
        list(Probe().requests(TRAIN, Probe.Params(labels="oedema")))


@pytest.mark.parametrize("wrong", [{"shots": "0"}, {"seeds": 0}, {"heads": "svm"}, {"heads": ""}])
def test_parameters_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        Probe.Params(**wrong)


# --- concepts ---------------------------------------------------------------------------------------------------------


def test_concepts_are_learnt_from_image_caption_and_both():
    made = judged(Concepts())
    assert {(p.condition["input"], p.condition["target"]) for p in made} == {
        (i, t) for i in ("image", "caption", "both") for t in ("all", "first")
    }
    every = {name: accuracy(made, input=name, target="all") for name in ("image", "caption", "both")}
    assert every["image"] > 0.75
    assert every["both"] >= every["caption"]


def test_the_first_concept_is_a_class_of_its_own():
    made = [p for p in judged(Concepts(), inputs="image") if p.condition["target"] == "first"]
    first = {sample.id: sample.meta.get("first_cui") for sample in TEST}
    right = [p.value.labels[int(np.argmax(p.value.values))] == first[p.sample] for p in made if first[p.sample]]
    assert np.mean(right) > 0.75
    assert all(sum(p.value.values) == pytest.approx(1) for p in made)


def test_captions_that_a_model_does_not_take_are_left_out_and_said():
    outputs = Encoder(texts=False)
    made = judged(Concepts(), outputs=outputs)
    assert {p.condition["input"] for p in made} == {"image"}
    told = Concepts().remarks([*TRAIN, *TEST], outputs, Concepts.Params())
    assert told[0] == "input=caption, both left out: the model gives it for no train sample"
    with pytest.raises(DataError, match="no train sample can be learnt from: no"):
        judged(Concepts(), outputs=Encoder(*[s.id for s in (*TRAIN, *TEST)]))


def test_what_concepts_predict_was_asked():
    params = Concepts.Params(inputs="caption")
    assert all(request.text and not request.images for request in Concepts().requests([*TRAIN, *TEST], params))
    assert len(list(Concepts().requests([*TRAIN, *TEST], Concepts.Params(inputs="both")))) == 220


@pytest.mark.parametrize("wrong", [{"inputs": "sound"}, {"targets": ()}, {"shots": "none"}])
def test_parameters_of_concepts_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        Concepts.Params(**wrong)
