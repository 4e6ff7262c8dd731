from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from medbench_torch.adapters import apply_adapter, read_adapter
from medbench_torch.convert import NOTES, convert_adapter, convert_llava, convert_rad, main
from medbench_torch.devices import place
from medbench_torch.loading import load_model
from medbench_torch.tiny.llava import build_llava, build_lora
from medbench_torch.weights import WeightsError
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, LlamaForCausalLM, LlavaForConditionalGeneration

from medbench.errors import UsageError

FILE = "model.safetensors"
CPU = place("cpu")
VOCABULARY = 261


def load(folder):
    return load_model(LlavaForConditionalGeneration, folder, CPU)


def original(folder, out, *, kind, own_tower=True, pickled=False, **changes):
    """Write a LLaVA of transformers in the layout of the original code."""
    out.mkdir()
    tensors = {}
    for name, tensor in load_file(folder / FILE).items():
        if name.startswith("language_model."):
            tensors[name.removeprefix("language_model.")] = tensor
        elif found := re.match(r"multi_modal_projector\.linear_([12])\.(\w+)", name):
            tensors[f"model.mm_projector.{2 * (int(found[1]) - 1)}.{found[2]}"] = tensor
        elif own_tower:
            tensors[f"model.vision_tower.vision_tower.vision_model.{name.removeprefix('vision_tower.')}"] = tensor
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    if pickled:
        torch.save(tensors, out / "pytorch_model.bin")
    else:
        save_file(tensors, out / FILE, metadata={"format": "pt"})
    text = json.loads((folder / "config.json").read_text())["text_config"]
    theta = text.pop("rope_parameters")["rope_theta"]
    said = {
        "model_type": kind,
        "rope_theta": theta,
        "mm_vision_tower": "openai/clip-tiny",
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "image_aspect_ratio": "pad",
        "mm_use_im_start_end": False,
    }
    (out / "config.json").write_text(json.dumps(text | said | changes))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / file, out / file)
    return out


@pytest.fixture(scope="module")
def mistral(tmp_path_factory):
    """Return a tiny LLaVA-Med: Mistral with its own rotary base and no sliding window."""
    return build_llava(tmp_path_factory.mktemp("med") / "med", text="mistral", rope_theta=1e6, sliding_window=None)


@pytest.fixture
def med(mistral, tmp_path):
    """Return it in the original layout."""
    return original(mistral, tmp_path / "original", kind="llava_mistral")


def equal_logits(one, other, probe):
    """Compare logits of the tokens that both vocabularies have."""
    return torch.equal(probe(one)[..., :VOCABULARY], probe(other)[..., :VOCABULARY])


def test_llava_med_converts_to_equal_logits(mistral, med, tmp_path, probe):
    out = convert_llava(med, tmp_path / "out", vision="own", heads=4)
    model = load(out)
    assert equal_logits(model, load(mistral), probe)
    assert model.config.text_config.rope_parameters["rope_theta"] == 1e6
    assert model.config.text_config.sliding_window is None
    assert type(model.model.language_model).__name__ == "MistralModel"


@pytest.mark.parametrize("kind", ["llava", "llava_llama"])
def test_llava_converts_to_equal_logits(tiny_llava, tmp_path, probe, kind):
    source = original(tiny_llava, tmp_path / "original", kind=kind)
    out = convert_llava(source, tmp_path / "out", vision="own", heads=4)
    assert equal_logits(load(out), load(tiny_llava), probe)


def test_the_vocabulary_is_padded_and_no_new_token_can_win(med, tmp_path, probe):
    model = load(convert_llava(med, tmp_path / "out", vision="own", heads=4))
    logits = probe(model)
    assert logits.shape[-1] == 320
    assert (logits[..., VOCABULARY:].amax(-1) < logits[..., :VOCABULARY].amax(-1)).all()


def test_the_processor_fits_the_model(med, tmp_path, picture):
    out = convert_llava(med, tmp_path / "out", vision="own", heads=4)
    processor = AutoProcessor.from_pretrained(out)
    given = processor(images=picture, text="[INST] <image>\nhi [/INST]", return_tensors="pt")
    model = load(out)
    assert int((given["input_ids"] == model.config.image_token_index).sum()) == 16
    assert given["input_ids"][0].tolist().count(processor.tokenizer.bos_token_id) == 1
    assert processor.image_processor.do_pad
    with torch.inference_mode():
        assert model(**given).logits.shape[-1] == 320


def test_which_tower_is_the_users_choice_and_on_record(mistral, med, tmp_path, probe):
    with pytest.raises(UsageError, match=r"which vision tower.*one of its own") as caught:
        convert_llava(med, tmp_path / "none")
    assert "vision=own" in caught.value.hint
    assert "openai/clip-tiny" in caught.value.hint
    clip = tmp_path / "clip"
    clip.mkdir()
    other = {f"vision_model.{k}": v * 1.5 for k, v in load(mistral).model.vision_tower.state_dict().items()}
    save_file(other | {"logit_scale": torch.ones(1), "text_model.x": torch.ones(1)}, clip / FILE)
    own = convert_llava(med, tmp_path / "own", vision="own", heads=4)
    named = convert_llava(med, tmp_path / "named", vision=clip, heads=4)
    assert not torch.equal(probe(load(own)), probe(load(named)))
    notes = [json.loads((folder / NOTES).read_text()) for folder in (own, named)]
    assert [said["vision_tower_source"] for said in notes] == ["checkpoint", "openai/clip-tiny"]
    assert notes[1]["vision_tower_digest"]


def test_a_checkpoint_without_a_tower_needs_one(mistral, tmp_path):
    source = original(mistral, tmp_path / "original", kind="llava_mistral", own_tower=False)
    with pytest.raises(UsageError, match="has no tower of its own"):
        convert_llava(source, tmp_path / "out", vision="own")


def test_pickled_checkpoints_need_trust(mistral, tmp_path, probe):
    source = original(mistral, tmp_path / "original", kind="llava_mistral", pickled=True)
    with pytest.raises(WeightsError, match="a pickle, which is not read"):
        convert_llava(source, tmp_path / "out", vision="own", heads=4)
    out = convert_llava(source, tmp_path / "out", vision="own", heads=4, trust_pickle=True)
    assert equal_logits(load(out), load(mistral), probe)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "mpt"}, "model_type mpt"),
        ({"mm_projector_type": "linear"}, "mm_projector_type linear"),
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end"),
    ],
)
def test_relatives_that_are_not_converted_are_named(mistral, tmp_path, changes, said):
    source = original(mistral, tmp_path / "original", **({"kind": "llava_mistral"} | changes))
    with pytest.raises(WeightsError, match=said):
        convert_llava(source, tmp_path / "out", vision="own")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.update({"model.extra.weight": torch.ones(1)}), r"no tensors of an original LLaVA: model\.extra\.weight"),
        (lambda t: t.pop("model.mm_projector.2.bias"), "its projector has linear_1"),
        (lambda t: t.pop("model.layers.1.mlp.up_proj.weight"), r"1 tensor missing"),
        (lambda t: t.update({"model.norm.weight": torch.ones(3)}), r"norm\.weight 3 for 64"),
    ],
)
def test_conversion_is_strict_and_leaves_nothing_behind(med, tmp_path, change, said):
    tensors = load_file(med / FILE)
    change(tensors)
    save_file(tensors, med / FILE)
    with pytest.raises(WeightsError, match=said):
        convert_llava(med, tmp_path / "out", vision="own", heads=4)
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_not_written_into(med, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="exists"):
        convert_llava(med, tmp_path / "out", vision="own", heads=4)


def test_an_original_checkpoint_is_recognised_on_loading(tiny_llava, tmp_path):
    source = original(tiny_llava, tmp_path / "original", kind="llava")
    with pytest.raises(WeightsError, match="an original LLaVA checkpoint") as caught:
        load(source)
    assert "medbench_torch.convert llava" in caught.value.hint


def timm_names(tensors):
    """Return a DINOv2 of transformers by the names that open_clip saves, with the fused qkv."""
    made, thirds = {"module.logit_scale": torch.ones(1), "module.visual.head.proj.weight": torch.ones(2, 2)}, {}
    plain = {
        "embeddings.cls_token": "cls_token",
        "embeddings.position_embeddings": "pos_embed",
        "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
        "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
        "layernorm.weight": "norm.weight",
        "layernorm.bias": "norm.bias",
    }
    for name, tensor in tensors.items():
        if name == "embeddings.mask_token":
            continue
        if name in plain:
            made[f"module.visual.trunk.{plain[name]}"] = tensor
            continue
        _, _, index, rest = name.split(".", 3)
        block = f"module.visual.trunk.blocks.{index}"
        if found := re.match(r"attention\.attention\.(query|key|value)\.(\w+)", rest):
            thirds.setdefault(f"{block}.attn.qkv.{found[2]}", {})[found[1]] = tensor
        else:
            rest = rest.replace("attention.output.dense", "attn.proj").replace("layer_scale", "ls").replace("lambda1", "gamma")
            made[f"{block}.{rest}"] = tensor
    for name, parts in thirds.items():
        made[name] = torch.cat([parts[part] for part in ("query", "key", "value")])
    return made


@pytest.fixture
def rad(tiny_rad, tmp_path):
    """Return LLaVA-Rad as it is published: language model, pickled tower, adapter with projector; and all of it as one model."""
    whole = load_file(tiny_rad / FILE)
    for name in [name for name in whole if "layer_scale" in name or "norm" in name]:
        whole[name] = whole[name] + torch.linspace(0.5, 1, whole[name].shape[-1])
    reference = shutil.copytree(tiny_rad, tmp_path / "reference")
    save_file(whole, reference / FILE, metadata={"format": "pt"})
    vicuna = tmp_path / "vicuna"
    text = load(reference)
    language = LlamaForCausalLM(text.config.text_config)
    language.model.load_state_dict(text.model.language_model.state_dict())
    language.lm_head.load_state_dict(text.lm_head.state_dict())
    language.save_pretrained(vicuna)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(reference / file, vicuna / file)
    tower = timm_names({k.removeprefix("vision_tower."): v for k, v in whole.items() if k.startswith("vision_tower.")})
    torch.save({"state_dict": tower, "epoch": 3}, tmp_path / "tower.pt")
    adapter = build_lora(reference, tmp_path / "adapter", dialect="llava", projector=True)
    return {"language_model": vicuna, "tower": tmp_path / "tower.pt", "adapter": adapter, "reference": reference}


def test_llava_rad_assembles_to_equal_logits(rad, tmp_path, probe):
    reference, _ = apply_adapter(load(rad.pop("reference")), read_adapter(rad["adapter"]), probe=probe)
    with pytest.raises(WeightsError, match="a pickle, which is not read"):
        convert_rad(**rad, out=tmp_path / "out", heads=4)
    out = convert_rad(**rad, out=tmp_path / "out", heads=4, trust_pickle=True)
    model, facts = apply_adapter(load(out), read_adapter(rad["adapter"]), probe=probe, needs_projector=True)
    assert type(model.model.vision_tower).__name__ == "Dinov2Model"
    assert facts["projector"]
    torch.testing.assert_close(probe(model)[..., :VOCABULARY], probe(reference), rtol=0, atol=1e-6)
    assert json.loads((out / NOTES).read_text())["projector_from_adapter"] == facts["digest"]


def test_a_tower_of_another_kind_is_named(rad, tmp_path):
    torch.save({"module.visual.trunk.stem.weight": torch.ones(1)}, rad["tower"])
    rad.pop("reference")
    with pytest.raises(WeightsError, match=r"stem\.weight belongs to no DINOv2 of timm"):
        convert_rad(**rad, out=tmp_path / "out", trust_pickle=True)


def test_a_pickled_adapter_becomes_safetensors_of_the_same_dialect(rad, tmp_path, probe):
    source = rad["adapter"]
    for name in ("adapter_model", "non_lora_trainables"):
        torch.save(load_file(source / f"{name}.safetensors"), source / f"{name}.bin")
        (source / f"{name}.safetensors").unlink()
    out = convert_adapter(source, tmp_path / "safe", trust_pickle=True)
    assert not list(out.glob("*.bin"))
    one, there = apply_adapter(load(rad["reference"]), read_adapter(source, trust_pickle=True), probe=probe)
    other, here = apply_adapter(load(rad["reference"]), read_adapter(out), probe=probe)
    assert (here["dialect"], here["modules"], here["projector"]) == (there["dialect"], there["modules"], True)
    assert torch.equal(probe(one), probe(other))


def test_from_the_shell_an_error_is_two_lines_and_status_2(med, tmp_path, capsys):
    assert main(["llava", str(med), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["error", "hint"]
    assert not (tmp_path / "out.converting").exists()


def test_from_the_shell_it_prints_the_folder(tmp_path, tiny_loras, capsys):
    assert main(["adapter", str(tiny_loras["llava"]), str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
    assert read_adapter(tmp_path / "out").dialect == "llava"
