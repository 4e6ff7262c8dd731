from __future__ import annotations

import json

import pytest
import torch
from medbench_torch import dialects
from medbench_torch.adapters import apply_adapter, read_adapter
from medbench_torch.devices import place
from medbench_torch.loading import load_model
from medbench_torch.tiny.causal import build_llama
from medbench_torch.tiny.llava import build_lora
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import nn
from transformers import LlavaForConditionalGeneration

TRUNK = "model.language_model"


@pytest.fixture(scope="module")
def by_hand(tiny_llava, tiny_loras, probe):
    """Return the logits of the base with the products of the tensors added by hand: no library's reading of a key."""
    model = load_model(LlavaForConditionalGeneration, tiny_llava, place("cpu"))
    tensors = load_file(tiny_loras["hf"] / "adapter_model.safetensors")
    for key in [key for key in tensors if key.endswith("lora_A.weight")]:
        module = model.get_submodule(key.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
        module.weight.data += 8 / 4 * tensors[key.replace("lora_A", "lora_B")] @ tensors[key]
    return probe(model)


def applied(folder, adapter, probe, **options):
    model = load_model(LlavaForConditionalGeneration, folder, place("cpu"))
    return apply_adapter(model, read_adapter(adapter), probe=probe, **options)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("dialect", dialects.DIALECTS)
def test_every_dialect_equals_the_merge_by_hand(tiny_llava, tiny_loras, probe, by_hand, dialect, merge):
    model, facts = applied(tiny_llava, tiny_loras[dialect], probe, merge=merge)
    torch.testing.assert_close(probe(model), by_hand, rtol=0, atol=5e-6)
    assert (facts["dialect"], facts["modules"], facts["r"], facts["alpha"], facts["merged"]) == (dialect, 14, 4, 8, merge)
    assert not any("lora" in name and merge for name, _ in model.named_modules())
    assert not any("lora" in name and "vision" in name for name, _ in model.named_modules())


def test_the_files_of_the_dialects_are_spelled_as_trainings_spell_them(tiny_loras):
    tails = {
        "hf": "model.language_model.layers.1.mlp.up_proj.lora_A.weight",
        "hf-before-4.52": "language_model.model.layers.1.mlp.up_proj.lora_A.weight",
        "llava": "model.layers.1.mlp.up_proj.lora_A.weight",
    }
    for dialect, folder in tiny_loras.items():
        assert f"base_model.model.{tails[dialect]}" in load_file(folder / "adapter_model.safetensors")


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_what_peft_does_with_the_original_dialect_is_why_this_exists(tiny_llava, tiny_loras, probe):
    """The trap itself: were PEFT to read the file one day, this would tell."""
    base = load_model(LlavaForConditionalGeneration, tiny_llava, place("cpu"))
    before = probe(base)
    with pytest.warns(UserWarning, match="missing adapter keys"):
        silently = PeftModel.from_pretrained(base, tiny_loras["llava"])
    assert torch.equal(probe(silently), before)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_an_adapter_that_peft_itself_saved_is_read_alike(tiny_llava, probe, tmp_path):
    base = load_model(LlavaForConditionalGeneration, tiny_llava, place("cpu"))
    config = LoraConfig(r=2, lora_alpha=3, target_modules=["q_proj", "fc1"], rank_pattern={"layers.1.self_attn.q_proj": 3})
    theirs = get_peft_model(base, config)
    torch.manual_seed(1)
    for name, parameter in theirs.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.2)
    theirs.eval().save_pretrained(tmp_path)
    expected = probe(theirs)
    model, facts = applied(tiny_llava, tmp_path, probe)
    torch.testing.assert_close(probe(model), expected, rtol=0, atol=5e-6)
    assert facts["ranks"] == [2, 3]
    assert any("vision_tower" in path for path in read_adapter(tmp_path).lora)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
@pytest.mark.parametrize(
    "more", [{"use_rslora": True}, {"use_dora": True}, {"modules_to_save": ["lm_head"]}, {"target_modules": "all-linear"}]
)
def test_relatives_of_lora_are_applied_as_peft_applies_them(tiny_llava, probe, tmp_path, more):
    base = load_model(LlavaForConditionalGeneration, tiny_llava, place("cpu"))
    config = LoraConfig(**({"r": 2, "lora_alpha": 4, "target_modules": r".*language_model.*\.(q_proj|v_proj)"} | more))
    theirs = get_peft_model(base, config)
    torch.manual_seed(1)
    for name, parameter in theirs.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            nn.init.normal_(parameter, std=0.2)
    theirs.eval().save_pretrained(tmp_path)
    expected = probe(theirs)
    model, facts = applied(tiny_llava, tmp_path, probe)
    torch.testing.assert_close(probe(model), expected, rtol=0, atol=1e-5)
    assert facts["saved_tensors"] == ("modules_to_save" in more)


def test_a_language_model_alone_takes_an_adapter_by_its_own_names(tmp_path):
    from transformers import AutoModelForCausalLM

    folder = build_llama(tmp_path / "llama")
    model = load_model(AutoModelForCausalLM, folder, place("cpu"))
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for index in range(2):
        key = f"base_model.model.model.layers.{index}.self_attn.q_proj"
        tensors[f"{key}.lora_A.default.weight"] = torch.randn(2, 64, generator=generator)
        tensors[f"{key}.lora_B.default.weight"] = torch.randn(64, 2, generator=generator)
    from safetensors.torch import save_file

    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}))
    ids = torch.tensor([[1, 7, 8, 9]])
    _, facts = apply_adapter(model, read_adapter(tmp_path), probe=lambda m: m(input_ids=ids).logits)
    assert facts["modules"] == 2


def test_names_go_there_and_back(tiny_llava, tiny_rad):
    for folder in (tiny_llava, tiny_rad):
        model = load_model(LlavaForConditionalGeneration, folder, place("cpu"))
        names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Embedding | nn.Conv2d)]
        for dialect in dialects.DIALECTS:
            for name in names:
                spelled = dialects.spelled(name, dialect, TRUNK)
                assert dialects.resolve(spelled, set(names), TRUNK) == name, (dialect, spelled)


@pytest.mark.parametrize("dialect", dialects.DIALECTS)
def test_a_projector_is_put_in_whatever_the_dialect(tiny_rad, tmp_path, probe, dialect):
    plain, _ = applied(tiny_rad, build_lora(tiny_rad, tmp_path / "plain", dialect=dialect), probe)
    folder = build_lora(tiny_rad, tmp_path / "with", dialect=dialect, projector=True)
    model, facts = applied(tiny_rad, folder, probe, needs_projector=True)
    assert facts["projector"] is True
    stored = load_file(folder / "non_lora_trainables.safetensors")
    own = model.model.multi_modal_projector.state_dict()
    assert torch.equal(own["linear_1.weight"], stored["base_model.model.model.mm_projector.0.weight"])
    assert torch.equal(own["linear_2.bias"], stored["base_model.model.model.mm_projector.2.bias"])
    assert not torch.equal(probe(model), probe(plain))


@pytest.mark.parametrize("merge", [True, False])
def test_in_bf16_an_adapter_is_there_too(tiny_llava, tiny_loras, llava_input, by_hand, merge):
    placement = place("cpu", "bf16")
    given = {key: value.to(torch.bfloat16) if value.is_floating_point() else value for key, value in llava_input.items()}

    def probe(model):
        return model(**given).logits

    base = load_model(LlavaForConditionalGeneration, tiny_llava, placement)
    with torch.inference_mode():
        before = probe(base).float()
        model, _ = apply_adapter(base, read_adapter(tiny_loras["llava"]), probe=probe, merge=merge)
        after = probe(model).float()
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    # the rounding of bf16 is small beside what the adapter does
    assert (after - by_hand).abs().mean() < 0.05 * (before - by_hand).abs().mean()
