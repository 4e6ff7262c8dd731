"""The metrics as a run uses them: names, notes, counts, intervals, and what is not computed in words."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from medbench_imagegen.agreement import ClipScore
from medbench_imagegen.classes import InceptionScore, MedvqaGi2024, inception_scores
from medbench_imagegen.distances import EncoderFid, Fid, Kid
from medbench_imagegen.frechet import frechet_distance, moments
from medbench_imagegen.kernels import kernel_distance
from medbench_imagegen.manifolds import Prdc
from PIL import Image

from medbench.errors import DataError, UsageError
from medbench.types import Failed, Vector


def everything(rows):
    return np.arange(len(rows["drawn"])), np.arange(len(rows["real"]))


def answered(generator, reply):
    """Return what a metric that asks gives, each request answered by `reply`."""
    role, requests = next(generator)
    assert role == "encoder"
    with pytest.raises(StopIteration) as done:
        generator.send([reply(request) for request in requests])
    return done.value.value


def test_below_full_rank_kid_and_the_extrapolation_stand_first_and_fid_says_why(pictures, drawn_pairs, reals_of):
    metric = Fid()
    rows = metric.measure(drawn_pairs(pictures(12)), reals_of(pictures(10, seed=1)))
    assert list(metric.reduce_sets(rows, *everything(rows))) == ["kid-small-v1", "fid-inf-small-v1", "fid-small-v1"]
    notes = metric.notes(rows, *everything(rows))
    assert notes["fid-small-v1"].startswith("fewer than 2,048 pictures (10): biased upwards")
    assert all("at 5 and 5 pictures: real and real" in note for note in notes.values())
    assert list(notes) == ["kid-small-v1", "fid-inf-small-v1", "fid-small-v1"]


def of_features(drawn, real, manifest=""):
    rng = np.random.default_rng(0)
    looks = np.tile([200.0, 8.0, 8.0, 0.0], (drawn, 1))
    names = np.array([str(n) for n in range(drawn)])
    rows = {"drawn": rng.normal(size=(drawn, 4)), "real": rng.normal(size=(real, 4)), "label": np.array("n"), "looks": looks}
    return {**rows, "names": names, "digests": names, "manifest": np.array(manifest)}


def test_with_enough_pictures_fid_stands_first_and_alone_and_the_real_moments_are_kept(monkeypatch):
    rows, metric, calls = of_features(2048, 2100, "a manifest"), Fid(), []
    monkeypatch.setattr("medbench_imagegen.distances.moments", lambda x: calls.append(len(x)) or moments(x))
    for _ in range(2):
        found = metric.reduce_sets(rows, *everything(rows))
        assert list(found) == ["fid-n", "kid-n"]
        assert found["fid-n"] == pytest.approx(frechet_distance(rows["drawn"], rows["real"]), rel=1e-9)
    assert calls == [2048, 2100, 2048] or calls == [2100, 2048, 2048]
    assert "fewer" not in metric.notes(rows, *everything(rows)).get("fid-n", "")
    assert metric.fraction(rows, *everything(rows)) == pytest.approx(600 / 2048)
    part = np.arange(40), np.arange(50)
    assert list(metric.reduce_part(rows, *part, ["fid-n", "kid-n"])) == ["fid-n", "kid-n"]
    assert list(metric.reduce_sets(rows, *part)) == ["kid-n", "fid-inf-n", "fid-n"]  # a subgroup of few
    assert metric.fraction(rows, *part) == 0.5


def test_the_floor_is_of_disjoint_parts_of_the_real_set_at_the_size_of_what_stands_beside_it():
    rows = of_features(30, 41)
    note = Kid().notes(rows, *everything(rows))["kid-n"]
    orders = [np.random.default_rng(seed).permutation(41) for seed in range(5)]
    floor = np.mean([kernel_distance(rows["real"][order[:20]], rows["real"][order[20:40]]) for order in orders])
    assert note.startswith(f"at 20 and 20 pictures: real and real {floor:.3g}, drawn and real ")
    few = of_features(3, 41)
    assert Kid().notes(few, *everything(few))["kid-n"].startswith("at 3 and 3 pictures")
    lone = of_features(1, 41)
    assert Kid().notes(lone, *everything(lone)) == {}


def test_sub_samples_tell_how_a_distance_varies_and_err_on_the_wide_side():
    values, widths = [], []
    metric = Fid()
    for seed in range(16):
        rng = np.random.default_rng(seed)
        rows = {**of_features(80, 60), "drawn": rng.normal(0.4, 1.2, (80, 6)), "real": rng.normal(size=(60, 6))}
        names = ("kid-n", "fid-n")
        values.append([metric.reduce_sets(rows, *everything(rows))[name] for name in names])
        parts = [(rng.permutation(80)[:40], rng.permutation(60)[:30]) for _ in range(40)]
        widths.append(np.std([[metric.reduce_part(rows, *part, [name])[name] for name in names] for part in parts], axis=0, ddof=1))
    ratio = np.mean(widths, axis=0) / np.std(values, axis=0, ddof=1)
    assert (ratio > 0.7).all()
    assert (ratio < 2).all()


def test_planning_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'PIL', 'cleanfid', 'torchvision'}"
    command = f"import sys, medbench_imagegen; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


def test_the_floor_of_shares_is_printed_as_a_share():
    rows = of_features(30, 41)
    assert "%, drawn and real" in Prdc().notes(rows, *everything(rows))["coverage-n"]


def test_pictures_like_the_real_ones_are_nearer_than_others(pictures, drawn_pairs, reals_of):
    real, alike, other = pictures(20), pictures(20, seed=1), pictures(20, colour=40, seed=2)
    metric = Kid()

    def kid(drawn):
        rows = metric.measure(drawn_pairs(drawn), reals_of(real))
        return metric.reduce_sets(rows, *everything(rows))["kid-small-v1"]

    assert kid(alike) < kid(other)


def test_black_pictures_are_counted_and_named(pictures, tmp_path, drawn_pairs, reals_of):
    black = tmp_path / "black.png"
    Image.new("RGB", (8, 8)).save(black)
    metric = Kid()
    rows = metric.measure(drawn_pairs([*pictures(9), str(black)]), reals_of(pictures(9, seed=1)))
    assert metric.flags(rows)["empty"].tolist() == [False] * 9 + [True]
    said = metric.notes(rows, *everything(rows))["kid-small-v1"]
    assert said.startswith("1 drawn picture is black (a safety filter, or a failed decoding): s009; 1 drawn picture is of another size")


def test_the_network_is_part_of_the_name(inception_file, pictures, monkeypatch, drawn_pairs, reals_of):
    monkeypatch.setenv("MEDBENCH_INCEPTION", str(inception_file))
    metric = Kid()
    rows = metric.measure(drawn_pairs(pictures(6)), reals_of(pictures(6, seed=1)))
    assert list(metric.reduce_sets(rows, *everything(rows))) == ["kid-clean"]
    assert metric.identity.startswith("clean-")


def test_the_inception_score_is_its_definition():
    p = np.random.default_rng(1).dirichlet(np.ones(7), size=43)
    expected = [np.exp(np.mean([np.sum(q * np.log(q / part.mean(0))) for q in part])) for part in np.split(p[:40], 10)]
    assert inception_scores(p) == pytest.approx(expected)  # what remains after the last split is left out
    assert inception_scores(np.full((20, 5), 0.2)) == pytest.approx(1)
    assert inception_scores(np.tile(np.eye(5), (10, 1)), splits=2) == pytest.approx(5)
    assert len(inception_scores(p[:9])) == 0


def test_the_inception_score_does_not_depend_on_the_order_of_pictures(inception_file, pictures, drawn_pairs, reals_of):
    metric = InceptionScore(weights=str(inception_file))
    pairs = drawn_pairs(pictures(24))
    scores = []
    for order in (pairs, pairs[::-1]):
        rows = metric.measure(order, reals_of(pictures(3, seed=1)))
        scores.append(metric.reduce_sets(rows, *everything(rows))["is"])
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)
    assert scores[0] >= 1
    assert metric.notes(rows, *everything(rows))["is"].startswith("24 pictures: far below the 50,000")


def test_scores_on_classes_are_refused_without_their_weights(tmp_path):
    with pytest.raises(UsageError, match="not at hand"):
        InceptionScore()
    with pytest.raises(UsageError, match="ImageNet classifier of Keras"):
        MedvqaGi2024()
    with pytest.raises(UsageError, match="no such file"):
        MedvqaGi2024(weights=str(tmp_path / "keras.pt"))


class Logits(torch.nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_classifier_that_gives_no_probabilities_is_refused(tmp_path, pictures, drawn_pairs, reals_of):
    torch.jit.script(Logits()).save(str(tmp_path / "keras.pt"))
    with pytest.raises(UsageError, match="does not give class probabilities"):
        MedvqaGi2024(weights=str(tmp_path / "keras.pt")).measure(drawn_pairs(pictures(1)), reals_of(pictures(1, seed=1)))


class Classifier(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x.mean(dim=(2, 3)) * 3, dim=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_organisers_number_is_a_distance_of_classes_of_cut_buffers(tmp_path, pictures, drawn_pairs, reals_of, monkeypatch):
    torch.jit.script(Classifier()).save(str(tmp_path / "keras.pt"))
    monkeypatch.setenv("MEDBENCH_KERAS_INCEPTION", str(tmp_path / "keras.pt"))
    metric = MedvqaGi2024()
    drawn, real = pictures(11), pictures(13, colour=90, seed=1)
    Image.open(drawn[0]).convert("L").save(drawn[0])  # the organisers read files as they are: a grey one fills a third
    Image.open(drawn[1]).convert("RGBA").save(drawn[1])
    rows = metric.measure(drawn_pairs(drawn), reals_of(real))

    def by_hand(paths):
        buffers = [np.resize(np.asarray(Image.open(path)), (299, 299, 3)).astype(np.float32) / 127.5 - 1 for path in paths]
        return np.array([torch.softmax(torch.tensor(b.mean(axis=(0, 1)) * 3), 0).numpy() for b in buffers])

    np.testing.assert_allclose(rows["drawn"], by_hand(drawn), atol=1e-5)
    found = metric.reduce_sets(rows, *everything(rows))
    assert found["fid-medvqagi2024"] == pytest.approx(frechet_distance(by_hand(drawn), by_hand(real)), rel=1e-2)
    notes = metric.notes(rows, *everything(rows))
    assert "compares with the organisers' table alone; two halves of the real set, 6 each: " in notes["fid-medvqagi2024"]
    assert "over 10 splits: standard deviation" in notes["is-medvqagi2024"]
    assert metric.signature()["network"].startswith("keras-")


def vector(*numbers):
    return Vector(data=np.array(numbers, dtype="<f4").tobytes())


def test_clip_score_is_2_5_times_the_cosine_and_failures_are_unscored(pictures, drawn_pairs):
    metric = ClipScore()
    pairs = drawn_pairs(pictures(4))
    drawn = iter([vector(1, 0), vector(0, 2), vector(-1, 0), vector(1, 0)])

    def reply(request):
        if request.images:
            return next(drawn)
        return Failed(kind="model", error="e") if request.text == "polyp 3" else vector(1, 1 if request.text == "polyp 1" else 0)

    rows = answered(metric.measure(pairs), reply)
    assert metric.per_sample(rows)["cosine"][:3] == pytest.approx([1, 2**-0.5, -1])
    values = {name: float(value[0]) for name, (value, _) in metric.reduce(rows, np.ones((1, 4))).items()}
    assert values == pytest.approx({"cosine": 2**-0.5 / 3, "clip-score": 2.5 * (1 + 2**-0.5) / 3})
    assert metric.flags(rows)["unscored"].tolist() == [False, False, False, True]


def test_an_encoder_that_does_not_align_both_is_refused(pictures, drawn_pairs):
    generator = ClipScore().measure(drawn_pairs(pictures(1)))
    _, requests = next(generator)
    with pytest.raises(UsageError, match="2 numbers for a picture and 3 for a text"):
        generator.send([vector(1, 2) if request.images else vector(1, 2, 3) for request in requests])
    for lost in ("picture", "prompt"):
        generator = ClipScore().measure(drawn_pairs(pictures(2)))
        _, requests = next(generator)
        with pytest.raises(UsageError, match=f"embedded no {lost}: not mine"):
            generator.send(
                [vector(1) if bool(r.images) is (lost == "prompt") else Failed(kind="model", error="not mine") for r in requests]
            )


@pytest.mark.parametrize(("label", "name"), [("", "biovil-t"), ("mine", "mine")])
def test_fid_on_the_embeddings_of_a_model_bears_its_name(pictures, drawn_pairs, reals_of, label, name):
    metric = EncoderFid(label=label)
    metric.bind("biovil-t-0123456789abcdef")
    rng = np.random.default_rng(0)
    rows = answered(metric.measure(drawn_pairs(pictures(8)), reals_of(pictures(9, seed=1))), lambda _: vector(*rng.normal(size=3)))
    assert rows["drawn"].shape == (8, 3)
    assert rows["real"].shape == (9, 3)
    assert f"fid-{name}" in metric.reduce_sets(rows, *everything(rows))
    assert metric.signature() == {"network": "biovil-t-0123456789abcdef"}


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (lambda n: Failed(kind="model", error="too dark"), UsageError, "too dark"),
        (lambda n: vector(*range(1 + n)), DataError, "several lengths"),
        (lambda n: vector(1, float("nan") if n == 2 else 2), DataError, r"vector of .*1-000\.png is not finite \(1 are not\)"),
    ],
)
def test_an_encoder_that_fails_is_named(pictures, reply, error, message, drawn_pairs, reals_of):
    generator = EncoderFid().measure(drawn_pairs(pictures(2)), reals_of(pictures(2, seed=1)))
    _, requests = next(generator)
    with pytest.raises(error, match=message):
        generator.send([reply(n) for n in range(len(requests))])
