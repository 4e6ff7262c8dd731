"""Tiny pipelines of the true classes with random weights: the whole way of a real one, in seconds and without a download."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import medbench_diffusion.diffusers_alone  # noqa: F401 - before diffusers, which then finds no torchvision

# isort: split
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    KandinskyV22CombinedPipeline,
    PriorTransformer,
    StableDiffusionPipeline,
    UnCLIPScheduler,
    UNet2DConditionModel,
    VQModel,
)
from medbench_torch.images import pil_processor
from medbench_torch.tiny.clip_text import clip_tokenizer
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModelWithProjection

from medbench_diffusion.averaging import begin_as_average
from medbench_diffusion.pipelines import quiet_diffusers

SIDE = 64
GRID = SIDE // 4
"""Latents along a side: two levels of halving leave enough of a picture to draw it from."""
WIDTH = 32
"""Dimensions of text and image features."""
PREDICTION = "v_prediction"
"""What the small models learn to predict: colours come out right in far fewer steps than from predicted noise."""
TARGETS = ("to_k", "to_q", "to_v", "to_out.0")
WORDS = ("a", "an", "and", "colon", "colonoscopy", "containing", "from", "generate", "image", "in", "no", "of", "polyp", "the", "with")


def build_sd(folder: Path, *, words: Iterable[str] = WORDS, seed: int = 0, prediction_type: str = "epsilon") -> Path:
    """Write a Stable Diffusion of 64 pixels, and return its folder; same bytes each time."""
    with _seeded(seed):
        tokenizer = clip_tokenizer(words)
        text = CLIPTextModel(_text_config(tokenizer))
        unet = UNet2DConditionModel(
            sample_size=GRID,
            layers_per_block=1,
            block_out_channels=(32, 64, 64),
            norm_num_groups=8,
            down_block_types=("CrossAttnDownBlock2D",) * 3,
            up_block_types=("CrossAttnUpBlock2D",) * 3,
            cross_attention_dim=WIDTH,
            attention_head_dim=1,  # the number of heads, in this class: narrow ones cost the most time here
        )
        vae = AutoencoderKL(block_out_channels=(16, 32, 64), **_autoencoder())
        begin_as_average(vae)
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=_ddim(prediction_type, "scaled_linear"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return save_pipeline(pipe, folder)


def build_kandinsky(folder: Path, *, words: Iterable[str] = WORDS, seed: int = 0, prediction_type: str = "epsilon") -> Path:
    """Write a Kandinsky 2.2 of 64 pixels, prior and decoder together, and return its folder; same bytes each time."""
    with _seeded(seed):
        tokenizer = clip_tokenizer(words)
        text = CLIPTextModelWithProjection(_text_config(tokenizer))
        vision = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=WIDTH,
                image_size=32,
                projection_dim=WIDTH,
                intermediate_size=64,
                patch_size=8,
                num_hidden_layers=2,
                num_attention_heads=4,
            )
        )
        prior = PriorTransformer(num_attention_heads=4, attention_head_dim=8, embedding_dim=WIDTH, num_layers=2)
        nn.init.ones_(prior.clip_std)
        nn.init.zeros_(prior.clip_mean)
        unet = _kandinsky_unet()
        # its norms have 32 groups, whatever is said
        movq = VQModel(block_out_channels=[32, 32, 64], norm_type="spatial", num_vq_embeddings=64, vq_embed_dim=4, **_autoencoder())
        begin_as_average(movq)
    pipe = KandinskyV22CombinedPipeline(
        unet=unet,
        scheduler=_ddim(prediction_type, "linear"),
        movq=movq,
        prior_prior=prior,
        prior_image_encoder=vision,
        prior_text_encoder=text,
        prior_tokenizer=tokenizer,
        prior_scheduler=UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", num_train_timesteps=1000, clip_sample=True, clip_sample_range=10.0
        ),
        prior_image_processor=pil_processor({"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
    )
    return save_pipeline(pipe, folder)


def build_lora(part: nn.Module, *, r: int = 4, alpha: float = 8.0, seed: int = 0, size: float = 0.2) -> dict[str, torch.Tensor]:
    """Wrap the attention of a network with LoRA whose matrices are random, and return them by PEFT's names."""
    with _seeded(seed):
        part.add_adapter(LoraConfig(r=r, lora_alpha=alpha, init_lora_weights="gaussian", target_modules=list(TARGETS)))
        for name, parameter in part.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=size)
    return {name: tensor.detach().contiguous() for name, tensor in get_peft_model_state_dict(part).items()}


def save_pipeline(pipe: Any, folder: Path) -> Path:
    """Write a pipeline, and return its folder."""
    with quiet_diffusers():
        pipe.save_pretrained(folder)
    return folder


def _autoencoder() -> dict[str, Any]:
    """Return what both autoencoders share."""
    return {
        "sample_size": SIDE,
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "latent_channels": 4,
        "norm_num_groups": 2,
        "mid_block_add_attention": False,
    }


def _kandinsky_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=GRID,
        in_channels=4,
        out_channels=8,
        addition_embed_type="image",
        down_block_types=("SimpleCrossAttnDownBlock2D",) * 3,
        up_block_types=("SimpleCrossAttnUpBlock2D",) * 3,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        norm_num_groups=8,
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=WIDTH,
        attention_head_dim=32,
        resnet_time_scale_shift="scale_shift",
    )


def _text_config(tokenizer: Any) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        projection_dim=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _ddim(prediction_type: str, schedule: str) -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule=schedule,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from a seed for a while; torch's own stream is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
