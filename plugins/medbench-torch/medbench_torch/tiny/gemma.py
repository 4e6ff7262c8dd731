"""A tiny Gemma 3 (the class of MedGemma) with its processor."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3ImageProcessorPil, Gemma3Processor

from medbench_torch.tiny.causal import save, seeded
from medbench_torch.tiny.tokenizers import GEMMA, byte_level

CHAT = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{% for c in m.content %}{% if c.type == 'image' %}"
    "<start_of_image>{% else %}{{ c.text }}{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
"""The turns of the published template, which begins with the first token itself."""

TOKENS = 4
"""Tokens that a picture has."""


def build_gemma(folder: str | Path, *, seed: int = 0) -> Path:
    """Save a Gemma 3 with random weights (width 32, 2 layers, pictures of 56 pixels), and return the folder.

    Args:
        folder: Where to.
        seed: Seed of the weights.
    """
    tokens = byte_level(GEMMA)
    number = tokens.convert_tokens_to_ids
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {
        "vocab_size": len(tokens),
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 32,
        "max_position_embeddings": 1024,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }
    config = Gemma3Config(
        text_config=small | text,
        vision_config=small | {"image_size": 56, "patch_size": 14},
        mm_tokens_per_image=TOKENS,
        image_token_index=number("<image_soft_token>"),
        boi_token_index=number("<start_of_image>"),
        eoi_token_index=number("<end_of_image>"),
    )
    images = Gemma3ImageProcessorPil(size={"height": 56, "width": 56}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor = Gemma3Processor(image_processor=images, tokenizer=tokens, image_seq_length=TOKENS, chat_template=CHAT)
    return save(folder, seeded(lambda: _seeing(config), seed), processor)


def _seeing(config: Gemma3Config) -> Gemma3ForConditionalGeneration:
    """Return a model to which pictures matter: the class leaves the projection at zero."""
    model = Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.1)
    return model
