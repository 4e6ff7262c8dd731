"""The three ways in which LoRA files name the modules of a vision-language model, told apart by looking and translated."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

HF = "hf"
"""The module's own name in current transformers, or in any model that is no vision-language model."""
BEFORE_4_52 = "hf-before-4.52"
"""transformers before 4.52: `language_model.model.layers…`."""
LLAVA = "llava"
"""The original LLaVA code, whose language model is the trunk: `model.layers…`."""
DIALECTS = (HF, BEFORE_4_52, LLAVA)

PREFIX = "base_model.model."
"""What PEFT puts before the name of a module."""

_TRUNK = re.compile(r"model\.(layers\.|embed_tokens$|norm$)")


def inspect(paths: Iterable[str]) -> str:
    """Return the dialect of module paths (without PEFT's prefix), or both names where they are mixed.

    >>> inspect(["model.layers.0.self_attn.q_proj"])
    'llava'
    >>> inspect(["language_model.model.layers.0.self_attn.q_proj", "vision_tower.vision_model.encoder.layers.0.mlp.fc1"])
    'hf-before-4.52'
    """
    found = {_dialect_of(path) for path in paths} - {""}
    return " and ".join(sorted(found)) or HF


def _dialect_of(path: str) -> str:
    """Return what one path tells; empty: it could be of any."""
    if _TRUNK.match(path):
        return LLAVA
    if path.startswith(("language_model.model.", "language_model.lm_head", "vision_tower.", "multi_modal_projector.")):
        return BEFORE_4_52
    return HF if path.startswith("model.") else ""


def resolve(path: str, modules: Collection[str], language_model: str) -> str:
    """Return the name that a module path of any dialect has in a model; empty: the model has no such module.

    Args:
        path: As in the file, without PEFT's prefix.
        modules: All module names of the model.
        language_model: Full name of its language model; empty: it has none, only the path itself can be meant.
    """
    return next((name for name in _meanings(path, language_model) if name in modules), "")


def _meanings(path: str, language_model: str) -> Iterable[str]:
    yield path
    if not language_model:
        return
    parent = language_model.rpartition(".")[0]
    inside = f"{parent}." if parent else ""
    if path.startswith("language_model.model."):
        yield path.replace("language_model.model", language_model, 1)
    elif path == "language_model.lm_head":
        yield "lm_head"
    elif _TRUNK.match(path):
        yield path.replace("model", language_model, 1)
        yield f"{language_model}.{path}"
    else:
        yield inside + path
        # as PEFT names it for a language model alone whose layers are not where Llama has them (OPT)
        yield f"{language_model}.{path}"
    # the tower of CLIP lost a level in transformers 5
    without = path.replace("vision_tower.vision_model.", "vision_tower.")
    yield without
    yield inside + without


def spelled(name: str, dialect: str, language_model: str) -> str:
    """Return how a dialect calls a module: the way back from `resolve`.

    >>> spelled("model.language_model.layers.0.mlp.up_proj", "llava", "model.language_model")
    'model.layers.0.mlp.up_proj'
    >>> spelled("model.language_model.layers.0.mlp.up_proj", "hf-before-4.52", "model.language_model")
    'language_model.model.layers.0.mlp.up_proj'
    """
    if dialect == HF or not language_model:
        return name
    if name.startswith(f"{language_model}."):
        trunk = "model" if dialect == LLAVA else "language_model.model"
        return trunk + name.removeprefix(language_model)
    if dialect == LLAVA:
        return name
    if name == "lm_head":
        return "language_model.lm_head"
    parent = language_model.rpartition(".")[0]
    shorter = name.removeprefix(f"{parent}.") if parent else name
    return re.sub(r"^vision_tower\.(?!vision_model\.)", "vision_tower.vision_model.", shorter)
