"""Tiny CLIP and SigLIP models of the true classes with random weights, made on the spot: the same each time."""

from __future__ import annotations

from pathlib import Path

import torch
from medbench_torch.loading import quiet
from medbench_torch.processing import CLIP_MEAN, CLIP_STD
from medbench_torch.tiny.clip_text import clip_tokenizer
from medbench_torch.tiny.tokenizers import Specials, byte_level
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, SiglipConfig, SiglipImageProcessorPil, SiglipModel

SIDE = 32
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**TOWER, "image_size": SIDE, "patch_size": 8}
LENGTH = 64


def build_tiny(folder: Path, preset: str) -> Path:
    """Write a tiny model (`tiny`: CLIP, `tiny-siglip`: SigLIP) with tokenizer and processor into a folder, and return it."""
    build = _siglip if preset == "tiny-siglip" else _clip
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        build(folder)
    return folder


def _clip(folder: Path) -> None:
    tokenizer = clip_tokenizer(length=LENGTH)
    end = int(tokenizer.eos_token_id)
    text = {**TOWER, "vocab_size": len(tokenizer), "max_position_embeddings": LENGTH, "eos_token_id": end, "pad_token_id": end}
    CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    sizes = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    CLIPImageProcessorPil(**sizes, image_mean=list(CLIP_MEAN), image_std=list(CLIP_STD)).save_pretrained(folder)


def _siglip(folder: Path) -> None:
    specials = Specials(tokens=("<pad>", "</s>", "<unk>"), pad="<pad>", eos="</s>", unk="<unk>")
    tokenizer = byte_level(specials)
    tokenizer.model_max_length, tokenizer.padding_side = LENGTH, "right"
    text = {**TOWER, "vocab_size": len(tokenizer), "max_position_embeddings": LENGTH, "projection_size": TOWER["hidden_size"]}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=VISION))
    torch.nn.init.constant_(model.logit_scale, 4.7)
    torch.nn.init.constant_(model.logit_bias, -12.9)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
