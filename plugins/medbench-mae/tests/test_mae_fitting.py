"""Fitting in stages: what each is shown and trains, what is written, and that an interruption changes nothing."""

from __future__ import annotations

import json
import math
import shutil

import pytest
import torch
from medbench_mae.fitting import learner_of, material, stages_of
from medbench_mae.model import MaeCls, MaeLlm
from medbench_mae.presets import tiny_language_model
from medbench_torch.fit import fit as run_stages
from medbench_torch.testing import asked
from safetensors.torch import load_file

from medbench.errors import DataError, UsageError
from medbench.interfaces import Examples
from medbench.types import Classify, Probabilities

SHORT = {"preset": "tiny", "device": "cpu", "batch_size": 8, "reconstruct_steps": 3, "label_steps": 4}
LONGER = {**SHORT, "align_steps": 4}


@pytest.fixture(scope="module")
def fitted(examples, tmp_path_factory):
    """Return the folder of a short fit of mae-llm, and its facts; not to be written to."""
    out = tmp_path_factory.mktemp("fitted") / "out"
    return out, MaeLlm(**LONGER).fit(examples, examples, out, 3, None)


def learner(model, examples, tmp_path, seed=0):
    shown = material(examples, model.recipe.same)
    return learner_of(model, shown, shown, tmp_path / "texts", tmp_path / "scratch", seed)


def test_three_stages_leave_what_the_same_model_loads(fitted, pictures):
    out, facts = fitted
    assert [stage["name"] for stage in facts["stages"]] == ["reconstruct", "align", "label"]
    assert facts["n"] == {"reconstruct": 16, "align": 16, "label": 16}
    assert facts["option"] == "weights"
    assert 0 <= facts["stages"][2]["held_out"]["auroc"] <= 1
    assert not out.with_name("out.texts").exists(), "the reports' vectors are of no use any more"
    model = MaeLlm(weights=str(out), device="cpu")
    (made,) = asked(model, [Classify(images=(pictures[0],), labels=("Effusion", "Fracture"))])
    assert made.labels == ("Effusion",), "a label that train never knows has no probability"
    stated = model.facts()
    assert (stated["untrained"], stated["labels"], stated["fitted_as"]) == (False, ["Edema", "Effusion"], "mae-llm")
    aligned = stated["fit"]["alignment"]
    assert {name: aligned[name] for name in ("loss", "margin", "same", "text_pool")} == {
        "loss": "margin",
        "margin": 1.4,
        "same": "report",
        "text_pool": "mean",
    }
    assert str(out.parent) not in (out / "model.json").read_text()


def test_the_written_model_says_what_was_trained(examples, tmp_path, labelled):
    model = MaeLlm(**LONGER)
    trained = learner(model, examples, tmp_path)
    shown = material(examples, "report")
    run_stages(trained, stages_of(model), shown, {}, tmp_path / "out", 0)
    batch, _ = trained.collate(labelled, [0] * len(labelled), training=False)
    batch.pop("truth")
    with torch.inference_mode():
        expected = torch.sigmoid(trained.module.eval()("label", batch))
    made = asked(MaeLlm(weights=str(tmp_path / "out"), device="cpu"), [request for request, _ in labelled])
    torch.testing.assert_close(torch.tensor([output.values for output in made]), expected, rtol=1e-4, atol=1e-5)


def test_an_interrupted_fit_ends_like_one_that_was_not(fitted, examples, tmp_path):
    def stop(event):
        if event.get("stage") == "align" and event.get("step") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MaeLlm(**LONGER, evaluate_every=2).fit(examples, examples, tmp_path / "out", 3, stop)
    assert list((tmp_path / "out.texts").glob("*.npy")), "the reports' vectors are kept for when it goes on"
    MaeLlm(**LONGER, evaluate_every=2).fit(examples, examples, tmp_path / "out", 3, None)
    MaeLlm(**LONGER, evaluate_every=2).fit(examples, examples, tmp_path / "whole", 3, None)
    for name in ("readout.safetensors", "alignment.safetensors", "encoder/model.safetensors", "pretrained/model.safetensors", "model.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    looked = load_file(fitted[0] / "readout.safetensors")["head.weight"]
    assert torch.equal(looked, load_file(tmp_path / "out" / "readout.safetensors")["head.weight"]), "looking on changes nothing"


def test_each_stage_trains_its_part(examples, tmp_path):
    model = MaeLlm(**LONGER)
    network = learner(model, examples, tmp_path)
    named = {stage.name: set(network.parameters_of(stage.trains)) for stage in stages_of(model)}
    tops = {
        name: {part.split(".")[0] + "." + part.split(".")[1] if "." in part else part for part in parts} for name, parts in named.items()
    }
    assert tops == {
        "reconstruct": {"mae.vit", "mae.decoder"},
        "align": {"mae.vit", "readout.pool", "projection.weight", "projection.bias", "text.projection"},
        "label": {"readout.pool", "readout.head"},
    }
    assert "log_scale" in stages_of(MaeLlm(**LONGER, loss="infonce"))[1].trains
    assert {name.split(".")[1] for name in network.parameters_of(stages_of(MaeLlm(**LONGER, train="full"))[2].trains)} == {
        "vit",
        "pool",
        "head",
    }
    assert not any(name.endswith(("position_embeddings", "decoder_pos_embed")) for parts in named.values() for name in parts)


@pytest.mark.parametrize("options", [{}, {"loss": "infonce", "text_pool": "attention"}])
def test_every_parameter_that_a_stage_trains_has_a_gradient(examples, tmp_path, options):
    model = MaeLlm(**LONGER, **options)
    network = learner(model, examples, tmp_path)
    for stage in stages_of(model):
        network.module.zero_grad(set_to_none=True)
        network.begin(stage)
        batch, count = network.collate(material(examples, "report")[stage.name][:6], range(6))
        network.loss(network.module, batch).backward()
        assert count > 0
        moved = {name for name, parameter in network.module.named_parameters() if parameter.grad is not None}
        assert set(network.parameters_of(stage.trains)) <= moved, "several processes wait for the gradient of all that is trained"


def test_the_language_model_is_not_trained_and_not_written(fitted, examples, tmp_path):
    folder = tiny_language_model(tmp_path / "llama", ["The lungs are clear."])
    before = (folder / "model.safetensors").read_bytes()
    options = {**LONGER, "language_model": str(folder), "text_pool": "attention", "stages": "align"}
    facts = MaeLlm(**options).fit(examples, [], tmp_path / "out", 0, None)
    assert [stage["name"] for stage in facts["stages"]] == ["align"]
    assert (folder / "model.safetensors").read_bytes() == before
    assert not any("layers.0.self_attn" in name for name in load_file(tmp_path / "out" / "alignment.safetensors"))
    about = json.loads((tmp_path / "out" / "model.json").read_text())
    assert about["fit"]["alignment"]["language_model"]["name"] == "", "a folder's name tells nothing to others"
    other = json.loads((fitted[0] / "model.json").read_text())["fit"]["alignment"]["language_model"]
    assert other["name"] == "preset"
    assert other["digest"] != about["fit"]["alignment"]["language_model"]["digest"]
    with pytest.raises(UsageError, match="its head was never trained"):
        list(MaeLlm(weights=str(tmp_path / "out"), device="cpu").classify([]))


def test_a_fit_may_begin_from_what_another_one_pre_trained(fitted, labelled, tmp_path):
    out = tmp_path / "out"
    options = {**SHORT, "weights": str(fitted[0]), "stages": "label", "train": "head"}
    MaeCls(**options).fit(labelled, [], out, 0, None)
    mae, encoder = load_file(fitted[0] / "pretrained" / "model.safetensors"), load_file(out / "encoder" / "model.safetensors")
    assert all(torch.equal(tensor, mae[f"vit.{name}"]) for name, tensor in encoder.items()), "train=head leaves the encoder alone"
    assert not (out / "alignment.safetensors").exists()
    config = json.loads((fitted[0] / "pretrained" / "config.json").read_text())
    assert config["mask_ratio"] == 0.75
    MaeCls(**options, norm_eps=1e-5).fit(labelled, [], tmp_path / "other", 0, None)
    assert json.loads((tmp_path / "other" / "encoder" / "config.json").read_text())["layer_norm_eps"] == 1e-5


def test_pictures_are_shown_once_and_reports_find_their_labels(labelled, reported):
    shown = material([*labelled, *reported], "report")
    assert [len(shown[stage]) for stage in ("reconstruct", "align", "label")] == [16, 16, 16]
    assert len(material([*labelled[:5], *reported], "labels")["align"]) == 5
    assert len(material([*labelled[:5], *reported], "report")["align"]) == 16


def test_what_is_the_same_is_a_matter_of_reports_or_of_labels(examples, tmp_path, reported):
    def kinds(same):
        network = learner(MaeLlm(**LONGER, same=same), examples, tmp_path)
        network.begin(stages_of(MaeLlm(**LONGER, same=same))[1])
        return network.collate(reported, [0] * 16, training=False)[0]["truth"].tolist()

    by_report = kinds("report")
    assert [kind == by_report[0] for kind in by_report] == [number % 4 == 0 for number in range(16)]
    by_labels = kinds("labels")
    assert by_labels[0] != by_labels[4], "of one of them, Edema is not known"
    assert by_labels[4] == by_labels[8]


def test_masks_and_variations_come_from_the_seeds(examples, tmp_path):
    model = MaeCls(**SHORT)
    network = learner(model, examples, tmp_path)
    network.begin(stages_of(model)[0])
    shown = material(examples, "report")["reconstruct"][:2]

    def seen(*seeds, training=True):
        return network.collate(shown[: len(seeds)], seeds, training=training)[0]

    for name in ("pixels", "noise"):
        assert torch.equal(seen(1, 2)[name], seen(1, 2)[name])
        assert not torch.equal(seen(1)[name], seen(2)[name])
    assert torch.equal(seen(1, training=False)["pixels"], seen(2, training=False)["pixels"])


def test_what_is_missing_is_said_before_anything_is_loaded(examples, labelled, reported, tmp_path):
    def fit(model, shown):
        return model.fit(shown, [], tmp_path / "out", 0, None)

    with pytest.raises(DataError, match="no reports to align the pictures to") as raised:
        fit(MaeLlm(**LONGER), Examples({"labels": labelled}))
    assert "--task mimic-cls14 --task mimic-mrg" in raised.value.hint
    with pytest.raises(DataError, match="no pictures with labels"):
        fit(MaeCls(**SHORT), Examples({"reports": reported}))
    with pytest.raises(UsageError, match="there is no stage align here"):
        fit(MaeCls(**SHORT, stages="align,label"), examples)
    with pytest.raises(UsageError, match="label_steps=0: must be above 0"):
        MaeCls(**{**SHORT, "label_steps": 0})
    assert not (tmp_path / "out.partial").exists()


def test_the_share_of_pictures_with_a_label_is_learnt(labelled, tmp_path):
    shown = [(request, Probabilities(labels=("Effusion",), values=(1.0,))) for request, _ in labelled]
    MaeCls(**{**SHORT, "stages": "label", "label_steps": 25, "label_lr": 0.05, "augment": False}).fit(shown, [], tmp_path / "out", 0, None)
    made = asked(MaeCls(weights=str(tmp_path / "out"), device="cpu"), [request for request, _ in shown[:4]])
    assert all(output.values[0] > 0.95 for output in made)
    assert all(math.isfinite(output.values[0]) for output in made)
    shutil.rmtree(tmp_path / "out" / "encoder")
    with pytest.raises(Exception, match="encoder"):
        MaeCls(weights=str(tmp_path / "out"), device="cpu").facts()
