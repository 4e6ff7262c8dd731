"""`medbench convert`: the released pickles as one folder that says the same, and every part that cannot be converted."""

from __future__ import annotations

import shutil
from functools import partial

import pytest
import torch
from medbench_pefomed import base
from medbench_pefomed.convert import convert
from medbench_pefomed.eva import convert_eva
from medbench_pefomed.model import Pefomed
from medbench_pefomed.presets import random_tuned
from medbench_torch.testing import asked
from medbench_torch.tiny.causal import build_llama
from medbench_torch.weights import WeightsError

from medbench.errors import UsageError


def said_by(model, requests):
    return [answer.text for answer in asked(model, requests)]


def test_released_pickles_become_one_folder_that_says_the_same(tiny, released, eva, mixed, tmp_path, monkeypatch):
    torch.save(eva(), tmp_path / "eva_vit_g.pth")
    monkeypatch.setattr(base, "convert_eva", partial(convert_eva, layers=3, head=8, side=84))
    language_model = str(tiny / "base" / "language_model")
    given = {"vision": str(tmp_path / "eva_vit_g.pth"), "language_model": language_model}
    out = convert(out=tmp_path / "out", tuned=str(released), r=4, alpha=8.0, trust_pickle=True, **given)
    assert {path.name for path in out.rglob("*.safetensors")} == {
        "adapter_model.safetensors",
        "model.safetensors",
        "non_lora_trainables.safetensors",
        "vision.safetensors",
    }
    direct = Pefomed(**given, weights=str(released), r=4, alpha=8.0, trust_pickle=True, device="cpu")
    assert direct.facts()["image_tokens"] == 9
    assert said_by(Pefomed(weights=str(out), device="cpu"), mixed) == said_by(direct, mixed)
    again = convert(out=tmp_path / "again", tuned=str(released), r=4, alpha=8.0, trust_pickle=True, **given)
    for path in sorted(out.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(out)).read_bytes(), path.name
    with pytest.raises(UsageError, match="exists"):
        convert(out=out, trust_pickle=True, **given)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trust_pickle": False}, "eva_vit_g.pth: a pickle, which is not read"),
        ({"eva": {"blocks.2.norm1.bias": None}}, r"1 tensor missing \(encoder\.layers\.2\.layer_norm1\.bias\)"),
        ({"eva": {"blocks.0.mlp.fc2.bias": torch.ones(5)}}, "1 tensor of another shape"),
        ({"eva": {"blocks.0.gamma_1": torch.ones(5)}}, r"does not have \(blocks\.0\.gamma_1\)"),
        ({"tuned": {"llama_proj.bias": None}}, r"not whole, no llama_proj\.bias"),
        ({"r": 64}, "LoRA of rank 4, and r=64 is expected"),
        ({"language_model": "OTHER"}, "64 wide of 2 layers; .*other is 64 wide of 3 layers"),
        ({"language_model": "PICKLED"}, "no safetensors in it, and pickles are not copied"),
    ],
)
def test_parts_that_cannot_be_converted_leave_nothing_behind(tiny, release, eva, tmp_path, monkeypatch, change, said):
    """`change` is of the converter's options, or of the tensors in its files."""
    monkeypatch.setattr(base, "convert_eva", partial(convert_eva, layers=3, head=8, side=84))
    torch.save({name: tensor for name, tensor in (eva() | change.get("eva", {})).items() if tensor is not None}, tmp_path / "eva_vit_g.pth")
    tuned = release(tmp_path / "tuned.pth", *random_tuned(tiny / "base", r=4, seed=0, std=0.2), **change.get("tuned", {}))
    options = {"language_model": str(tiny / "base" / "language_model"), "r": 4, "alpha": 8.0, "trust_pickle": True}
    options |= {name: value for name, value in change.items() if name not in {"eva", "tuned"}}
    if options["language_model"] in {"OTHER", "PICKLED"}:
        other = build_llama(tmp_path / "other", num_hidden_layers=3)
        pickled = shutil.copytree(other, tmp_path / "pickled", ignore=shutil.ignore_patterns("*.safetensors"))
        options["language_model"] = str({"OTHER": other, "PICKLED": pickled}[options["language_model"]])
    with pytest.raises(WeightsError, match=said) as raised:
        convert(out=tmp_path / "out", vision=str(tmp_path / "eva_vit_g.pth"), tuned=str(tuned), **options)
    assert raised.value.hint
    assert not list(tmp_path.glob("out*"))
