"""Drawing: one stream of noise for each picture, what a file says, what is refused or failed by name."""

from __future__ import annotations

import io
import json
import shutil

import diffusers
import medbench_diffusion
import numpy as np
import pytest
import torch
from medbench_diffusion.any_pipeline import Diffusion
from medbench_diffusion.kandinsky import KandinskyColonoscopy
from medbench_diffusion.pictures import encoded
from medbench_diffusion.pipelines import grain, own_size
from medbench_diffusion.sampling import Sampler
from medbench_diffusion.schedulers import SCHEDULERS
from medbench_diffusion.stable_diffusion import SdColonoscopy
from medbench_torch.testing import check_facts_complete
from medbench_torch.weights import WeightsError
from PIL import Image as Pil
from safetensors.torch import load_file, save_file
from torch._dynamo.exc import BackendCompilerFailed

from medbench.cards import ModelCard
from medbench.errors import OutOfMemory, UsageError
from medbench.registry import load_registry
from medbench.types import Failed, Image, Picture, Synthesize


@pytest.fixture(scope="module")
def drawn(tiny_sd):
    return Diffusion(weights=str(tiny_sd), steps=3, guidance=2.0, device="cpu", batch=5)


def asked(model, requests):
    return [picture for _, picture in sorted(model.synthesize(requests), key=lambda pair: pair[0])]


@pytest.mark.parametrize("scheduler", ["", "euler-a", "lcm"])
def test_a_picture_is_the_same_at_every_batch_size(tiny_sd, requests, pixels_of, scheduler):
    made = [
        asked(Diffusion(weights=str(tiny_sd), steps=2, size=32, scheduler=scheduler, device="cpu", batch=n), requests) for n in (5, 2, 1)
    ]
    for other in made[1:]:
        assert max(np.abs(pixels_of(a) - pixels_of(b)).max() for a, b in zip(made[0], other, strict=True)) <= 1
    assert len({picture.data for picture in made[0]}) == len(requests)


def test_kandinskys_pictures_are_the_same_at_every_batch_size(tiny_kandinsky, kandinsky_lora, requests, pixels_of):
    def model(batch):
        return KandinskyColonoscopy(
            weights=str(tiny_kandinsky), adapter=str(kandinsky_lora), steps=2, prior_steps=2, size=32, device="cpu", batch=batch
        )

    together, alone = asked(model(5), requests), asked(model(1), requests[3:4])[0]
    assert np.abs(pixels_of(together[3]) - pixels_of(alone)).max() <= 1


def test_the_same_picture_is_the_same_bytes_and_says_what_it_is(drawn, requests):
    first, again = asked(drawn, requests[:2]), asked(drawn, requests[:2])
    assert first == again
    text = Pil.open(io.BytesIO(first[1].data)).text
    assert (text["prompt"], text["seed"], text["steps"]) == (requests[1].prompt, str(requests[1].seed), "3")
    assert (first[0].width, first[0].height) == (64, 64)


def test_a_prompt_of_any_script_survives_in_the_file():
    made = encoded(np.zeros((8, 8, 3)), {"prompt": "полип 息肉", "seed": 3})
    assert Pil.open(io.BytesIO(made.data)).text["prompt"] == "полип 息肉"


def test_what_cannot_be_drawn_fails_by_name(drawn):
    wrong = [
        Synthesize(prompt="a", width=60, height=64),
        Synthesize(prompt="a", images=(Image(path="x.png"),)),
        Synthesize(prompt="a", seed=1, width=32, height=64),
    ]
    made = asked(drawn, wrong)
    assert [output.kind for output in made[:2]] == ["input", "input"]
    assert "multiples of 8" in made[0].error
    assert (made[2].width, made[2].height) == (32, 64)


def test_a_picture_has_the_size_that_was_asked_for_or_is_refused(tiny_sd, tiny_kandinsky):
    kandinsky = Diffusion(weights=str(tiny_kandinsky), steps=1, device="cpu")
    sides = [(48, 32), (40, 32)]
    made = asked(kandinsky, [Synthesize(prompt="a", seed=1, width=width, height=height) for width, height in sides])
    assert Pil.open(io.BytesIO(made[0].data)).size == (48, 32)
    assert "multiples of 16" in made[1].error, "its pipeline would round up"
    assert "multiples of 8" in asked(Diffusion(weights=str(tiny_sd), steps=1, device="cpu"), [Synthesize(prompt="a", width=36)])[0].error


def test_a_network_that_cannot_be_compiled_is_one_line(tiny_sd, monkeypatch):
    def refuses(*args, **options):
        raise BackendCompilerFailed(lambda: None, RuntimeError("No working C++ compiler found\nin a long text"), None)

    model = Diffusion(weights=str(tiny_sd), steps=1, device="cpu")
    monkeypatch.setattr(type(model.pipe.unet), "forward", refuses)
    with pytest.raises(UsageError, match=r"^compile=true: torch cannot compile here .*No working C\+\+ compiler found"):
        asked(model, [Synthesize(prompt="a", seed=1)])


def test_torchvision_is_out_of_sight():
    assert not diffusers.utils.is_torchvision_available()


def test_pixels_that_are_no_numbers_fail_alone():
    def draw(prompts, generators, width, height):
        pixels = np.zeros((len(prompts), height, width, 3))
        pixels[[prompt == "bad" for prompt in prompts], 0, 0] = np.nan
        return pixels

    sampler = Sampler(draw, size=16, multiple=8, batch=3, said={})
    made = dict(sampler([Synthesize(prompt=prompt, seed=9) for prompt in ("good", "bad", "good")]))
    assert isinstance(made[0], Picture)
    assert isinstance(made[1], Failed)
    assert "NaN: the picture of seed 9" in made[1].error


def test_latents_that_are_no_numbers_are_seen_through_a_pipeline(tiny_sd, requests):
    model = Diffusion(weights=str(tiny_sd), steps=2, device="cpu")
    with torch.no_grad():
        model.pipe.unet.conv_out.bias.fill_(float("nan"))
    assert {type(output) for output in asked(model, requests[:2])} == {Failed}


def test_a_batch_that_does_not_fit_is_halved():
    sizes = []

    def draw(prompts, generators, width, height):
        sizes.append(len(prompts))
        if len(prompts) > 2:
            raise OutOfMemory("full")
        return np.zeros((len(prompts), height, width, 3))

    sampler = Sampler(draw, size=8, multiple=8, batch=8, said={})
    assert len(list(sampler([Synthesize(prompt="a", seed=n) for n in range(5)]))) == 5
    assert sizes == [5, 3, 2, 2, 1]


def test_batches_come_as_they_are_drawn():
    done = []
    sampler = Sampler(lambda p, g, w, h: done.append(len(p)) or np.zeros((len(p), h, w, 3)), size=8, multiple=8, batch=2, said={})
    stream = sampler([Synthesize(prompt="a", seed=n) for n in range(6)])
    next(stream)
    assert done == [2]


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_each_sampler_draws(tiny_sd, name):
    model = Diffusion(weights=str(tiny_sd), steps=3, size=32, scheduler=name, device="cpu")
    assert isinstance(asked(model, [Synthesize(prompt="a polyp", seed=1)])[0], Picture)
    assert model.facts()["scheduler"] == SCHEDULERS[name][0]


def test_options_change_what_is_drawn(tiny_sd, requests):
    plain = {"weights": str(tiny_sd), "steps": 2, "size": 32, "device": "cpu"}
    one = [requests[0]]
    made = {
        asked(Diffusion(**{**plain, **more}), one)[0].data
        for more in ({}, {"steps": 3}, {"guidance": 1.0}, {"negative": "blood"}, {"size": 48}, {"dtype": "bfloat16"})
    }
    assert len(made) == 6


def test_facts_say_what_a_record_needs(drawn):
    facts = check_facts_complete(drawn, more=("scheduler", "steps", "guidance", "size", "safety_checker", "pipeline"))
    assert (facts["steps"], facts["guidance"], facts["size"], facts["safety_checker"]) == (3, 2.0, 64, False)
    assert (own_size(drawn.pipe), grain(drawn.pipe)) == (64, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler": "dimm"}, "scheduler=dimm"),
        ({"preset": "huge"}, "preset=huge"),
        ({"steps": -1}, "steps=-1"),
        ({"guidance": float("nan")}, "guidance=nan"),
        ({"lora_scale": float("inf")}, "lora_scale=inf"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_loaded(options, message):
    with pytest.raises(UsageError, match=message):
        Diffusion(weights="nowhere", **options)


def test_settings_that_a_pipeline_cannot_draw_with_are_refused(tiny_sd, tiny_kandinsky):
    with pytest.raises(UsageError, match="size=30: not a multiple of 8"):
        Diffusion(weights=str(tiny_sd), size=30, device="cpu").facts()
    with pytest.raises(UsageError, match="steps=5000: more than the 1000"):
        Diffusion(weights=str(tiny_sd), steps=5000, device="cpu").facts()
    with pytest.raises(UsageError, match="prior_steps=0: below 1"):
        KandinskyColonoscopy(weights=str(tiny_kandinsky), prior_steps=0)


def test_what_is_no_pipeline_is_refused(tiny_sd, tiny_kandinsky, tmp_path):
    with pytest.raises(UsageError, match="needs weights"):
        Diffusion().facts()
    with pytest.raises(WeightsError, match=r"no model_index\.json"):
        Diffusion(weights=str(tmp_path)).facts()
    with pytest.raises(WeightsError, match="a KandinskyV22CombinedPipeline, not a StableDiffusionPipeline"):
        SdColonoscopy(weights=str(tiny_kandinsky), adapter=str(tiny_sd)).facts()
    with pytest.raises(UsageError, match="needs an adapter"):
        SdColonoscopy(weights=str(tiny_sd)).facts()
    with pytest.raises(UsageError, match="prior"):
        Diffusion(weights=str(tiny_sd), prior="somewhere").facts()


def changed(folder, out, **entries):
    copy = shutil.copytree(folder, out)
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps({**index, **entries}))
    return copy


def test_torn_and_foreign_folders_are_refused(tiny_sd, tmp_path):
    with pytest.raises(WeightsError, match="has no StableDifusionPipeline"):
        Diffusion(weights=str(changed(tiny_sd, tmp_path / "a", _class_name="StableDifusionPipeline"))).facts()
    with pytest.raises(WeightsError, match="of a module my_code"):
        Diffusion(weights=str(changed(tiny_sd, tmp_path / "b", unet=["my_code", "Net"])), device="cpu").facts()
    with pytest.raises(WeightsError, match="does not draw from text alone"):
        Diffusion(weights=str(changed(tiny_sd, tmp_path / "c", _class_name="StableDiffusionImg2ImgPipeline"))).facts()
    lacking = changed(tiny_sd, tmp_path / "d")
    file = lacking / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor for name, tensor in load_file(file).items() if name != "conv_in.bias"}, file)
    with pytest.raises(WeightsError, match=r"1 tensors missing \(conv_in\.bias\)"):
        Diffusion(weights=str(lacking), device="cpu").facts()


def test_a_safety_checker_is_never_run(tiny_sd, tmp_path, requests):
    having = changed(tiny_sd, tmp_path / "a", safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    model = Diffusion(weights=str(having), steps=2, device="cpu")
    assert isinstance(asked(model, requests[:1])[0], Picture)
    assert model.pipe.safety_checker is None


def test_cards_are_whole():
    registry = load_registry(medbench_diffusion)
    assert {card.name for card in medbench_diffusion.CARDS} == {"sd-colonoscopy", "kandinsky-colonoscopy", "diffusion"}
    assert {entry.card.name for entry in registry.entries(ModelCard)} >= {card.name for card in medbench_diffusion.CARDS}
    assert "safety checker" in medbench_diffusion.CARDS[0].title
