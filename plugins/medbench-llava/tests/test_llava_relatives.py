from __future__ import annotations

import json
import re

import pytest
import torch
from medbench_llava.base import Sources
from medbench_llava.llava_med import LlavaMed
from medbench_llava.llava_rad import LlavaRad
from medbench_torch.tiny.causal import build_llama
from medbench_torch.tiny.llava import build_llava, build_lora
from medbench_torch.weights import read_tensors
from safetensors.torch import save_file

from medbench.errors import MedbenchError, UsageError

WIDE = {"hidden_size": 64, "num_attention_heads": 1}
"""One head for each 64 of the width, as every published tower has: the converter goes by it."""


def answers(model, requests):
    """Return greedy answers: a converted vocabulary is padded, which shifts what is drawn, not what is likeliest."""
    requests = [request for request in requests if not request.temperature]
    return [(answer.text, answer.usage) for _, answer in sorted(model.generate(requests))]


def direct(model, folder, adapter=None):
    """Return a model built of these parts, without its own way of finding them."""
    model.sources = lambda: Sources(weights=folder, adapter=adapter)
    return model


@pytest.fixture(scope="module")
def med(tmp_path_factory):
    """Return a LLaVA-Med in transformers' layout, the same as its makers save it (own tower within), and another tower."""
    home = tmp_path_factory.mktemp("med")
    base = build_llava(home / "base", text="mistral", vision_sizes=WIDE)
    other = build_llava(home / "other", text="mistral", vision_sizes=WIDE, seed=9)
    original = home / "original"
    original.mkdir()
    tensors = {_original(name): tensor for name, tensor in read_tensors(base).items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, original / "model.safetensors", metadata={"format": "pt"})
    text = json.loads((base / "config.json").read_text())["text_config"]
    config = text | {
        "model_type": "llava_mistral",
        "mm_vision_tower": str(home / "clip"),
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "image_aspect_ratio": "pad",
    }
    (original / "config.json").write_text(json.dumps(config))
    for file in base.glob("token*"):
        (original / file.name).write_bytes(file.read_bytes())
    clip = home / "clip"
    clip.mkdir()
    tower = {name.split("vision_tower.")[1]: tensor for name, tensor in read_tensors(other).items() if "vision_tower." in name}
    save_file(tower, clip / "model.safetensors", metadata={"format": "pt"})
    return {"base": base, "original": original, "other": other, "clip": clip}


def _original(name):
    """Return what the original code calls a tensor of transformers' LLaVA on disk."""
    name = re.sub(r"^(model\.)?vision_tower\.", "model.vision_tower.vision_tower.", name)
    name = re.sub(r"^(model\.)?multi_modal_projector\.linear_1", "model.mm_projector.0", name)
    name = re.sub(r"^(model\.)?multi_modal_projector\.linear_2", "model.mm_projector.2", name)
    name = re.sub(r"^language_model\.model\.", "model.", name)
    name = re.sub(r"^model\.language_model\.", "model.", name)
    return re.sub(r"^language_model\.lm_head", "lm_head", name)


def test_llava_med_converts_its_own_checkpoint_once_and_answers_as_before(med, mixed):
    model = LlavaMed(weights=str(med["original"]), vision_tower="own")
    wanted = direct(LlavaMed(weights="there"), med["base"])
    assert answers(model, mixed) == answers(wanted, mixed)
    assert model.facts()["vision_tower"] == "checkpoint"
    assert model.facts()["template"] == "mistral-instruct"
    folder = model.sources().weights
    before = (folder / "config.json").stat().st_mtime_ns
    again = LlavaMed(weights=str(med["original"]), vision_tower="own").sources().weights
    assert again == folder
    assert (again / "config.json").stat().st_mtime_ns == before


def test_llava_med_takes_the_tower_that_its_config_names_unless_told_otherwise(med, mixed):
    model = LlavaMed(weights=str(med["original"]))
    own = LlavaMed(weights=str(med["original"]), vision_tower="own")
    assert model.sources().weights != own.sources().weights
    assert model.facts()["vision_tower"] == str(med["clip"])
    tower = model.speaker.model.model.vision_tower.state_dict()
    theirs = direct(LlavaMed(weights="there"), med["other"]).speaker.model.model.vision_tower.state_dict()
    assert all(torch.equal(tower[name], theirs[name]) for name in theirs)
    assert answers(model, mixed) != answers(own, mixed)


def test_llava_med_says_which_tower_is_missing_and_what_to_do(med, tmp_path):
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    for file in med["original"].iterdir():
        (lonely / file.name).write_bytes(file.read_bytes())
    config = json.loads((lonely / "config.json").read_text()) | {"mm_vision_tower": "/nowhere/clip"}
    (lonely / "config.json").write_text(json.dumps(config))
    with pytest.raises(MedbenchError, match="the vision tower /nowhere/clip: no such file or folder") as caught:
        LlavaMed(weights=str(lonely)).facts()
    assert "vision_tower=own" in caught.value.hint


def test_llava_med_takes_converted_weights_as_they_are(med, mixed):
    model = LlavaMed(weights=str(med["base"]))
    assert model.facts()["vision_tower"] == "as converted by others"
    assert answers(model, mixed) == answers(LlavaMed(weights=str(med["original"]), vision_tower="own"), mixed)
    with pytest.raises(UsageError, match="is converted, and has its tower"):
        LlavaMed(weights=str(med["base"]), vision_tower="own").facts()


@pytest.fixture(scope="module")
def rad(tmp_path_factory):
    """Return a LLaVA-Rad in transformers' layout, and its parts as they are published: base, adapter with projector, tower."""
    home = tmp_path_factory.mktemp("rad")
    base = build_llava(home / "base", vision="dinov2", vision_sizes=WIDE)
    adapter = build_lora(base, home / "adapter", dialect="llava", projector=True)
    language = build_llama(home / "vicuna")
    tensors = read_tensors(base)
    heads = {name: tensor for name, tensor in tensors.items() if "language_model" in name or "lm_head" in name}
    renamed = {re.sub(r"^(language_model\.|model\.language_model\.)(model\.)?", "model.", name): tensor for name, tensor in heads.items()}
    renamed = {name.replace("model.lm_head", "lm_head"): tensor.contiguous() for name, tensor in renamed.items()}
    save_file(renamed, language / "model.safetensors", metadata={"format": "pt"})
    tower = {re.sub(r"^(model\.)?vision_tower\.", "", name): tensor for name, tensor in tensors.items() if "vision_tower" in name}
    torch.save(
        {f"module.visual.trunk.{name}": tensor for name, tensor in _timm(tower).items()}, adapter / "biomedclipcxr_518_checkpoint.pt"
    )
    return {"base": base, "adapter": adapter, "language": language}


def _timm(tower):
    """Return a DINOv2 of transformers by timm's names, q, k and v in one."""
    made, parts = {}, {}
    plain = {
        "embeddings.cls_token": "cls_token",
        "embeddings.position_embeddings": "pos_embed",
        "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
        "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
        "layernorm.weight": "norm.weight",
        "layernorm.bias": "norm.bias",
    }
    for name, tensor in tower.items():
        layer = re.match(r"encoder\.layer\.(\d+)\.(.*)", name)
        if name in plain:
            made[plain[name]] = tensor
        elif layer and (found := re.match(r"attention\.attention\.(query|key|value)\.(weight|bias)", layer[2])):
            parts.setdefault((layer[1], found[2]), {})[found[1]] = tensor
        elif layer:
            rest = layer[2].replace("attention.output.dense", "attn.proj")
            rest = re.sub(r"layer_scale([12]).lambda1", r"ls\1.gamma", rest)
            made[f"blocks.{layer[1]}.{rest}"] = tensor
    for (number, kind), three in parts.items():
        made[f"blocks.{number}.attn.qkv.{kind}"] = torch.cat([three[part] for part in ("query", "key", "value")])
    return made


def test_llava_rad_is_assembled_from_its_parts_once(rad, mixed):
    asked = [request for request in mixed if len(request.images) == 1]
    model = LlavaRad(weights=str(rad["language"]), adapter=str(rad["adapter"]), trust_pickle=True)
    assert answers(model, asked) == answers(direct(LlavaRad(weights="there"), rad["base"], rad["adapter"]), asked)
    facts = model.facts()
    assert facts["vision_tower"] == "DINOv2 of biomedclipcxr_518_checkpoint.pt"
    assert (facts["aspect"], facts["adapter"]["dialect"], facts["adapter"]["projector"]) == ("crop", "llava", True)


def test_llava_rad_reads_no_pickle_that_is_not_trusted(rad):
    with pytest.raises(MedbenchError, match="a pickle, which is not read") as caught:
        LlavaRad(weights=str(rad["language"]), adapter=str(rad["adapter"])).facts()
    assert "trust_pickle" in caught.value.hint


def test_llava_rad_says_which_part_is_missing(rad, tmp_path):
    with pytest.raises(UsageError, match="llava-rad needs its adapter"):
        LlavaRad(weights=str(rad["language"])).facts()
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in rad["adapter"].iterdir():
        if file.suffix != ".pt":
            (bare / file.name).symlink_to(file)
    with pytest.raises(MedbenchError, match="no vision tower in it") as caught:
        LlavaRad(weights=str(rad["language"]), adapter=str(bare)).facts()
    assert "vision_tower=FILE" in caught.value.hint
    with pytest.raises(UsageError, match="is assembled, and has its tower"):
        LlavaRad(weights=str(rad["base"]), adapter=str(rad["adapter"]), vision_tower="x").facts()


def test_the_tower_of_llava_rad_is_a_dinov2_behind_llava(rad):
    speaker = direct(LlavaRad(weights="there"), rad["base"], rad["adapter"]).speaker
    assert type(speaker.model.model.vision_tower).__name__ == "Dinov2Model"
    assert speaker.n_image_tokens == 16
