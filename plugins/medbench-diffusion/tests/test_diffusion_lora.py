"""Adapters: every form of file, their alpha, where they land, and that one which changes nothing is refused."""

from __future__ import annotations

import shutil

import diffusers
import numpy as np
import pytest
import torch
from medbench_diffusion.adapter_files import write_directory, write_file
from medbench_diffusion.any_pipeline import Diffusion
from medbench_diffusion.kandinsky import KandinskyColonoscopy
from medbench_diffusion.lora import read_lora
from medbench_diffusion.merging import merge
from medbench_diffusion.pipelines import load_pipeline
from medbench_diffusion.stable_diffusion import SdColonoscopy
from medbench_torch.adapter_files import AdapterError
from medbench_torch.devices import place
from medbench_torch.testing import check_facts_complete
from peft import PeftModel
from safetensors.torch import load_file, save_file


def model(tiny_sd, adapter="", **options):
    cls = SdColonoscopy if adapter else Diffusion
    return cls(weights=str(tiny_sd), adapter=str(adapter), steps=2, guidance=2.0, size=32, device="cpu", **options)


def levels(drawing, requests, pixels_of):
    return np.stack([pixels_of(picture) for _, picture in sorted(drawing.synthesize(requests[:2]), key=lambda pair: pair[0])])


def test_an_adapter_is_merged_as_diffusers_fuses_it(tiny_sd, sd_lora, requests):
    ours = model(tiny_sd, sd_lora, lora_scale=0.7)
    facts = check_facts_complete(ours, adapter=True)["adapter"]
    assert (facts["r"], facts["alpha"], facts["alpha_stated"], facts["lora_scale"]) == (4, 16.0, True, 0.7)
    theirs = diffusers.StableDiffusionPipeline.from_pretrained(tiny_sd)
    theirs.load_lora_weights(sd_lora)
    theirs.fuse_lora(lora_scale=0.7)
    theirs.unload_lora_weights()
    expected = theirs.unet.state_dict()
    for name, tensor in ours.pipe.unet.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=1e-5)


def test_a_file_without_its_alpha_says_so_and_is_a_quarter_as_strong(tiny_sd, sd_lora, tmp_path):
    save_file(load_file(sd_lora / "pytorch_lora_weights.safetensors"), tmp_path / "pytorch_lora_weights.safetensors")
    facts = model(tiny_sd, tmp_path).facts()["adapter"]
    assert (facts["alpha"], facts["alpha_stated"]) == (4.0, False)
    assert "lora_scale corrects it" in facts["note"]
    full, corrected = model(tiny_sd, sd_lora).pipe.unet, model(tiny_sd, tmp_path, lora_scale=4.0).pipe.unet
    for one, other in zip(full.parameters(), corrected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def kohya(tensors, alpha):
    """Return an adapter's tensors as kohya's scripts name them."""
    made = {}
    for name, tensor in tensors.items():
        module, half = name.rsplit(".lora_", 1)
        stem = "lora_unet_" + module.replace(".", "_")
        made[f"{stem}.lora_{'down' if half.startswith('A') else 'up'}.weight"] = tensor
        made[f"{stem}.alpha"] = torch.tensor(alpha)
    return made


def older(tensors):
    """Return an adapter's tensors as diffusers' scripts wrote them at first."""
    return {
        f"unet.{name.replace('lora_A', 'lora.down').replace('lora_B', 'lora.up')}": tensor.contiguous() for name, tensor in tensors.items()
    }


def test_every_form_means_the_same(tiny_sd, sd_lora, unet_lora, tmp_path):
    tensors, config = unet_lora
    (tmp_path / "older").mkdir()
    save_file(older(tensors), tmp_path / "older" / "pytorch_lora_weights.safetensors")
    save_file(kohya(tensors, 16.0), tmp_path / "kohya.safetensors")
    write_directory(tmp_path / "bare", tensors, config)
    write_directory(tmp_path / "parted" / "unet", tensors, config)
    expected = read_lora(str(sd_lora)).parts["unet"]
    for form, part in (("older", "unet"), ("kohya.safetensors", "unet"), ("bare", ""), ("parted", "unet")):
        found = read_lora(str(tmp_path / form)).parts[part]
        assert found.keys() == expected.keys(), form
        assert all(torch.equal(found[name].down, expected[name].down) and torch.equal(found[name].up, expected[name].up) for name in found)
        assert {matrices.alpha for matrices in found.values()} == ({None} if form == "older" else {16.0})
    assert model(tiny_sd, tmp_path / "bare").facts()["adapter"]["parts"] == {"unet": len(expected)}


def test_the_text_encoders_matrices_land_whatever_its_modules_are_called(tiny_sd, tmp_path, unet_lora, requests):
    _, config = unet_lora
    names = ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.self_attn.out_proj")
    halves = (("lora_A.weight", (4, 32)), ("lora_B.weight", (32, 4)))
    tensors = {f"{name}.{half}": torch.randn(*shape) for name in names for half, shape in halves}
    write_file(tmp_path, {"text_encoder": (tensors, config)})
    assert all(key.startswith("text_encoder.text_model.encoder.") for key in load_file(tmp_path / "pytorch_lora_weights.safetensors"))
    assert model(tiny_sd, tmp_path).facts()["adapter"]["parts"] == {"text_encoder": 2}


def test_kandinskys_two_adapters_are_as_peft_merges_them_in_both_places(tiny_kandinsky, kandinsky_lora):
    ours = KandinskyColonoscopy(
        weights=str(tiny_kandinsky), adapter=str(kandinsky_lora), steps=2, prior_steps=2, device="cpu", guidance=2.0
    )
    facts = ours.facts()["adapter"]
    assert sorted(facts["parts"]) == ["prior_prior", "unet"]
    assert (facts["dialect"], facts["r"], facts["alpha"]) == ("peft", 4, 8.0)
    assert ours.pipe.decoder_pipe.unet is ours.pipe.unet
    assert ours.pipe.prior_pipe.prior is ours.pipe.prior_prior
    for name, cls, part in (("decoder", diffusers.UNet2DConditionModel, "unet"), ("prior", diffusers.PriorTransformer, "prior_prior")):
        merged = PeftModel.from_pretrained(cls.from_pretrained(tiny_kandinsky / part), kandinsky_lora / name).merge_and_unload()
        expected = merged.state_dict()
        for key, tensor in getattr(ours.pipe, part).state_dict().items():
            torch.testing.assert_close(tensor, expected[key], rtol=0, atol=1e-5)


def test_kandinskys_prior_and_decoder_may_lie_apart(tiny_kandinsky, kandinsky_lora, tmp_path):
    pipe = load_pipeline(tiny_kandinsky, place("cpu"))
    pipe.decoder_pipe.save_pretrained(tmp_path / "decoder")
    pipe.prior_pipe.save_pretrained(tmp_path / "prior")
    parts = {"weights": str(tmp_path / "decoder"), "prior": str(tmp_path / "prior"), "steps": 2, "device": "cpu"}
    apart = KandinskyColonoscopy(**parts, adapter=str(kandinsky_lora / "prior"), prior_steps=2)
    assert apart.facts()["adapter"]["parts"] == {"prior_prior": 8}, "a bare directory goes where its modules are"
    assert apart.facts()["pipeline"] == "KandinskyV22CombinedPipeline"


def test_it_changes_what_is_drawn(tiny_sd, sd_lora, requests, pixels_of):
    assert np.abs(levels(model(tiny_sd, sd_lora), requests, pixels_of) - levels(model(tiny_sd), requests, pixels_of)).max() > 5


def altered(folder, out, change):
    shutil.copytree(folder, out)
    tensors = load_file(out / "pytorch_lora_weights.safetensors")
    save_file(change(tensors), out / "pytorch_lora_weights.safetensors")
    return out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v * 0 if "lora_B" in k else v for k, v in t.items()}, "every matrix is zero"),
        (lambda t: {k.replace("mid_block", "middle"): v for k, v in t.items()}, "modules that the unet does not have"),
        (lambda t: {k: v for k, v in t.items() if "mid_block" not in k or "lora_A" in k}, "one of its two matrices"),
        (lambda t: {k: v[:, :3].contiguous() if "lora_A" in k else v for k, v in t.items()}, "for 32×32|for 64×"),
        (lambda t: {k: v * float("nan") for k, v in t.items()}, "NaN or infinity"),
        (lambda t: {**t, "unet.conv_in.weight": torch.zeros(2)}, "is no LoRA matrix"),
        (lambda t: {k: v * 1e-12 for k, v in t.items()}, "same with and without"),
    ],
)
def test_an_adapter_that_is_not_whole_or_changes_nothing_is_refused(tiny_sd, sd_lora, tmp_path, change, message):
    with pytest.raises(AdapterError, match=message):
        model(tiny_sd, altered(sd_lora, tmp_path / "a", change)).facts()


def test_a_scale_of_nothing_is_refused(tiny_sd, sd_lora):
    with pytest.raises(AdapterError, match="same with and without"):
        model(tiny_sd, sd_lora, lora_scale=0.0).facts()


def test_what_holds_no_adapter_is_refused(tiny_sd, tmp_path):
    with pytest.raises(AdapterError, match=r"no pytorch_lora_weights\.safetensors and no adapter_config\.json"):
        model(tiny_sd, tmp_path).facts()


def test_the_proof_is_of_what_is_drawn_not_of_the_weights(tiny_sd, sd_lora):
    pipe = load_pipeline(tiny_sd, place("cpu"))
    still = torch.zeros(3)
    with pytest.raises(AdapterError, match="same with and without"):
        merge(pipe, read_lora(str(sd_lora)), 1.0, lambda: still)
