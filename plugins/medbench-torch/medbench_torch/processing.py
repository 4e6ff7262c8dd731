"""The processor of a LLaVA, from its tower's config: Pillow pictures, the right number of image tokens."""

from __future__ import annotations

from typing import Any

from transformers import CLIPImageProcessorPil, LlavaImageProcessorPil, LlavaProcessor, PreTrainedTokenizerBase

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

CHAT = (
    "{% for m in messages %}{% if m['role'] == 'user' %}USER: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>\n{% else %}{{ c['text'] }}{% endif %}{% endfor %} "
    "{% else %}ASSISTANT: {{ m['content'][0]['text'] }}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
"""The chat template of published conversions of LLaVA 1.5, without a system sentence."""


def llava_processor(tokenizer: PreTrainedTokenizerBase, tower: Any, strategy: str = "default", *, pad: bool = False) -> LlavaProcessor:
    """Return the processor of a tower with a class token.

    Args:
        tokenizer: With `<image>` as a special token.
        tower: Config with `image_size` and `patch_size`.
        strategy: `default`: the class token is dropped; `full`: it is not.
        pad: Pad to a square in the mean colour, as LLaVA 1.5 was trained, instead of cropping the longer side.
    """
    size = tower.image_size
    kind, more = (LlavaImageProcessorPil, {"do_pad": True}) if pad else (CLIPImageProcessorPil, {})
    images = kind(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=list(CLIP_MEAN),
        image_std=list(CLIP_STD),
        **more,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=tower.patch_size,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=1,
        chat_template=CHAT,
    )
