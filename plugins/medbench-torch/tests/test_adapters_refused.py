from __future__ import annotations

import json
import shutil

import pytest
import torch
from medbench_torch.adapters import AdapterError, apply_adapter, read_adapter
from medbench_torch.devices import place
from medbench_torch.loading import load_model
from medbench_torch.tiny.llava import build_llava, build_lora
from medbench_torch.weights import WeightsError
from safetensors.torch import load_file, save_file
from transformers import LlavaForConditionalGeneration

from medbench.errors import MedbenchError, UsageError

FILE = "adapter_model.safetensors"
FIRST = "base_model.model.model.language_model.layers.0.self_attn.q_proj"


@pytest.fixture
def base(tiny_llava):
    return load_model(LlavaForConditionalGeneration, tiny_llava, place("cpu"))


@pytest.fixture(params=["hf", "hf-before-4.52", "llava"])
def adapter(request, tiny_loras, tmp_path):
    """Return a copy of an adapter of each dialect that may be damaged."""
    return shutil.copytree(tiny_loras[request.param], tmp_path / "adapter")


@pytest.fixture
def current(tiny_loras, tmp_path):
    """Return a copy of the adapter in the current dialect."""
    return shutil.copytree(tiny_loras["hf"], tmp_path / "current")


def rewrite(folder, change):
    tensors = load_file(folder / FILE)
    kept = change(tensors)
    save_file(kept if kept is not None else tensors, folder / FILE)


def configure(folder, **changes):
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | changes))


def refused(base, folder, probe, said, kind=AdapterError, **options):
    """Check that an adapter is refused in one line that says why and what to do."""
    with pytest.raises(kind, match=said) as caught:
        apply_adapter(base, read_adapter(folder), probe=probe, **options)
    assert isinstance(caught.value, MedbenchError)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_an_adapter_of_a_wider_base_is_refused_by_shape(tiny_llava, tmp_path, probe, base):
    wide = build_llava(tmp_path / "wide", hidden_size=96)
    refused(base, build_lora(wide, tmp_path / "lora"), probe, r"22 tensors of another shape \(.* for ")


def test_an_adapter_of_a_deeper_base_is_refused_by_name(tmp_path, probe, base, adapter, request):
    dialect = request.node.callspec.params["adapter"]
    deep = build_llava(tmp_path / "deep", num_hidden_layers=3)
    error = refused(base, build_lora(deep, tmp_path / "lora", dialect=dialect), probe, "7 of 21 LoRA modules")
    assert f"(dialect {dialect})" in error.message
    assert error.hint == "it was trained on tiny/llava"


def test_an_adapter_of_another_model_is_refused_by_name(current, probe, base):
    rewrite(current, lambda tensors: {key.replace("layers", "blocks"): value for key, value in tensors.items()})
    refused(base, current, probe, "14 of 14 LoRA modules .* are not in LlavaForConditionalGeneration")


def test_an_adapter_that_lost_a_layer_is_refused(adapter, probe, base):
    rewrite(adapter, lambda tensors: {key: value for key, value in tensors.items() if ".layers.1." not in key})
    refused(base, adapter, probe, r"names 14 modules, and 7 of them have no tensors \(model\.language_model\.layers\.1")


def test_half_a_pair_is_refused(adapter):
    rewrite(adapter, lambda tensors: {key: value for key, value in tensors.items() if not key.endswith("0.mlp.up_proj.lora_B.weight")})
    with pytest.raises(AdapterError, match="1 modules have lora_A or lora_B alone"):
        read_adapter(adapter)


def test_an_untrained_adapter_is_refused_before_it_is_applied(adapter):
    rewrite(adapter, lambda tensors: {k: v * 0 if "lora_B" in k else v for k, v in tensors.items()})
    with pytest.raises(AdapterError, match="every lora_B is zero"):
        read_adapter(adapter)


def test_an_adapter_whose_products_vanish_is_refused_by_its_logits(current, probe, base):
    """Not every lora_B is zero, and yet nothing changes: only the logits tell."""
    rewrite(current, lambda tensors: {k: v * 0 if "lora_A" in k else v for k, v in tensors.items()})
    refused(base, current, probe, "the logits are the same with and without it")


def test_an_adapter_that_the_probe_cannot_see_is_refused(current, base):
    refused(base, current, lambda _model: torch.ones(3), "the logits are the same")


def test_a_diverged_adapter_is_refused(current):
    rewrite(current, lambda tensors: tensors.update({f"{FIRST}.lora_B.weight": torch.full((64, 4), torch.nan)}))
    with pytest.raises(AdapterError, match="NaN or infinity"):
        read_adapter(current)


def test_a_rank_that_is_not_the_configs_is_refused(adapter, probe, base):
    configure(adapter, r=8)
    refused(base, adapter, probe, "the config says r=8 for .*, its tensors have 4")


def test_two_dialects_in_one_file_are_refused(current):
    rewrite(current, lambda tensors: {key.replace("language_model.", "", "layers.0" in key): v for key, v in tensors.items()})
    with pytest.raises(AdapterError, match="two dialects, hf and llava"):
        read_adapter(current)


def test_tensors_that_are_no_lora_are_refused(current, probe, base):
    rewrite(current, lambda tensors: tensors.update({"base_model.model.lm_head.weight": torch.ones(261, 64)}))
    refused(base, current, probe, r"1 tensors land nowhere \(lm_head\.weight\)")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "IA3"}, "peft_type IA3"),
        ({"r": None}, "no r in it"),
        ({"lora_alpha": None}, "no lora_alpha in it"),
        ({"bias": "all"}, "bias=all"),
        ({"target_parameters": ["experts"]}, "target_parameters is set"),
        ({"use_qalora": True}, "use_qalora is set"),
        ({"init_lora_weights": "pissa_niter_16"}, "init_lora_weights=pissa_niter_16 changed the base"),
    ],
)
def test_a_config_is_read_and_never_assumed(current, changes, said):
    configure(current, **changes)
    with pytest.raises(AdapterError, match=said):
        read_adapter(current)


@pytest.mark.parametrize(
    ("name", "said"), [("adapter_config.json", "no adapter_config"), ("adapter_model.safetensors", "no adapter_model")]
)
def test_an_incomplete_folder_is_named(current, name, said):
    (current / name).unlink()
    with pytest.raises(AdapterError, match=said):
        read_adapter(current)


def test_a_whole_model_is_not_taken_for_an_adapter(current):
    save_file({"model.layers.0.self_attn.q_proj.weight": torch.ones(2, 2)}, current / FILE)
    with pytest.raises(AdapterError, match="no LoRA tensors in it"):
        read_adapter(current)


def test_a_pickled_adapter_needs_trust(current):
    torch.save(load_file(current / FILE), current / "adapter_model.bin")
    (current / FILE).unlink()
    with pytest.raises(WeightsError, match="a pickle, which is not read"):
        read_adapter(current)
    assert len(read_adapter(current, trust_pickle=True).lora) == 14


def test_a_projector_that_is_needed_and_absent_is_refused(current, probe, base):
    refused(base, current, probe, "no projector in it", needs_projector=True)


def test_llavas_own_config_says_that_a_projector_is_needed(tiny_llava, tmp_path, probe, base):
    folder = build_lora(tiny_llava, tmp_path / "with", dialect="llava", projector=True)
    (folder / "non_lora_trainables.safetensors").unlink()
    refused(base, folder, probe, "no projector in it, and the adapter was trained with one")


def test_a_pickled_projector_is_not_passed_over_in_silence(tiny_llava, tmp_path, probe, base):
    folder = build_lora(tiny_llava, tmp_path / "with", dialect="llava", projector=True)
    file = folder / "non_lora_trainables.safetensors"
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()
    with pytest.raises(AdapterError, match="the projector is a pickle"):
        read_adapter(folder)
    assert apply_adapter(base, read_adapter(folder, trust_pickle=True), probe=probe)[1]["projector"]


def test_a_projector_of_another_tower_is_refused_by_shape(tiny_llava, tmp_path, probe, base):
    wide = build_llava(tmp_path / "wide", vision_sizes={"hidden_size": 48})
    folder = build_lora(wide, tmp_path / "with", dialect="llava", projector=True)
    refused(base, folder, probe, r"its projector: .*linear_1\.weight 64×48 for 64×32", kind=WeightsError)


def test_trained_tensors_that_nobody_applies_are_refused(tiny_llava, tmp_path):
    folder = build_lora(tiny_llava, tmp_path / "with", dialect="llava", projector=True)
    file = folder / "non_lora_trainables.safetensors"
    save_file(load_file(file) | {"base_model.model.model.vision_tower.x": torch.ones(1)}, file)
    with pytest.raises(AdapterError, match=r"land nowhere \(model\.vision_tower\.x\)"):
        read_adapter(folder)


@pytest.mark.parametrize("mark", ["attribute", "config", "weights"])
def test_merging_into_a_quantised_base_is_refused(current, probe, base, mark):
    if mark == "attribute":
        base.is_quantized = True
    elif mark == "config":
        base.config.quantization_config = {"quant_method": "bitsandbytes"}
    else:
        head = base.lm_head
        head.weight = torch.nn.Parameter(head.weight.detach().to(torch.int8), requires_grad=False)
    error = refused(base, current, probe, "merge=true: the base is quantised", kind=UsageError)
    assert "merge=false" in error.hint


def test_a_base_without_the_named_projector_is_refused(tiny_llava, tmp_path, probe, base):
    folder = build_lora(tiny_llava, tmp_path / "with", dialect="llava", projector=True)
    refused(base, folder, probe, "brings a projector, and LlavaForConditionalGeneration has none", projector="connector")
