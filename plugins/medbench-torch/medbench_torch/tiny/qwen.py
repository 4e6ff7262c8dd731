"""A tiny Qwen2-VL or Qwen2.5-VL of the true class, with its image processor and tokenizer."""

from __future__ import annotations

from pathlib import Path

from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

from medbench.errors import UsageError
from medbench_torch.tiny.causal import save, seeded
from medbench_torch.tiny.tokenizers import QWEN, byte_level

KINDS = ("qwen2_vl", "qwen2_5_vl")

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}{% if c.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The turns of the published template, without its system sentence."""


def build_qwen(folder: str | Path, *, kind: str = "qwen2_5_vl", seed: int = 0) -> Path:
    """Save a Qwen-VL with random weights (width 32, 2 layers); a picture has 1 to 9 tokens.

    Args:
        folder: Where to.
        kind: One of `KINDS`.
        seed: Seed of the weights.

    Returns:
        The folder. It holds no video processor, which cannot be made without torchvision.

    Raises:
        UsageError: the kind is unknown.
    """
    if kind not in KINDS:
        raise UsageError(f"kind={kind}: no such tiny Qwen-VL", hint=f"one of {', '.join(KINDS)}")
    tokens = byte_level(QWEN)
    tokens.chat_template = CHAT
    number = tokens.convert_tokens_to_ids
    text = {
        "vocab_size": len(tokens),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
        "bos_token_id": None,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }
    ids = {
        "image_token_id": number("<|image_pad|>"),
        "video_token_id": number("<|video_pad|>"),
        "vision_start_token_id": number("<|vision_start|>"),
        "vision_end_token_id": number("<|vision_end|>"),
    }
    shared = {"depth": 2, "hidden_size": 32, "num_heads": 4}
    if kind == "qwen2_5_vl":
        tower = shared | {"intermediate_size": 64, "out_hidden_size": 32, "window_size": 56, "fullatt_block_indexes": [1]}
        newer = Qwen2_5_VLConfig(text_config=text, vision_config=tower, **ids)
        model = seeded(lambda: Qwen2_5_VLForConditionalGeneration(newer), seed)
    else:
        older = Qwen2VLConfig(text_config=text, vision_config=shared | {"embed_dim": 32, "mlp_ratio": 2}, **ids)
        model = seeded(lambda: Qwen2VLForConditionalGeneration(older), seed)
    return save(folder, model, tokens, Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28, "longest_edge": 84 * 84}))
