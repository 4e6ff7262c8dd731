"""Folders of transformers made of checkpoints in other layouts: original LLaVA and LLaVA-Med, LLaVA-Rad, pickled adapters."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file
from transformers import (
    AutoConfig,
    AutoTokenizer,
    GenerationConfig,
    LlamaTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from medbench.converting import flagged
from medbench.errors import MedbenchError, UsageError
from medbench.types import Struct
from medbench_torch.adapter_files import read_adapter
from medbench_torch.folders import new_folder
from medbench_torch.foreign import (
    Tensors,
    clip_tower,
    dinov2_tower,
    is_whole_projector,
    padded_vocabulary,
    split_llava,
    text_config_of,
)
from medbench_torch.loading import check_weights, quiet
from medbench_torch.processing import llava_processor
from medbench_torch.weights import WeightsError, digest, find_weights, read_json, read_tensors

NOTES = "medbench_conversion.json"
"""Beside the converted weights: what they were made of."""


class Parts(Struct):
    """What a LLaVA is made of."""

    text: Tensors
    text_config: PreTrainedConfig
    projector: Tensors
    tower: Tensors
    tower_config: PreTrainedConfig
    feature_layer: int = -2
    strategy: str = "default"
    """`default`: without the class token; `full`: with it."""


def convert_llava(source: str | Path, out: str | Path, *, vision: str | Path = "", heads: int = 0, trust_pickle: bool = False) -> Path:
    """Convert an original LLaVA checkpoint (1.5, or LLaVA-Med 1.5 on Mistral) into a folder that transformers loads.

    Args:
        source: Folder of the original checkpoint, tokenizer included.
        out: Where to; must not exist.
        vision: `own`: the tower inside the checkpoint; else a folder (or hub id) of the CLIP that its config names, which
            is what the original loader takes. Releases hold one, the other, or both, and they need not be equal.
        heads: Attention heads of the tower; 0: one for each 64 of its width.
        trust_pickle: Read pickled weights.

    Returns:
        The folder, whose tensors were compared with those of the model by name and shape.

    Raises:
        UsageError: the choice of the tower is left open, or `out` exists.
        WeightsError: the checkpoint is not what it should be.
    """
    folder = find_weights(source, trust_pickle=trust_pickle)
    config = read_json(folder / "config.json")
    text_config = text_config_of(config, str(folder / "config.json"))
    text, projector, own = split_llava(read_tensors(folder, trust_pickle=trust_pickle), str(folder))
    tower_folder = _chosen_tower(vision, own, config["mm_vision_tower"], trust_pickle=trust_pickle)
    tower = read_tensors(tower_folder, trust_pickle=trust_pickle) if tower_folder else own
    tower_config, tower = clip_tower(tower, str(tower_folder or folder), heads)
    parts = Parts(
        text=text,
        text_config=text_config,
        projector=projector,
        tower=tower,
        tower_config=tower_config,
        feature_layer=int(config.get("mm_vision_select_layer", -2)),
        strategy="full" if config.get("mm_vision_select_feature", "patch") == "cls_patch" else "default",
    )
    notes = {
        "made_from": {"kind": config["model_type"], "digest": digest(folder)},
        "vision_tower_source": "checkpoint" if tower_folder is None else str(config["mm_vision_tower"]),
        "vision_tower_digest": digest(tower_folder) if tower_folder else "",
        "image_aspect_ratio": config.get("image_aspect_ratio", ""),
    }
    return _write(parts, _tokenizer(folder), Path(out), notes, pad_images=config.get("image_aspect_ratio") == "pad")


def convert_rad(
    language_model: str | Path, tower: str | Path, adapter: str | Path, out: str | Path, *, heads: int = 0, trust_pickle: bool = False
) -> Path:
    """Assemble LLaVA-Rad's base: a language model, a DINOv2 tower that open_clip saved, the projector from the adapter's folder.

    The LoRA tensors stay in the adapter's folder and are applied on loading: `weights=OUT adapter=ADAPTER`.

    Args:
        language_model: Folder or hub id of the language model (Vicuna).
        tower: File with `visual.trunk.*` tensors of timm's DINOv2.
        adapter: Folder with the LoRA and `non_lora_trainables`.
        out: Where to; must not exist.
        heads: Attention heads of the tower; 0: one for each 64 of its width.
        trust_pickle: Read pickled weights; the published tower is one.

    Raises:
        UsageError: `out` exists.
        WeightsError: a part is not what it should be.
    """
    folder = find_weights(language_model, trust_pickle=trust_pickle)
    lora = read_adapter(adapter, trust_pickle=trust_pickle)
    if lora.projector is None:
        raise WeightsError(f"{lora.folder}: no projector in it", hint="non_lora_trainables.bin belongs beside the adapter")
    is_whole_projector(lora.projector, str(lora.folder))
    file = find_weights(tower, trust_pickle=trust_pickle)
    tower_config, tower_tensors = dinov2_tower(read_tensors(file, trust_pickle=trust_pickle), str(file), heads)
    text = {name: tensor for name, tensor in read_tensors(folder, trust_pickle=trust_pickle).items() if "rotary_emb" not in name}
    parts = Parts(
        text=text,
        text_config=AutoConfig.from_pretrained(folder, local_files_only=True),
        projector=lora.projector,
        tower=tower_tensors,
        tower_config=tower_config,
    )
    notes = {
        "made_from": {"kind": "llava-rad", "digest": digest(folder)},
        "vision_tower_source": "checkpoint",
        "vision_tower_digest": digest(file),
        "projector_from_adapter": lora.digest,
    }
    return _write(parts, _tokenizer(folder), Path(out), notes, pad_images=False)


def convert_adapter(source: str | Path, out: str | Path, *, trust_pickle: bool = False) -> Path:
    """Copy a pickled adapter as safetensors, in the dialect that it has, with the projector beside it.

    Raises:
        UsageError: `out` exists.
        WeightsError: the adapter is not whole, or a pickle that is not trusted.
    """
    adapter = read_adapter(source, trust_pickle=trust_pickle)
    tensors = {f"base_model.model.{path}.{kind}.weight": tensor for path, kinds in adapter.lora.items() for kind, tensor in kinds.items()}
    tensors |= {f"base_model.model.{name}": tensor for name, tensor in adapter.saved.items()}
    with new_folder(out) as partial:
        save_file(_contiguous(tensors), partial / "adapter_model.safetensors", metadata={"format": "pt"})
        if adapter.projector is not None:
            named = {f"base_model.model.model.multi_modal_projector.{name}": tensor for name, tensor in adapter.projector.items()}
            save_file(_contiguous(named), partial / "non_lora_trainables.safetensors", metadata={"format": "pt"})
        for name in ("adapter_config.json", "config.json"):
            if (adapter.folder / name).is_file():
                shutil.copy(adapter.folder / name, partial / name)
    return Path(out).expanduser()


def _chosen_tower(vision: str | Path, own: Tensors, named: str, *, trust_pickle: bool) -> Path | None:
    """Return the folder of the tower; None: the checkpoint's own."""
    if str(vision) == "own":
        if not own:
            raise UsageError("vision=own: the checkpoint has no tower of its own", hint=f"vision={named}, or a folder of it")
        return None
    if not vision:
        hint = f"vision={named} (as the original loader does), or a folder of it" + (", or vision=own" if own else "")
        raise UsageError(f"which vision tower? the checkpoint has {'one of its own' if own else 'none'}", hint=hint)
    return find_weights(vision, trust_pickle=trust_pickle)


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Return the folder's tokenizer with `<image>` and `<pad>`, padding on the left."""
    try:
        bare = (folder / "tokenizer.model").is_file() and not (folder / "tokenizer.json").is_file()
        kind = LlamaTokenizer if bare else AutoTokenizer
        tokenizer = kind.from_pretrained(folder, local_files_only=True, padding_side="left")
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"{folder}: its tokenizer cannot be read ({reason})", hint="tokenizer.model needs: pip install sentencepiece"
        ) from error
    tokenizer.add_special_tokens({"pad_token": tokenizer.pad_token or "<pad>", "extra_special_tokens": ["<image>"]})
    return tokenizer


def _write(parts: Parts, tokenizer: PreTrainedTokenizerBase, out: Path, notes: Mapping[str, Any], *, pad_images: bool) -> Path:
    text, size = padded_vocabulary(parts.text, len(tokenizer))
    ids = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "pad")}
    parts.text_config.update({"vocab_size": size, **ids})
    tokens = (parts.tower_config.image_size // parts.tower_config.patch_size) ** 2 + (parts.strategy == "full")
    config = LlavaConfig(
        vision_config=parts.tower_config,
        text_config=parts.text_config,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=tokens,
        vision_feature_layer=parts.feature_layer,
        vision_feature_select_strategy=parts.strategy,
        tie_word_embeddings="lm_head.weight" not in text,
        architectures=["LlavaForConditionalGeneration"],
        dtype=str(text["model.embed_tokens.weight"].dtype).removeprefix("torch."),
        **ids,
    )
    named = {f"language_model.{name}": tensor for name, tensor in text.items()}
    named |= {f"multi_modal_projector.{name}": tensor for name, tensor in parts.projector.items()}
    named |= {f"vision_tower.{name}": tensor for name, tensor in parts.tower.items()}
    with new_folder(out) as partial:
        with quiet():
            save_torch_state_dict(_contiguous(named), partial)
            config.save_pretrained(partial)
            GenerationConfig(**ids).save_pretrained(partial)
            llava_processor(tokenizer, parts.tower_config, parts.strategy, pad=pad_images).save_pretrained(partial)
        (partial / NOTES).write_text(json.dumps(notes, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        check_weights(LlavaForConditionalGeneration, partial)
    return out.expanduser()


def _contiguous(tensors: Tensors) -> Tensors:
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def main(arguments: list[str] | None = None) -> int:
    """Convert what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m medbench_torch.convert", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, said, names in (
        ("llava", "an original LLaVA or LLaVA-Med checkpoint", ("source",)),
        ("rad", "LLaVA-Rad: language model, tower and adapter", ("language_model", "tower", "adapter")),
        ("adapter", "a pickled adapter, to safetensors", ("source",)),
    ):
        sub = kinds.add_parser(kind, help=said)
        for name in (*names, "out"):
            sub.add_argument(name)
        if kind == "llava":
            sub.add_argument("--vision", default="", help="own, or a folder or hub id of the CLIP that the config names")
        sub.add_argument("--trust-pickle", action="store_true", help="read pickles, which can run any code of their maker")
    given = vars(parser.parse_args(arguments))
    convert = {"llava": convert_llava, "rad": convert_rad, "adapter": convert_adapter}[given.pop("kind")]
    try:
        made = convert(**given)
    except MedbenchError as error:
        sys.stderr.write(f"error: {error.message}\n" + (f"hint: {flagged(error.hint)}\n" if error.hint else ""))
        return error.exit_code
    sys.stdout.write(f"{made}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
