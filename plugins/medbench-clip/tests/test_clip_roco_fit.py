from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
import torch
from medbench_clip import curves
from medbench_clip.encoder import untrained
from medbench_clip.fitting import shuffled, stage_of
from medbench_clip.learner import Learner
from medbench_clip.model import ClipRoco
from medbench_clip.recipe import Recipe
from medbench_clip.sizes import PRESETS
from medbench_clip.words import Words
from medbench_torch.devices import place
from medbench_torch.fit import read_events
from safetensors.torch import load_file

from medbench.errors import DataError, MedbenchError, UsageError
from medbench.types import Embed, Generate, Text

QUICK = {"preset": "tiny", "batch_size": 16, "device": "cpu", "dtype": "float32", "workers": 1}


def unit(vector):
    return vector.array() / np.linalg.norm(vector.array())


def vectors(model, requests):
    return [vector for _, vector in sorted(model.embed(requests), key=lambda pair: pair[0])]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, examples):
    """Return the folder of a short fit, its facts and the events that were told."""
    out = tmp_path_factory.mktemp("fitted") / "out"
    told = []
    facts = ClipRoco(**QUICK, steps=40, evaluate_every=20, lr=1e-3, save_every=0).fit(examples[:40], examples[40:], out, 0, told.append)
    return out, facts, told


def test_a_fit_learns_which_caption_belongs_to_which_picture(fitted, pictures):
    out, facts, _ = fitted
    assert facts["option"] == "weights"
    (stage,) = facts["stages"]
    assert stage["steps"] == 40
    assert stage["held_out"]["matching"] > 0.4, "chance is 1 in 8"
    model = ClipRoco(weights=str(out), device="cpu")
    shown = [pictures(number) for number in range(100, 116)]
    images = np.stack([unit(vector) for vector in vectors(model, [Embed(images=(image,)) for image, _ in shown])])
    texts = np.stack([unit(vector) for vector in vectors(model, [Embed(text=caption) for _, caption in shown])])
    found = (images @ texts.T).argmax(axis=1)
    assert (found == np.arange(16)).mean() > 0.4, "chance is 1 in 16, on pictures that it never saw"


def test_the_folder_says_how_it_was_fitted_without_times_or_paths(fitted):
    out, facts, _ = fitted
    assert {path.name for path in (out / "base").iterdir()} == {"card.json", "config.json", "model.safetensors", "tokenizer.json"}
    card = (out / "base" / "card.json").read_text()
    assert "seconds" not in card
    assert str(out.parent) not in card
    told = json.loads(card)
    assert (told["n_examples"], told["n_validation"], told["seed"]) == (40, 8, 0)
    assert told["data"] == facts["data"]
    assert json.loads((out / "base" / "config.json").read_text())["model_type"] == "clip-roco"


def test_losses_are_told_kept_and_drawn(fitted):
    out, _, told = fitted
    assert any("held-out matching" in event for event in told)
    figure = curves.loss_curves(read_events(out))
    assert [line.label for line in figure.lines] == ["train", "validation"]
    train, held = figure.lines
    assert (train.x[-1], held.x) == (40.0, (20.0, 40.0))
    assert train.y[-1] < train.y[0]
    assert b"<svg" in (out / curves.FILE).read_bytes()
    assert curves.loss_curves([]) is None


def test_the_same_fit_again_is_there_already_and_a_fresh_one_has_the_same_bytes(fitted, examples, tmp_path):
    out, facts, _ = fitted
    settings = {**QUICK, "steps": 40, "evaluate_every": 20, "lr": 1e-3, "save_every": 0}
    before = (out / "base" / "model.safetensors").stat().st_mtime_ns
    again = ClipRoco(**settings).fit(examples[:40], examples[40:], out, 0, None)
    assert msgspec.json.encode(again, order="sorted") == msgspec.json.encode(facts, order="sorted")
    assert (out / "base" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(MedbenchError, match="holds another fit"):
        ClipRoco(**settings).fit(examples[:39], examples[40:], out, 0, None)
    short = {**QUICK, "steps": 2, "lr": 1e-3}
    for name in ("one", "other"):
        ClipRoco(**short).fit(examples[:20], examples[40:], tmp_path / name, 3, None)
    one, other = ((tmp_path / name / "base" / "model.safetensors").read_bytes() for name in ("one", "other"))
    assert one == other


def test_64_16_20_is_cut_from_all_by_the_seed_and_the_test_part_is_judged(examples, tmp_path):
    facts = ClipRoco(**QUICK, steps=2, split="64/16/20").fit(examples[:40], examples[40:], tmp_path / "out", 0, None)
    assert (facts["n_examples"], facts["n_validation"], facts["test"]["n"]) == (31, 7, 10)
    assert facts["test"]["loss"] > 0
    assert 0 <= facts["test"]["matching"] <= 1
    other = ClipRoco(**QUICK, steps=2, split="64/16/20").fit(examples[:40], examples[40:], tmp_path / "other", 1, None)
    assert other["data"] != facts["data"], "another seed shuffles otherwise"


def test_folds_are_judged_before_the_fit_and_told_with_their_spread(examples, tmp_path):
    out = tmp_path / "out"
    facts = ClipRoco(**QUICK, steps=2, folds=3).fit(examples[:30], examples[40:], out, 0, None)
    assert [fold["n"] for fold in facts["folds"]] == [13, 13, 12]
    assert facts["n_examples"] == 30
    losses = [fold["loss"] for fold in facts["folds"]]
    assert facts["folds_loss"]["mean"] == pytest.approx(np.mean(losses))
    assert facts["folds_loss"]["sd"] == pytest.approx(np.std(losses, ddof=1))
    assert len(json.loads((out / "folds.json").read_text())) == 3
    assert not out.with_name("out.folds").exists()
    with pytest.raises(DataError, match="8 pairs for 5 folds"):
        ClipRoco(**QUICK, steps=2, folds=5).fit(examples[:6], examples[6:8], tmp_path / "few", 0, None)


def test_patience_ends_a_fit_and_its_best_weights_are_taken(examples, tmp_path):
    settings = {**QUICK, "epochs": 30, "evaluate_every": 1, "patience": 2, "lr": 0.05}
    (stage,) = ClipRoco(**settings).fit(examples[:16], examples[40:], tmp_path / "out", 0, None)["stages"]
    assert stage["stopped"]
    assert stage["best_step"] == stage["steps"] - 2
    judged = [event["loss"] for event in read_events(tmp_path / "out") if event["event"] == "held-out"]
    assert stage["held_out"]["loss"] == min(judged)


def test_the_published_recipe_is_the_default():
    stage = stage_of(ClipRoco(), 52_000, held=True)
    assert (stage.schedule.lr, stage.schedule.shape, stage.schedule.warmup, stage.batch) == (5e-5, "constant", 0.0, 64)
    assert (stage.betas, stage.weight_decay, stage.clip) == ((0.9, 0.999), 0.0, 0.0), "Adam as it is"
    assert (stage.evaluate_every, stage.patience) == (813, 5)
    assert stage_of(ClipRoco(), 100, held=False).patience == 0


def test_the_loss_is_that_of_clip_in_both_directions(examples):
    learner = Learner(PRESETS["tiny"], Words.of_bytes(), batch=8, seed=0)
    batch, count = learner.collate(examples[:4], [0] * 4)
    logits = torch.tensor([[2.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.5, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    rows = -(logits.diagonal() - logits.logsumexp(1)).sum()
    columns = -(logits.diagonal() - logits.logsumexp(0)).sum()
    assert count == 4
    assert batch["pixels"].dtype is torch.uint8
    assert torch.allclose(learner.loss(lambda **_: logits, batch), (rows + columns) / 2)


def test_equal_captions_count_as_right_in_held_out_matching(examples):
    learner = Learner(PRESETS["tiny"], Words.of_bytes(), batch=8, seed=0)

    class Swapping(torch.nn.Linear):
        def forward(self, pixels, **_):
            n = len(pixels)
            return torch.eye(n)[list(range(n))[::-1]]

    twins = [examples[0], examples[16]]
    assert twins[0][1] == twins[1][1]
    assert learner.evaluate(Swapping(1, 1), {"task": twins}) == {"matching": 1.0}
    assert learner.evaluate(Swapping(1, 1), {"task": examples[:2]}) == {"matching": 0.0}
    assert learner.evaluate(Swapping(1, 1), {}) == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "80/20"}, "split=80/20"),
        ({"folds": 1}, "folds=1"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"dropout": 1.0}, "dropout=1"),
        ({"steps": 5, "epochs": 1.0}, "epochs and steps"),
        ({"patience": -1}, "patience"),
    ],
)
def test_options_that_contradict_themselves_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        Recipe.of(options).check()


def test_what_is_no_pair_is_refused(examples, tmp_path):
    strange = [(Generate(prompt="?"), Text(text="!"))] * 4
    with pytest.raises(UsageError, match="pairs of one picture and its caption"):
        ClipRoco(**QUICK, steps=1).fit(strange, [], tmp_path / "a", 0, None)
    with pytest.raises(DataError, match="1 pairs"):
        ClipRoco(**QUICK, steps=1).fit(examples[:1], [], tmp_path / "b", 0, None)
    with pytest.raises(UsageError, match="not from weights"):
        ClipRoco(**QUICK, weights="x").fit(examples, [], tmp_path / "c", 0, None)


def test_words_are_learnt_alike_in_any_order_and_know_every_byte():
    texts = ["CT scan of the chest", "ct scan of the head", "X-ray of the chest"]
    words, again = Words.learnt(texts, 280), Words.learnt(texts[::-1], 280)
    assert words.to_json() == again.to_json()
    assert len(words) <= 280
    ids, mask = words(["CT scan", "ct scan", "ψ♥ never seen", "  "], 10)
    assert torch.equal(ids[0], ids[1]), "case says nothing"
    assert mask.any(dim=1).all()
    assert ids.shape[1] <= 10
    assert mask[0].sum() < mask[2].sum()


def test_shuffling_follows_from_the_seed_alone():
    items = list(range(50))
    assert shuffled(items, 0) == shuffled(items, 0) != shuffled(items, 1)
    assert sorted(shuffled(items, 0)) == items


def test_a_preset_without_weights_is_the_same_each_time():
    one, other = (untrained(PRESETS["tiny"], place("cpu")).network.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_are_whole_and_finite(fitted):
    state = load_file(fitted[0] / "base" / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    assert "image.blocks.0.1.running_mean" in state


def test_an_interrupted_fit_goes_on_to_the_same_weights(examples, tmp_path):
    settings = {**QUICK, "steps": 6, "evaluate_every": 2, "save_every": 2}

    def stop(event):
        if event["step"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ClipRoco(**settings).fit(examples[:32], examples[40:], tmp_path / "one", 0, stop)
    assert (tmp_path / "one.partial").is_dir()
    for name in ("one", "other"):
        ClipRoco(**settings).fit(examples[:32], examples[40:], tmp_path / name, 0, None)
    one, other = ((tmp_path / name / "base" / "model.safetensors").read_bytes() for name in ("one", "other"))
    assert one == other
