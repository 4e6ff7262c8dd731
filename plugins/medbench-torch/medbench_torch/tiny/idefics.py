"""A tiny Idefics 3, which cuts a picture into tiles, with its processor."""

from __future__ import annotations

from pathlib import Path

from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessorPil, Idefics3Processor

from medbench_torch.tiny.causal import save, seeded
from medbench_torch.tiny.tokenizers import Specials, byte_level

SPECIALS = Specials(
    tokens=("<unk>", "<s>", "</s>", "<pad>", "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"),
    bos="<s>",
    eos="</s>",
    pad="<pad>",
    unk="<unk>",
    named={"image_token": "<image>"},
)

_PART = "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}"
CHAT = "{% for m in messages %}{% for c in m.content %}" + _PART + "{% endfor %}{% endfor %}"

TOKENS = 4
"""Tokens that a tile has."""


def build_idefics(folder: str | Path, *, seed: int = 0) -> Path:
    """Save an Idefics 3 with random weights (width 32, 2 layers, tiles of 56 pixels), and return the folder.

    Args:
        folder: Where to.
        seed: Seed of the weights.
    """
    tokens = byte_level(SPECIALS)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {
        "model_type": "llama",
        "vocab_size": len(tokens),
        "num_key_value_heads": 4,
        "max_position_embeddings": 2048,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }
    config = Idefics3Config(
        text_config=small | text,
        vision_config=small | {"image_size": 56, "patch_size": 14},
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokens.pad_token_id,
    )
    images = Idefics3ImageProcessorPil(size={"longest_edge": 112}, max_image_size={"longest_edge": 56})
    processor = Idefics3Processor(image_processor=images, tokenizer=tokens, image_seq_len=TOKENS, chat_template=CHAT)
    return save(folder, seeded(lambda: Idefics3ForConditionalGeneration(config), seed), processor)
