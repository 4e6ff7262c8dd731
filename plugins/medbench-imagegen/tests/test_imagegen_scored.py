"""The metrics as a run uses them: names, notes, counts, intervals, and what is not computed in words."""

from __future__ import annotations

import io

import medbench_imagegen
import numpy as np
import pytest
import torch
from medbench_imagegen.agreement import ClipScore
from medbench_imagegen.classes import InceptionScore, MedvqaGi2024, inception_score
from medbench_imagegen.distances import EncoderFid, Fid, Kid
from medbench_imagegen.frechet import frechet_distance
from PIL import Image

from medbench import api
from medbench.errors import DataError, UsageError
from medbench.registry import load_registry
from medbench.testing import FakeModel
from medbench.types import Failed, Picture, Vector


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
    note = metric.notes(rows, *everything(rows))["fid-small-v1"]
    assert "floor" in note
    assert "10 pictures are fewer than 2,048" in note


def test_with_enough_pictures_fid_stands_first_and_alone():
    rng = np.random.default_rng(0)
    rows = {"drawn": rng.normal(size=(2048, 4)), "real": rng.normal(size=(2100, 4)), "label": np.array("n"), "black": np.zeros(2048, bool)}
    metric = Fid()
    names = list(metric.reduce_sets(rows, np.arange(400), np.arange(300)))
    assert names == ["fid-n", "kid-n"]
    assert metric.fraction(rows) == pytest.approx(500 / 2048)


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
    assert metric.notes(rows, *everything(rows))["kid-small-v1"].startswith("1 drawn pictures are black; 2 sizes")


def test_the_network_is_part_of_the_name(inception_file, pictures, monkeypatch, drawn_pairs, reals_of):
    monkeypatch.setenv("MEDBENCH_INCEPTION", str(inception_file))
    metric = Kid()
    rows = metric.measure(drawn_pairs(pictures(6)), reals_of(pictures(6, seed=1)))
    assert list(metric.reduce_sets(rows, *everything(rows))) == ["kid-clean"]
    assert metric.identity.startswith("clean-")


def test_the_inception_score_is_its_definition():
    p = np.random.default_rng(1).dirichlet(np.ones(7), size=40)
    expected = np.mean([np.exp(np.mean([np.sum(q * np.log(q / part.mean(0))) for q in part])) for part in np.split(p, 10)])
    assert inception_score(p) == pytest.approx(expected)
    assert inception_score(np.full((20, 5), 0.2)) == pytest.approx(1)
    assert inception_score(np.tile(np.eye(5), (10, 1)), splits=2) == pytest.approx(5)
    assert np.isnan(inception_score(p[:9]))


def test_the_inception_score_does_not_depend_on_the_order_of_pictures(inception_file, pictures, drawn_pairs, reals_of):
    metric = InceptionScore(weights=str(inception_file))
    pairs = drawn_pairs(pictures(24))
    scores = []
    for order in (pairs, pairs[::-1]):
        rows = metric.measure(order, reals_of(pictures(3, seed=1)))
        scores.append(metric.reduce_sets(rows, *everything(rows))["is"])
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)
    assert scores[0] >= 1


def test_scores_on_classes_are_refused_without_their_weights(tmp_path):
    with pytest.raises(UsageError, match="not at hand"):
        InceptionScore()
    with pytest.raises(UsageError, match="ImageNet classifier of Keras"):
        MedvqaGi2024()
    with pytest.raises(UsageError, match="no such file"):
        MedvqaGi2024(weights=str(tmp_path / "keras.pt"))


class Classifier(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x.mean(dim=(2, 3)) * 3, dim=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_organisers_number_is_a_distance_of_classes_of_cut_buffers(tmp_path, pictures, drawn_pairs, reals_of):
    torch.jit.script(Classifier()).save(str(tmp_path / "keras.pt"))
    metric = MedvqaGi2024(weights=str(tmp_path / "keras.pt"))
    drawn, real = pictures(11), pictures(13, colour=90, seed=1)
    rows = metric.measure(drawn_pairs(drawn), reals_of(real))

    def by_hand(paths):
        buffers = [np.resize(np.asarray(Image.open(path)), (299, 299, 3)).astype(np.float32) / 127.5 - 1 for path in paths]
        return np.array([torch.softmax(torch.tensor(b.mean(axis=(0, 1)) * 3), 0).numpy() for b in buffers])

    np.testing.assert_allclose(rows["drawn"], by_hand(drawn), atol=1e-5)
    found = metric.reduce_sets(rows, *everything(rows))
    assert found["fid-medvqagi2024"] == pytest.approx(frechet_distance(by_hand(drawn), by_hand(real)), rel=1e-2)
    assert "compares with the organisers' table alone" in metric.notes(rows, *everything(rows))["fid-medvqagi2024"]


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
    generator = ClipScore().measure(drawn_pairs(pictures(1)))
    next(generator)
    with pytest.raises(UsageError, match="embedded nothing"):
        generator.send([Failed(kind="model", error="no")] * 2)


def test_fid_on_the_embeddings_of_a_model(pictures, drawn_pairs, reals_of):
    metric = EncoderFid(label="biovil-t")
    rng = np.random.default_rng(0)
    rows = answered(metric.measure(drawn_pairs(pictures(8)), reals_of(pictures(9, seed=1))), lambda _: vector(*rng.normal(size=3)))
    assert rows["drawn"].shape == (8, 3)
    assert rows["real"].shape == (9, 3)
    assert "fid-biovil-t" in metric.reduce_sets(rows, *everything(rows))


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (lambda n: Failed(kind="model", error="too dark"), UsageError, "too dark"),
        (lambda n: vector(*range(1 + n)), DataError, "several lengths"),
    ],
)
def test_an_encoder_that_fails_is_named(pictures, reply, error, message, drawn_pairs, reals_of):
    generator = EncoderFid().measure(drawn_pairs(pictures(2)), reals_of(pictures(2, seed=1)))
    _, requests = next(generator)
    with pytest.raises(error, match=message):
        generator.send([reply(n) for n in range(len(requests))])


def paint(request):
    pixels = np.random.default_rng(request.seed % 1000).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return Picture(data=buffer.getvalue(), width=16, height=16)


def test_a_run_on_the_twin_has_distances_with_intervals_and_says_what_is_not_computed(tmp_path):
    registry = load_registry(medbench_imagegen)
    record = api.run("colonoscopy-t2i", FakeModel(paint), registry=registry, data="twin", runs_dir=tmp_path)
    found = {score.name: score for score in record.scores}
    assert list(found) == [
        "kid-small-v1",
        "fid-inf-small-v1",
        "fid-small-v1",
        "precision-small-v1",
        "recall-small-v1",
        "density-small-v1",
        "coverage-small-v1",
        "copies-small-v1",
    ]
    fid = found["fid-small-v1"]
    assert 0 < fid.low < fid.value < fid.high
    assert "floor" in fid.note
    assert "sub-samples" in fid.method
    assert found["coverage-small-v1"].value < 0.2  # noise covers nothing
    assert found["copies-small-v1"].value == 0
    assert "Inception" in record.not_computed["is"]
    assert record.signatures["fid"] == {"network": "small-v1"}


def test_real_pictures_of_train_are_near_and_are_found_to_be_copies(tmp_path):
    registry = load_registry(medbench_imagegen)
    from medbench.builtin.datasets.medvqa_gi_2024 import MedvqaGi2024 as Reader
    from medbench.cards import ReaderCard
    from medbench.roots import ensure_twin, twin_folder

    card = registry.get(ReaderCard, "medvqa-gi-2024")
    ensure_twin(card, root := twin_folder(card))
    samples = {split: list(Reader().read(root, split, {})) for split in ("train", "test")}
    folder = tmp_path / "drawn"
    folder.mkdir()
    train = list({sample.images[0].path: None for sample in samples["train"]})
    for number, sample in enumerate(samples["test"]):
        source = root / train[number % len(train)]
        (folder / f"{sample.id}{source.suffix}").write_bytes(source.read_bytes())
    record = api.score(task="colonoscopy-t2i", pictures=folder, data="twin", registry=registry, runs_dir=tmp_path / "runs")
    found = {score.name: score for score in record.scores}
    assert found["copies-small-v1"].value == 1
    assert found["coverage-small-v1"].value > 0.5
    assert record.n_missing == 0
