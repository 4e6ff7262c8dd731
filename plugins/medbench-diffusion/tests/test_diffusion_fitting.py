"""Fine-tuning: what is predicted and how it counts, what is trained and written, and that the same model loads it."""

from __future__ import annotations

import json

import diffusers
import numpy as np
import pytest
import torch
from diffusers.training_utils import compute_snr
from medbench_diffusion.any_pipeline import Diffusion
from medbench_diffusion.fitting import fit, learner_of, stages_of
from medbench_diffusion.kandinsky import KandinskyColonoscopy
from medbench_diffusion.losses import noised, target_of, weights_of
from medbench_diffusion.stable_diffusion import SdColonoscopy
from medbench_diffusion.tiny import build_sd
from medbench_diffusion.training_pictures import EVERY_COLOUR, OTHER_COLOURS, fitted, recoloured
from medbench_torch.fit import Settings, read_events
from medbench_torch.fit import fit as run_stages
from PIL import Image as Pil
from safetensors.torch import load_file
from torch.nn import functional

from medbench.errors import UsageError
from medbench.types import Picture, Synthesize, Text


def scheduler(kind):
    return diffusers.DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=kind)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_targets_and_weights_follow_the_prediction_type(kind):
    noise_schedule = scheduler(kind)
    rng = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(3, 4, 2, 2, generator=rng), torch.randn(3, 4, 2, 2, generator=rng)
    steps = torch.tensor([3, 400, 990])
    torch.testing.assert_close(noised(noise_schedule, clean, noise, steps), noise_schedule.add_noise(clean, noise, steps))
    theirs = {"epsilon": noise, "sample": clean, "v_prediction": noise_schedule.get_velocity(clean, noise, steps)}[kind]
    torch.testing.assert_close(target_of(noise_schedule, clean, noise, steps), theirs)
    ratio = compute_snr(noise_schedule, steps)
    expected = ratio.clamp(max=5) / {"epsilon": ratio, "v_prediction": ratio + 1, "sample": torch.ones(3)}[kind]
    torch.testing.assert_close(weights_of(noise_schedule, steps, 5.0), expected)
    assert weights_of(noise_schedule, steps, 0.0).tolist() == [1, 1, 1]


def test_a_prediction_that_is_not_known_is_refused():
    with pytest.raises(UsageError, match="prediction_type flow"):
        target_of(diffusers.DDPMScheduler(prediction_type="flow"), *[torch.zeros(1, 1)] * 2, torch.tensor([0]))


def small(folder, cls=SdColonoscopy, **options):
    return cls(
        **{"weights": str(folder), "r": 4, "alpha": 16, "lr": 2e-3, "steps_of_fit": 5, "batch": 4, "size": 32, "device": "cpu", **options}
    )


def loss_of(learner, examples):
    batch, count = learner.collate(examples, [0] * len(examples), training=False)
    learner.module.eval()
    with torch.no_grad():
        return learner.loss(learner.module, batch).item() / count


def test_the_written_adapter_has_its_alpha_and_means_what_was_learnt(tiny_sd, examples, tmp_path):
    model = small(tiny_sd, text_encoder_lora=True)
    learner = learner_of(model, examples, tmp_path / "scratch", 0)
    before = loss_of(learner, examples)
    base = {name: tensor.clone() for name, tensor in learner.pipe.vae.state_dict().items()}
    run_stages(learner, stages_of(model), examples, examples[:2], tmp_path / "out", 0)
    after = loss_of(learner, examples)
    assert after < before
    assert all(torch.equal(tensor, base[name]) for name, tensor in learner.pipe.vae.state_dict().items()), "the autoencoder is left alone"
    again = SdColonoscopy(weights=str(tiny_sd), adapter=str(tmp_path / "out"), steps=2, device="cpu")
    facts = again.facts()["adapter"]
    assert (facts["r"], facts["alpha"], facts["alpha_stated"], sorted(facts["parts"])) == (4, 16.0, True, ["text_encoder", "unet"])
    judge = learner_of(small(tiny_sd), examples, tmp_path / "scratch", 0)
    for name in ("unet", "text_encoder"):
        getattr(judge.pipe, name).load_state_dict(getattr(again.pipe, name).state_dict())
    assert loss_of(judge, examples) == pytest.approx(after, rel=1e-4)
    theirs = diffusers.StableDiffusionPipeline.from_pretrained(tiny_sd)
    theirs.load_lora_weights(tmp_path / "out" / "adapter")
    assert theirs.unet.peft_config["default_0"].lora_alpha == 16
    card = json.loads((tmp_path / "out" / "adapter" / "card.json").read_text())
    assert card["lora"]["alpha"] == 16.0
    assert str(tmp_path) not in json.dumps(card)


def test_kandinskys_prior_and_decoder_learn(tiny_kandinsky, examples, tmp_path):
    model = small(tiny_kandinsky, KandinskyColonoscopy, alpha=8)
    learner = learner_of(model, examples, tmp_path / "scratch", 0)
    before = loss_of(learner, examples)
    run_stages(learner, stages_of(model), examples, examples[:2], tmp_path / "out", 0)
    assert loss_of(learner, examples) < before
    again = KandinskyColonoscopy(weights=str(tiny_kandinsky), adapter=str(tmp_path / "out"), steps=2, prior_steps=2, device="cpu")
    facts = again.facts()["adapter"]
    assert (facts["r"], facts["alpha"], sorted(facts["parts"])) == (4, 8.0, ["prior_prior", "unet"])
    for name in ("decoder", "prior"):
        assert any(
            tensor.any()
            for key, tensor in load_file(tmp_path / "out/adapter" / name / "adapter_model.safetensors").items()
            if "lora_B" in key
        )


def test_a_fit_of_the_same_seed_is_the_same_bytes_and_one_of_another_is_not(tiny_sd, examples, tmp_path):
    made = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        fit(small(tiny_sd, steps_of_fit=2), examples, [], tmp_path / name, seed, None)
        made.append((tmp_path / name / "adapter" / "pytorch_lora_weights.safetensors").read_bytes())
    assert made[0] == made[1] != made[2]


def test_a_fit_that_was_broken_off_ends_like_one_that_was_not(tiny_sd, examples, tmp_path):
    def breaks(event):
        if event.get("step") == 3 and event.get("event") == "step":
            raise KeyboardInterrupt

    model = small(tiny_sd, steps_of_fit=4, save_every=1)
    whole = fit(model, examples, [], tmp_path / "whole", 0, None)
    learner = learner_of(model, examples, tmp_path / "scratch", 0)
    settings = Settings(device="cpu", save_every=1, log_every=1)
    with pytest.raises(KeyboardInterrupt):
        run_stages(learner, stages_of(model), examples, [], tmp_path / "out", 0, breaks, settings=settings)
    assert (tmp_path / "out.partial").is_dir()
    fit(model, examples, [], tmp_path / "out", 0, None)
    assert "resumed" in {event["event"] for event in read_events(tmp_path / "out")}
    file = "adapter/pytorch_lora_weights.safetensors"
    assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert whole["option"] == "adapter"


@pytest.mark.parametrize("cls", [SdColonoscopy, KandinskyColonoscopy])
def test_a_preset_gets_a_base_and_an_adapter_that_the_same_model_loads(cls, examples, tmp_path):
    model = cls(preset="tiny", autoencoder_steps=2, base_steps=2, steps_of_fit=2, batch=2, size=32, device="cpu")
    facts = fit(model, examples, examples[:1], tmp_path / "out", 3, None)
    assert [stage["name"] for stage in facts["stages"]] == ["autoencoder", "base", "lora"]
    assert facts["option"] == "weights"
    unasked = cls(weights=str(tmp_path / "out"), device="cpu").facts()
    assert (unasked["steps"], unasked["guidance"]) == (cls.TINY.steps, cls.TINY.guidance), "as its card says, not as a large one is drawn"
    again = cls(weights=str(tmp_path / "out"), steps=2, device="cpu")
    assert isinstance(dict(again.synthesize([examples[0][0]]))[0], Picture)
    assert again.facts()["untrained"] is False
    base = Diffusion(weights=str(tmp_path / "out" / "base"), steps=2, device="cpu")
    assert base.facts()["weights_digest"] == again.facts()["weights_digest"]
    assert "adapter" not in base.facts()


def test_v_prediction_is_fitted_as_such(examples, tmp_path):
    folder = build_sd(tmp_path / "v", prediction_type="v_prediction")
    learner = learner_of(small(folder), examples, tmp_path, 0)
    batch, _ = learner.collate(examples[:2], [1, 2])
    with torch.no_grad():
        vae, unet, noise_schedule = learner.pipe.vae, learner.pipe.unet, learner.pipe.scheduler
        posterior = vae.encode(batch["pixels"]).latent_dist
        clean = (posterior.mean + posterior.std * batch["spread"]) * vae.config.scaling_factor
        said = learner.pipe.text_encoder(batch["ids"].chunk(2, dim=1)[0])[0]
        predicted = unet(noise_schedule.add_noise(clean, batch["noise"], batch["steps"]), batch["steps"], said).sample
        by_hand = ((predicted - noise_schedule.get_velocity(clean, batch["noise"], batch["steps"])) ** 2).flatten(1).mean(1).sum()
        assert learner.loss(learner.module, batch).item() == pytest.approx(by_hand.item(), rel=1e-4)


def test_noise_is_each_examples_own(tiny_sd, examples, tmp_path):
    learner = learner_of(small(tiny_sd, caption_dropout=0.5, flip=True), examples, tmp_path, 0)
    together, _ = learner.collate(examples[:3], [11, 22, 33])
    alone, _ = learner.collate(examples[2:3], [33])
    assert all(torch.equal(tensor[2], alone[name][0]) for name, tensor in together.items())


def test_pictures_are_fitted_by_their_shortest_side_and_their_middle(tmp_path):
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    Pil.fromarray(pixels).save(tmp_path / "a.png")
    assert fitted(Picture(path=str(tmp_path / "a.png")), 20).min() == 255
    assert fitted(Picture(path=str(tmp_path / "a.png")), 40).shape == (40, 40, 3)


@pytest.mark.parametrize("kind", ["sd", "kandinsky"])
def test_small_autoencoders_begin_with_the_colours_of_what_they_see(kind, tiny_sd, tiny_kandinsky):
    pixels = functional.interpolate(torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(0)), 64) * 1.6 - 0.8
    with torch.no_grad():
        if kind == "sd":
            vae = diffusers.AutoencoderKL.from_pretrained(tiny_sd / "vae")
            posterior = vae.encode(pixels).latent_dist
            assert posterior.std.max() < 0.1, "noise would hide what latents say"
            drawn = vae.decode(posterior.mean).sample
        else:
            movq = diffusers.VQModel.from_pretrained(tiny_kandinsky / "movq")
            drawn = movq.decode(movq.encode(pixels).latents, force_not_quantize=True).sample
    for colour in range(3):
        assert torch.corrcoef(torch.stack([pixels[:, colour].flatten(), drawn[:, colour].flatten()]))[0, 1] > 0.9


def test_the_base_of_a_preset_never_sees_the_colours_that_are_to_be_learnt():
    salmon = np.full((4, 4, 3), (205, 120, 100), np.uint8)
    rng = np.random.default_rng(0)
    seen = np.stack([recoloured(salmon, rng, OTHER_COLOURS)[0, 0] for _ in range(200)]).astype(int)
    assert (seen[:, 0] - seen[:, 1]).max() < 30, "green or yellow, never red: 85 apart as it is"
    assert len(np.unique(seen, axis=0)) > 100
    kept = recoloured(salmon, rng, (0.0, 0.0))[0, 0].astype(int)
    assert kept[0] > kept[1] > kept[2]
    assert np.ptp(recoloured(np.full((1, 1, 3), 90, np.uint8), rng, EVERY_COLOUR).astype(int)) <= 1, "grey stays grey"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 0}, "r=0"),
        ({"dropout": 1.0}, "dropout=1"),
        ({"epochs": 1.0}, "epochs and steps_of_fit"),
        ({"adapter": "x"}, "begins from a base"),
        ({"preset": "tiny"}, "preset and weights"),
        ({"size": 62}, "size=62: not a multiple of 4"),
        ({"snr_gamma": -1.0}, "snr_gamma=-1"),
    ],
)
def test_options_that_contradict_are_refused(tiny_sd, examples, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        fit(small(tiny_sd, **options), examples, [], tmp_path / "out", 0, None)


def test_what_is_no_picture_is_refused(tiny_sd, tmp_path, examples):
    with pytest.raises(UsageError, match="nothing to learn drawing from"):
        fit(small(tiny_sd), [(Synthesize(prompt="a"), Text(text="b"))], [], tmp_path / "out", 0, None)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(UsageError, match="training picture cannot be used"):
        fit(small(tiny_sd), [(Synthesize(prompt="a"), Picture(path=str(broken)))], [], tmp_path / "out2", 0, None)
    with pytest.raises(UsageError, match="text_encoder_lora=true: kandinsky-colonoscopy has none"):
        fit(KandinskyColonoscopy(preset="tiny", text_encoder_lora=True), examples, [], tmp_path / "out3", 0, None)


def test_options_of_fitting_are_refused_by_a_run(tiny_sd, sd_lora):
    with pytest.raises(UsageError, match="r, lr: of medbench fit, not of a run"):
        SdColonoscopy(weights=str(tiny_sd), adapter=str(sd_lora), r=4, lr=0.1).facts()
