"""`medbench fit llava-lora`: from options and examples to stages, and the folders that the same model loads."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from medbench_torch.devices import Placement, place
from medbench_torch.fit import Schedule, Settings, Stage, Trains, plainly
from medbench_torch.fit import fit as run_stages
from medbench_torch.tiny.llava import build_llava
from medbench_torch.tiny.tokenizers import train_bpe
from medbench_torch.weights import digest

from medbench.errors import UsageError
from medbench.interfaces import Example, FitEvents
from medbench.types import Generate, Text
from medbench_llava.base import Sources, VisionLanguageModel
from medbench_llava.learner import BASE, PROJECTOR, Learner
from medbench_llava.templates import rendered

if TYPE_CHECKING:
    from medbench_llava.llava import LlavaLora

TINY_SIDE = 112
"""Pixels along a side of the tiny model's pictures: 64 image tokens."""
TINY_TOWER = {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 192, "initializer_factor": 4.0}
TINY_TEXT = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 192}
TINY_TEXT |= {"initializer_range": 0.06}
"""Weights of a width of 96 begin larger than those of a wide model: at the usual 0.02 nothing of a picture comes through."""
TINY_TOKENS = 600


def fit(
    model: LlavaLora, examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int, events: FitEvents | None
) -> dict[str, Any]:
    """Fine-tune and leave `adapter/` (and `base/`, where one was made) in `out`; goes on where an interrupted fit was.

    Args:
        model: With its options; nothing is loaded yet.
        examples: Requests and the texts that answer them.
        validation: Likewise, held out.
        out: Folder of the result.
        seed: Of everything random.
        events: Called with what happens.

    Raises:
        UsageError: an option contradicts another, or an example is none that LLaVA can learn.
        WeightsError: the base is not there, or not whole.
    """
    _refuse(model)
    with tempfile.TemporaryDirectory(prefix="medbench-tiny-") as scratch:
        learner = learner_of(model, examples, Path(scratch), seed)
        settings = Settings.on(place(model.device, model.dtype, model.attn), workers=model.workers, save_every=model.recipe.save_every)
        return run_stages(learner, stages_of(model), examples, validation, out, seed, plainly(events), settings=settings)


def _refuse(model: LlavaLora) -> None:
    model.recipe.check()
    if model.adapter:
        raise UsageError("fit begins from a base, not from an adapter", hint="leave adapter out; to train on, merge it into weights first")
    if model.quantize:
        raise UsageError(
            f"quantize={model.quantize}: a quantised base is not trained here", hint="leave quantize out; dtype=bfloat16 halves it"
        )
    if model.preset and model.weights:
        raise UsageError("preset and weights are both given", hint="preset=tiny makes its base; weights=FOLDER brings one")
    if model.preset and model.recipe.train != "lora":
        raise UsageError(f"train={model.recipe.train}: the preset has a base stage and a LoRA stage", hint="leave train out")


def stages_of(model: LlavaLora) -> list[Stage]:
    """Return what is trained, in order: a preset's base first, then LoRA; else the one stage that `train` names."""
    recipe, tiny = model.recipe, bool(model.preset)
    batch = model.batch_size or recipe.setting("batch", tiny=tiny)
    shared = {"batch": batch, "accumulate": recipe.accumulate or 1, "evaluate_every": recipe.evaluate_every, "patience": recipe.patience}
    shared |= {"tasks": recipe.weights_of_tasks(), "weight_decay": recipe.weight_decay}
    lr = recipe.setting("lr", tiny=tiny)
    length = _length(model)
    stages = []
    if tiny:
        warm = min(50, max(1, recipe.base_steps // 8))
        # as a base is: able, and not yet settled on this data
        schedule = Schedule(lr=recipe.base_lr, steps=recipe.base_steps, warmup=warm, shape="constant")
        stages.append(Stage(name=BASE, schedule=schedule, **shared))
    trains: Trains = "lora" if recipe.train == "lora" else trained_parts(recipe.train)
    stages.append(
        Stage(
            name="lora" if trains == "lora" else "whole",
            trains=trains,
            schedule=Schedule(lr=lr, warmup=min(recipe.setting("warmup", tiny=tiny), length.get("steps", 1e9)), **length),
            rates={PROJECTOR: recipe.setting("projector_lr", tiny=tiny) / lr},
            checkpointing=not tiny if recipe.checkpointing is None else recipe.checkpointing,
            **shared,
        )
    )
    return stages


def trained_parts(train: str) -> tuple[str, ...]:
    """Return the parts of parameter names that `train` stands for; `full` is what LLaVA's own fine-tuning trains.

    >>> trained_parts("full")
    ('language_model', 'lm_head', 'multi_modal_projector')
    """
    if train == "full":
        return ("language_model", "lm_head", PROJECTOR)
    return tuple(part.strip() for part in train.split(",") if part.strip())


def _length(model: LlavaLora) -> dict[str, Any]:
    recipe, tiny = model.recipe, bool(model.preset)
    if recipe.minutes is not None:
        return {"seconds": recipe.minutes * 60}
    if recipe.epochs is not None:
        return {"epochs": recipe.epochs}
    steps = recipe.setting("steps", tiny=tiny)
    return {"steps": steps} if steps else {"epochs": recipe.setting("epochs", tiny=tiny)}


def learner_of(model: LlavaLora, examples: Sequence[Example], scratch: Path, seed: int) -> Learner:
    """Return the model as the loop sees it, its base loaded; a preset's base is written below `scratch` first."""
    recipe, tiny = model.recipe, bool(model.preset)
    sources = tiny_base(model, examples, scratch, seed) if tiny else _given_base(model)
    wanted = place(model.device, model.dtype, model.attn)
    # to the processor first: the loop knows which device is whose; all weights in training are float32
    dtype = wanted.dtype if recipe.train == "lora" else torch.float32
    speaker, _ = model.assemble(sources, Placement(device=torch.device("cpu"), dtype=dtype, attn=wanted.attn, attn_asked=wanted.attn_asked))
    base = {"name": _name_of_base(model), "digest": digest(sources.weights)}
    return Learner(
        speaker,
        base=base,
        r=recipe.setting("r", tiny=tiny) or 128,
        alpha=recipe.setting("alpha", tiny=tiny) or 256.0,
        dropout=0.0 if tiny and "dropout" not in recipe.given else recipe.dropout,
        projector=recipe.projector,
        max_length=recipe.max_length,
        augment=bool(recipe.setting("augment", tiny=tiny)),
        seed=seed,
    )


def _given_base(model: LlavaLora) -> Sources:
    sources = VisionLanguageModel.sources(model)
    if sources.adapter is not None:
        raise UsageError(f"weights={model.weights}: has an adapter, and fit begins from a base", hint=f"weights={model.weights}/base")
    return sources


def _name_of_base(model: LlavaLora) -> str:
    """Return what may be written of the base: a hub id or a preset; a folder says nothing to others, and may name a person."""
    if model.preset:
        return f"preset {model.preset}"
    return "" if model.weights and Path(model.weights).expanduser().exists() else model.weights or model.WEIGHTS


def tiny_base(model: LlavaLora, examples: Sequence[Example], folder: Path, seed: int) -> Sources:
    """Write a LLaVA of the true class with random weights, whose tokenizer is trained on the text of the examples."""
    texts = []
    for request, target in examples:
        if isinstance(request, Generate) and isinstance(target, Text):
            texts += [rendered(model.prompt, request), target.text]
    weights = build_llava(
        folder / "base",
        seed=seed,
        image_size=TINY_SIDE,
        tokenizer=train_bpe(texts, TINY_TOKENS),
        vision_sizes=TINY_TOWER,
        **TINY_TEXT,
    )
    return Sources(weights=weights)
