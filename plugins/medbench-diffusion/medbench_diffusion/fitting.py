"""`medbench fit`: from options and examples to stages, and the folders that the same model loads."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from medbench_torch.devices import Placement, place
from medbench_torch.fit import Schedule, Settings, Stage, plainly
from medbench_torch.fit import fit as run_stages
from medbench_torch.weights import digest

from medbench.errors import UsageError
from medbench.interfaces import Example, FitEvents
from medbench.types import Picture, Synthesize
from medbench_diffusion.base import Sources
from medbench_diffusion.learner import AUTOENCODER, BASE, LORA

if TYPE_CHECKING:
    from medbench_diffusion.learner import Learner
    from medbench_diffusion.tunable import Tunable

BETAS = (0.9, 0.999)
AUTOENCODER_LR = 1.5e-3
WORDS = 400
"""Words that the tokenizer of a preset knows, the most frequent ones of the prompts."""


def fit(
    model: Tunable, examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int, events: FitEvents | None
) -> dict[str, Any]:
    """Fine-tune and leave `adapter/` (and `base/`, where one was made) in `out`; goes on where an interrupted fit was.

    Args:
        model: With its options; nothing is loaded yet.
        examples: Prompts and the pictures that they describe.
        validation: Likewise, held out.
        out: Folder of the result.
        seed: Of everything random.
        events: Called with what happens.

    Raises:
        UsageError: an option contradicts another, or an example is none that can be learnt.
        WeightsError: the base is not there, or not whole.
    """
    _refuse(model)
    with tempfile.TemporaryDirectory(prefix="medbench-tiny-") as scratch:
        learner = learner_of(model, examples, Path(scratch), seed)
        made = run_stages(learner, stages_of(model), examples, validation, out, seed, plainly(events), settings=_settings(model))
    return {**made, "option": "weights" if model.preset else "adapter"}


def _refuse(model: Tunable) -> None:
    model.recipe.check()
    if model.adapter:
        raise UsageError("fit begins from a base, not from an adapter", hint="leave adapter out")
    if model.preset and model.weights:
        raise UsageError("preset and weights are both given", hint="preset=tiny makes its base; weights=FOLDER brings one")
    if model.recipe.text_encoder_lora and model.NAME != "sd-colonoscopy":
        raise UsageError(f"text_encoder_lora=true: {model.NAME} has none", hint="its prior stands where another model's text encoder does")


def stages_of(model: Tunable) -> list[Stage]:
    """Return what is trained, in order: a preset's autoencoder and base first, then LoRA."""
    recipe, published, tiny = model.recipe, model.PUBLISHED, bool(model.preset)
    batch = model.batch or recipe.setting("batch", published, tiny=tiny)
    shared: dict[str, Any] = {"batch": batch, "accumulate": recipe.accumulate, "betas": BETAS}
    stages = []
    if tiny:
        learner = learner_class(model)
        steps, lr = recipe.autoencoder_steps, recipe.base_lr
        schedule = Schedule(lr=AUTOENCODER_LR, steps=steps, warmup=min(20, steps), min_lr=AUTOENCODER_LR / 20)
        few = {**shared, "batch": min(batch, learner.AUTOENCODER_BATCH)}
        stages.append(Stage(name=AUTOENCODER, trains=(f"{learner.AUTOENCODER_OF}.",), schedule=schedule, **few))
        schedule = Schedule(lr=lr, steps=recipe.base_steps, warmup=min(20, recipe.base_steps), min_lr=lr / 10)
        stages.append(Stage(name=BASE, trains=learner.TRAINED_IN_BASE, schedule=schedule, **shared))
    length = recipe.length(published, tiny=tiny)
    warm = min(10, length.get("steps", 10)) if tiny else 0
    stages.append(
        Stage(
            name=LORA,
            trains="lora",
            schedule=Schedule(lr=recipe.setting("lr", published, tiny=tiny), warmup=warm, shape="cosine" if tiny else "constant", **length),
            weight_decay=recipe.setting("weight_decay", published, tiny=tiny),
            checkpointing=recipe.checkpointing,
            evaluate_every=recipe.evaluate_every,
            patience=recipe.patience,
            **shared,
        )
    )
    return stages


def learner_class(model: Tunable) -> type[Learner]:
    """Return the class of a model's learner."""
    if model.NAME == "sd-colonoscopy":
        from medbench_diffusion.sd_learner import SdLearner

        return SdLearner
    from medbench_diffusion.kandinsky_learner import KandinskyLearner

    return KandinskyLearner


def learner_of(model: Tunable, examples: Sequence[Example], scratch: Path, seed: int) -> Learner:
    """Return the model as the loop sees it, its base loaded; a preset's base is written below `scratch` first."""
    recipe, published, tiny = model.recipe, model.PUBLISHED, bool(model.preset)
    sources = Sources(weights=model.write_base(scratch / "base", words_of(examples), seed)) if tiny else _given_base(model)
    wanted = place(model.device, model.dtype)
    # to the processor first: the loop knows which device is whose
    placement = Placement(device=torch.device("cpu"), dtype=torch.float32 if tiny else wanted.dtype, attn="sdpa")
    pipe = model.load_pipe(sources, placement)
    size = model.size or recipe.setting("size", published, tiny=tiny)
    learner = learner_class(model)(
        pipe,
        base={
            "name": _name_of_base(model),
            "digest": digest(sources.weights),
            **({"drawing": msgspec.to_builtins(model.TINY)} if tiny else {}),
        },
        pictures=pictures_of(examples),
        size=size,
        r=recipe.setting("r", published, tiny=tiny),
        alpha=recipe.setting("alpha", published, tiny=tiny),
        dropout=recipe.dropout,
        gamma=recipe.setting("snr_gamma", published, tiny=tiny),
        text_encoder=recipe.text_encoder_lora,
        caption_dropout=recipe.caption_dropout,
        flip=recipe.flip,
        tiny=tiny,
        seed=seed,
    )
    if size % learner.grain:
        raise UsageError(f"size={size}: not a multiple of {learner.grain}", hint=f"size={size // learner.grain * learner.grain}")
    return learner


def words_of(examples: Sequence[Example]) -> list[str]:
    """Return the words of the prompts, the most frequent ones first.

    >>> words_of([(Synthesize(prompt="A polyp, a pink polyp"), Picture(path="a.png"))])
    ['a', 'polyp', 'pink']
    """
    counts: dict[str, int] = {}
    for request, _ in examples:
        if isinstance(request, Synthesize):
            for word in re.findall(r"[a-z]+|\d", request.prompt.lower()):
                counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: (-counts[word], word))[:WORDS]


def pictures_of(examples: Sequence[Example]) -> list[Picture]:
    """Return the pictures, each once."""
    found = {target.digest or target.path: target for _, target in examples if isinstance(target, Picture)}
    return [found[key] for key in sorted(found)]


def _given_base(model: Tunable) -> Sources:
    from medbench_diffusion.pipelines import fetch

    folder = fetch(model.weights or model.WEIGHTS, model.revision, trust_pickle=model.trust_pickle)
    return Sources(weights=folder, prior=model.prior_of(folder))


def _name_of_base(model: Tunable) -> str:
    """Return what may be written of the base: a hub id or a preset; a folder says nothing to others, and may name a person."""
    if model.preset:
        return f"preset {model.preset}"
    return "" if model.weights and Path(model.weights).expanduser().exists() else model.weights or model.WEIGHTS


def _settings(model: Tunable) -> Settings:
    placement = place(model.device, model.dtype)
    half: Mapping[torch.dtype, str] = {torch.bfloat16: "bf16", torch.float16: "fp16"}
    return Settings(
        device="cpu" if placement.device.type == "cpu" else "auto",
        precision=half.get(placement.dtype, ""),
        workers=2,
        save_every=model.recipe.save_every,
    )
