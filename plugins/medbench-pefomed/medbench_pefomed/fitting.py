"""`medbench fit pefomed`: from options and tasks to the published stages, and the folders that the same model loads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from medbench_torch.devices import Placement, place
from medbench_torch.fit import Schedule, Settings, Stage, plainly
from medbench_torch.fit import fit as run_stages
from medbench_torch.fit.batches import by_task
from medbench_torch.tiny.tokenizers import train_bpe
from medbench_torch.weights import digest

from medbench.errors import UsageError
from medbench.interfaces import Example, FitEvents
from medbench.types import Generate, Text
from medbench_pefomed import base
from medbench_pefomed.checkpoint import PUBLISHED_ALPHA, PUBLISHED_DROPOUT, PUBLISHED_R, read_tuned
from medbench_pefomed.learner import Learner
from medbench_pefomed.loading import LLAMA, Sources, assemble, found_parts
from medbench_pefomed.presets import build_base
from medbench_pefomed.recipe import CAPTIONS, STAGES, TINY, TINY_ALPHA, TINY_R, Published, divided, left_out
from medbench_pefomed.wording import ASKED, is_question

if TYPE_CHECKING:
    from medbench_pefomed.model import MiniGptV2

TINY_TOWER = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 112}
TINY_TEXT = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 192}
TINY_TOKENS = 600
BETAS = (0.9, 0.999)
DECAY = 0.05


def fit(
    model: MiniGptV2, examples: Iterable[Example], validation: Iterable[Example], out: Path, seed: int, events: FitEvents | None
) -> dict[str, Any]:
    """Fine-tune and leave `adapter/` (and `base/`, where one was made) in `out`; goes on where an interrupted fit was.

    Args:
        model: With its options; nothing is loaded yet.
        examples: Requests and the texts that answer them, `by_task` where there are several tasks.
        validation: Likewise, held out.
        out: Folder of the result.
        seed: Of everything random.
        events: Called with what happens, and with what of the published recipe is left out.

    Raises:
        UsageError: an option contradicts another, or an example is none that can be learnt.
        WeightsError: a part that it begins from is not there, or not whole.
    """
    model.recipe.check()
    if model.preset and (model.weights or model.adapter):
        raise UsageError("preset and weights are both given", hint="preset=tiny makes its base; weights=FOLDER brings one")
    tasks = by_task(examples)
    said = left_out(list(tasks))
    if events is not None:
        for line in said:
            events({"left out": line})
    with tempfile.TemporaryDirectory(prefix="medbench-tiny-") as scratch:
        learner = learner_of(model, tasks, Path(scratch), seed)
        settings = Settings.on(place(model.device, model.dtype, model.attn), workers=model.workers, save_every=model.recipe.save_every)
        facts = run_stages(learner, stages_of(model, tasks), tasks, by_task(validation), out, seed, plainly(events), settings=settings)
    return {**facts, "left_out": said, "option": "weights" if model.preset else "adapter"}


def stages_of(model: MiniGptV2, tasks: Mapping[str, Sequence[Example]]) -> list[Stage]:
    """Return what is trained, in order: a preset's base, captions, then questions or reports, as far as their tasks are there."""
    first, second = divided(list(tasks))
    stages = []
    if model.preset:
        warm = min(50, max(1, model.recipe.base_steps // 8))
        # as a base is: able, and not yet settled on this data
        schedule = Schedule(lr=model.recipe.base_lr, steps=model.recipe.base_steps, warmup=warm, shape="constant")
        stages.append(Stage(name="base", schedule=schedule, batch=model.batch_size or TINY.batch))
    if first:
        shares = {task: CAPTIONS[task] for task in first}
        stages.append(_stage(model, "captions", shares, STAGES["captions"], steps=model.recipe.caption_steps))
    if second:
        asked = any(isinstance(request, Generate) and is_question(request) for task in second for request, _ in tasks[task])
        # several tasks are one pool
        shares = {task: float(len(tasks[task])) for task in second}
        kind = "questions" if asked else "reports"
        stages.append(_stage(model, kind, shares, STAGES[kind], steps=model.recipe.steps))
    return stages


def _stage(model: MiniGptV2, name: str, shares: dict[str, float], published: Published, *, steps: int | None) -> Stage:
    recipe, chosen = model.recipe, TINY if model.preset else published
    lr = recipe.lr or chosen.lr
    length = steps or chosen.steps
    schedule = Schedule(
        lr=lr,
        min_lr=min(lr, chosen.min_lr if recipe.min_lr is None else recipe.min_lr),
        steps=length,
        warmup=min(chosen.warmup if recipe.warmup is None else recipe.warmup, length),
    )
    return Stage(
        name=name,
        trains="lora",
        schedule=schedule,
        tasks=shares,
        batch=model.batch_size or chosen.batch,
        accumulate=recipe.accumulate or chosen.accumulate,
        weight_decay=DECAY if recipe.weight_decay is None else recipe.weight_decay,
        # the released code clips nothing
        clip=1.0 if model.preset else 0.0,
        betas=BETAS,
        checkpointing=not model.preset if recipe.checkpointing is None else recipe.checkpointing,
    )


def learner_of(model: MiniGptV2, tasks: Mapping[str, Sequence[Example]], scratch: Path, seed: int) -> Learner:
    """Return the model as the loop sees it, its base loaded; a preset's base is written below `scratch` first."""
    recipe, tiny = model.recipe, bool(model.preset)
    sources = tiny_base(tasks, scratch, seed) if tiny else found_parts(model)
    wanted = place(model.device, model.dtype, model.attn)
    # to the processor first: the loop knows which device is whose
    here = Placement(device=torch.device("cpu"), dtype=wanted.dtype, attn=wanted.attn, attn_asked=wanted.attn_asked)
    speaker, _ = assemble(model, sources, here, merge=False)
    lora = {"r": recipe.r or (TINY_R if tiny else PUBLISHED_R), "alpha": recipe.alpha or (TINY_ALPHA if tiny else PUBLISHED_ALPHA)}
    if sources.tuned is not None:
        begun = read_tuned(sources.tuned, r=int(lora["r"]), alpha=lora["alpha"], trust_pickle=model.trust_pickle)
        if recipe.r not in {None, begun.r}:
            raise UsageError(f"r={recipe.r}: the fit begins from LoRA of rank {begun.r}", hint="leave r out, or begin from another adapter")
        lora = {"r": begun.r, "alpha": begun.alpha}
    dropout = (0.0 if tiny else PUBLISHED_DROPOUT) if recipe.dropout is None else recipe.dropout
    named = "" if tiny else model.language_model or ("" if model.weights else LLAMA)
    begins = {
        "preset": model.preset,
        "language_model": "" if Path(named).expanduser().exists() else named,
        "digests": {name: digest(path) for name, path in msgspec.structs.asdict(sources).items() if path is not None},
        "tuned": sources.tuned is not None,
    }
    augment = recipe.augment or ("mild" if tiny else "published")
    return Learner(speaker, base=begins, lora={**lora, "dropout": dropout}, augment=augment, seed=seed)


def tiny_base(tasks: Mapping[str, Sequence[Example]], folder: Path, seed: int) -> Sources:
    """Write a MiniGPT-v2 of the true classes with random weights, whose tokenizer is trained on the text of the examples."""
    texts = [ASKED, ASKED.lower()]
    for examples in tasks.values():
        for request, target in examples:
            if isinstance(request, Generate) and isinstance(target, Text):
                texts += [request.prompt.lower(), target.text.lower()]
    made = build_base(folder / "base", seed=seed, tokenizer=train_bpe(texts, TINY_TOKENS), tower=TINY_TOWER, text=TINY_TEXT)
    return Sources(vision=made, language_model=made / base.LANGUAGE_MODEL)
