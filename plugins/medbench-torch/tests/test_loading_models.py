from __future__ import annotations

import json
import shutil

import pytest
import torch
from medbench_torch.devices import place
from medbench_torch.loading import check_weights, facts, load_model, strict_state
from medbench_torch.weights import WeightsError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForImageTextToText, LlamaForCausalLM, LlavaForConditionalGeneration

from medbench.errors import UsageError

CPU = place("cpu")
FILE = "model.safetensors"


@pytest.fixture
def folder(tiny_llava, tmp_path):
    """Return a copy of the tiny LLaVA that may be damaged."""
    return shutil.copytree(tiny_llava, tmp_path / "llava")


def load(folder, cls=LlavaForConditionalGeneration, **options):
    return load_model(cls, folder, CPU, **options)


def rewrite(folder, change):
    """Change the tensors of a folder."""
    tensors = load_file(folder / FILE)
    change(tensors)
    save_file(tensors, folder / FILE, metadata={"format": "pt"})


def configure(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize("cls", [LlavaForConditionalGeneration, AutoModelForImageTextToText])
def test_a_whole_folder_loads_in_evaluation_mode(tiny_llava, probe, cls):
    model = load(tiny_llava, cls)
    assert not model.training
    assert torch.isfinite(probe(model)).all()


def test_loading_twice_gives_the_same_logits(tiny_llava, probe):
    assert torch.equal(probe(load(tiny_llava)), probe(load(tiny_llava)))


def test_dtype_and_attention_are_those_asked_for(tiny_llava):
    model = load_model(LlavaForConditionalGeneration, tiny_llava, place("cpu", "bf16", "eager"))
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert model.config._attn_implementation == "eager"


def test_a_missing_tensor_is_named(folder):
    rewrite(folder, lambda tensors: tensors.pop("lm_head.weight", None) or tensors.pop("language_model.lm_head.weight"))
    with pytest.raises(WeightsError, match=r"1 tensor missing \(lm_head\.weight\)"):
        load(folder)


def test_a_tensor_too_many_is_named(folder):
    rewrite(folder, lambda tensors: tensors.update({"extra.weight": torch.ones(2)}))
    with pytest.raises(WeightsError, match=r"1 tensor that the model does not have \(extra\.weight\)"):
        load(folder)


def test_another_shape_is_named_with_both(folder):
    configure(folder, vision_feature_layer=-2)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 96
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"6 tensors of another shape \(.*down_proj\.weight 64×128 for 64×96"):
        load(folder)


def test_buffers_of_older_versions_are_no_fault(folder, probe, tiny_llava):
    stale = {
        "language_model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8),
        "vision_tower.vision_model.embeddings.position_ids": torch.arange(17)[None],
    }
    rewrite(folder, lambda tensors: tensors.update(stale))
    assert torch.equal(probe(load(folder)), probe(load(tiny_llava)))


def test_a_missing_shard_is_found_before_anything_is_built(folder, monkeypatch):
    tensors = load_file(folder / FILE)
    names = sorted(tensors)
    halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, keys in halves.items():
        save_file({key: tensors[key] for key in keys}, folder / file, metadata={"format": "pt"})
    table = {key: file for file, keys in halves.items() for key in keys}
    (folder / f"{FILE}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": table}))
    (folder / FILE).unlink()
    load(folder)
    (folder / "model-2.safetensors").unlink()
    monkeypatch.setattr(LlavaForConditionalGeneration, "__init__", lambda *_: pytest.fail("built"))
    with pytest.raises(WeightsError, match=r"1 of 2 shards missing \(model-2\.safetensors\)"):
        load(folder)


@pytest.mark.parametrize(
    ("kind", "more", "hint"),
    [
        ("llava_mistral", {}, "medbench_torch.convert"),
        ("my_vlm", {"auto_map": {"AutoConfig": "code.Config"}}, "never run"),
        ("llavva", {}, "did you mean llava"),
        ("zzzzzzzz", {}, "a newer transformers"),
    ],
)
def test_an_unknown_model_type_is_named_with_advice(folder, kind, more, hint):
    configure(folder, model_type=kind, **more)
    with pytest.raises(WeightsError, match=f"model_type {kind} is unknown to transformers") as caught:
        load(folder)
    assert hint in caught.value.hint


def test_a_model_of_another_kind_is_refused(tiny_llava):
    with pytest.raises(WeightsError, match=r"a llava model, not llama \(LlamaForCausalLM\)"):
        load(tiny_llava, LlamaForCausalLM)


def test_code_in_the_folder_is_not_run(folder):
    (folder / "code.py").write_text("raise SystemExit('ran')")
    configure(folder, auto_map={"AutoModelForImageTextToText": "code.Model", "AutoConfig": "code.Config"})
    assert load(folder, AutoModelForImageTextToText)


def test_an_adapter_is_not_taken_for_a_model(tiny_llava, tiny_loras, folder):
    with pytest.raises(WeightsError, match="an adapter, not a model") as caught:
        load(tiny_loras["hf"])
    assert "adapter=" in caught.value.hint
    shutil.copy(tiny_loras["hf"] / "adapter_config.json", folder)
    with pytest.raises(WeightsError, match="an adapter, not a model"):
        load(folder)


@pytest.mark.parametrize(("damage", "said"), [("{", "not JSON"), ("[]", "a list, not an object"), ("{}", "no model_type in it")])
def test_a_damaged_config_is_named(folder, damage, said):
    (folder / "config.json").write_text(damage)
    with pytest.raises(WeightsError, match=said):
        load(folder)


def test_no_config_is_one_line(folder):
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"no config\.json in this folder"):
        load(folder)


def test_a_file_is_no_folder(tiny_llava):
    with pytest.raises(WeightsError, match=r"loaded from a folder with config\.json"):
        load(tiny_llava / FILE)


def test_pickled_weights_need_trust_and_are_as_strict(folder, probe, tiny_llava):
    tensors = load_file(folder / FILE)
    (folder / FILE).unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="a pickle, which is not read"):
        load(folder)
    assert torch.equal(probe(load(folder, trust_pickle=True)), probe(load(tiny_llava)))
    torch.save(tensors | {"notes": pytest.raises}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load(folder, trust_pickle=True)
    torch.save({key: value for key, value in tensors.items() if "projector" not in key}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="4 tensors missing"):
        load(folder, trust_pickle=True)


def test_attention_that_a_model_lacks_is_an_error_only_when_asked_for(tiny_llava, monkeypatch):
    monkeypatch.setattr(LlavaForConditionalGeneration, "_supports_sdpa", False)
    assert load(tiny_llava).config._attn_implementation == "eager"
    with pytest.raises(UsageError, match="attn=sdpa: LlavaForConditionalGeneration does not have it"):
        load_model(LlavaForConditionalGeneration, tiny_llava, place("cpu", attn="sdpa"))


def test_names_and_shapes_are_checked_without_loading(folder):
    check_weights(LlavaForConditionalGeneration, folder)
    rewrite(folder, lambda tensors: tensors.update({"extra.weight": torch.ones(2)}))
    with pytest.raises(WeightsError, match=r"extra\.weight"):
        check_weights(LlavaForConditionalGeneration, folder)


def test_own_networks_are_filled_as_strictly():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = {key: value + 1 for key, value in module.state_dict().items()}
    strict_state(module, state)
    assert torch.equal(module[0].weight, state["0.weight"])
    without = {key: value for key, value in state.items() if key != "0.bias"}
    with pytest.raises(WeightsError, match=r"here: .* 1 tensor missing \(0\.bias\)"):
        strict_state(module, without, source="here")
    with pytest.raises(WeightsError, match=r"1 tensor that the model does not have \(2\.x\)"):
        strict_state(module, state | {"2.x": torch.ones(1)})
    with pytest.raises(WeightsError, match=r"0\.bias 4 for 3"):
        strict_state(module, state | {"0.bias": torch.ones(4)})


def test_own_networks_may_name_what_does_not_matter():
    module = nn.Linear(2, 3)
    strict_state(module, {"weight": torch.zeros(3, 2), "head.weight": torch.ones(1)}, ignore=[r"^head\.", "bias"])
    assert not module.weight.any()
    with pytest.raises(WeightsError, match="weight"):
        strict_state(module, {}, ignore=["bias"])


def test_facts_are_those_of_the_model_at_hand(tiny_llava):
    placement = place("cpu", "bf16", "eager")
    found = facts(load_model(LlavaForConditionalGeneration, tiny_llava, placement), placement, weights=tiny_llava, template="v1")
    assert found["n_parameters"] == sum(tensor.numel() for tensor in load_file(tiny_llava / FILE).values())
    assert (found["dtype"], found["attention"], found["device"], found["template"]) == ("bfloat16", "eager", "cpu", "v1")
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert len(found["weights_digest"]) == 32
    assert found["untrained"] is False
    json.dumps(found)


def test_a_model_without_weights_is_untrained():
    found = facts(nn.Linear(2, 3), CPU)
    assert (found["untrained"], found["weights_digest"], found["n_parameters"]) == (True, "", 9)
