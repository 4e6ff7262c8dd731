"""`medbench fit mae-cls` and `mae-llm`: from options and examples to stages, and the folder that the same model loads."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from medbench_torch.devices import Placement, place
from medbench_torch.fit import Schedule, Settings, Stage, Trains, draw_losses, plainly
from medbench_torch.fit import fit as run_stages
from medbench_torch.images import Pixels, pil_processor
from medbench_torch.loading import load_model
from medbench_torch.weights import digest, find_weights

from medbench.errors import DataError
from medbench.interfaces import Example, FitEvents
from medbench.types import Classify, Embed, Picture, Probabilities, Text
from medbench_mae.encoder import About
from medbench_mae.learner import PRETRAINED, Learner
from medbench_mae.network import AttentionText, MaeNetwork, MeanText
from medbench_mae.presets import SIZES, processor_of, tiny_language_model, tiny_mae
from medbench_mae.recipe import ALIGN, LABEL, RECONSTRUCT
from medbench_mae.reports import Reports, kinds_of, pictured, said
from medbench_mae.texts import LanguageModel

if TYPE_CHECKING:
    from medbench_mae.model import MaeLlm, MaeModel

BASE = "facebook/vit-mae-base"
LANGUAGE_MODEL = "meta-llama/Llama-2-7b-hf"
BOTH = "--task mimic-cls14 --task mimic-mrg"

TITLES = {
    RECONSTRUCT: "Masked reconstruction: mean squared error",
    ALIGN: "Alignment of pictures and reports",
    LABEL: "Labels: binary cross-entropy",
}

Material = Mapping[str, list[Example]]
"""Stage -> what it is shown."""


def fit(
    model: MaeModel, examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int, events: FitEvents | None
) -> dict[str, Any]:
    """Fit and leave encoder, pooling and head in `out`; goes on where an interrupted fit was.

    Args:
        model: With its options; nothing is loaded yet.
        examples: Pictures with labels, pictures with reports: from one task each, or several.
        validation: Likewise, held out.
        out: Folder of the result.
        seed: Of everything random.
        events: Called with what happens.

    Raises:
        UsageError: a stage is named that the model does not have.
        DataError: a stage has nothing to learn from.
        WeightsError: what it begins from is not there, or not whole.
    """
    stages = model.recipe.chosen_stages(model.STAGES)
    train, held = material(examples, model.recipe.same), material(validation, model.recipe.same)
    _require(train, stages)
    beside = out.with_name(f"{out.name}.texts")
    with tempfile.TemporaryDirectory(prefix="medbench-tiny-") as scratch:
        learner = learner_of(model, train, held, beside, Path(scratch), seed)
        parts = [{stage: kept[stage] for stage in stages} for kept in (train, held)]
        facts = run_stages(learner, stages_of(model), *parts, out, seed, plainly(events), settings=_settings(model))
    shutil.rmtree(beside, ignore_errors=True)
    draw_losses(out, TITLES)
    return {**facts, "n": {stage: len(parts[0][stage]) for stage in stages}, "option": "weights"}


def material(examples: Sequence[Example], same: str) -> Material:
    """Return what each stage is shown: every picture once, pictures with reports, pictures with labels.

    Args:
        examples: Of all tasks.
        same: With `labels`, only reports of studies whose labels are known can be aligned: the two are joined by their pictures.
    """
    asked = [example for example in examples if getattr(example[0], "images", ())]
    labelled = [(request, target) for request, target in asked if isinstance(request, Classify) and isinstance(target, Probabilities)]
    reported = [(request, target) for request, target in asked if isinstance(target, Text) and said((request, target))]
    if same == "labels":
        kinds = kinds_of(labelled)
        reported = [example for example in reported if pictured(example) in kinds]
    pictures = {image.digest or image.path: image for request, _ in asked for image in request.images}
    shown: list[Example] = [(Embed(images=(image,)), Picture()) for image in pictures.values()]
    return {RECONSTRUCT: shown, ALIGN: list(reported), LABEL: list(labelled)}


def _require(train: Material, stages: Sequence[str]) -> None:
    if LABEL in stages and not train[LABEL]:
        raise DataError("there are no pictures with labels to learn from", hint=f"a task of the protocol multilabel: {BOTH}")
    if ALIGN in stages and len(train[ALIGN]) < 2:
        raise DataError("there are no reports to align the pictures to", hint=f"a second task, with reports: {BOTH}")
    if RECONSTRUCT in stages and not train[RECONSTRUCT]:
        raise DataError("there are no pictures to learn from", hint=f"for example {BOTH}")


def stages_of(model: MaeModel) -> list[Stage]:
    """Return what is trained, in order."""
    recipe, tiny = model.recipe, bool(model.preset)
    trains: dict[str, Trains] = {
        RECONSTRUCT: ("mae.",),
        ALIGN: ("mae.vit.", "readout.pool.", "projection", "text.", *(("log_scale",) if recipe.loss == "infonce" else ())),
        LABEL: {"head": ("readout.head.",), "pool": ("readout.",), "full": ("mae.vit.", "readout.")}[recipe.train],
    }
    return [
        Stage(
            name=name,
            schedule=Schedule(lr=recipe.setting(name, "lr", tiny=tiny), warmup=0.1, **recipe.length(name, tiny=tiny)),
            trains=trains[name],
            tasks={name: 1.0},
            batch=model.batch_size or int(recipe.setting(name, "batch", tiny=tiny)),
            accumulate=recipe.accumulate,
            weight_decay=recipe.setting(name, "weight_decay", tiny=tiny),
            evaluate_every=recipe.evaluate_every,
            patience=recipe.patience,
            checkpointing=recipe.checkpointing,
        )
        for name in recipe.chosen_stages(model.STAGES)
    ]


def learner_of(model: MaeModel, train: Material, held: Material, beside: Path, scratch: Path, seed: int) -> Learner:
    """Return the network as the loop sees it.

    Args:
        model: With its options.
        train: What each stage is shown.
        held: Likewise, held out.
        beside: Where reports' vectors are kept unless `text_cache` says otherwise.
        scratch: Where a preset's language model is made.
        seed: Of the first weights.
    """
    recipe = model.recipe
    stages = recipe.chosen_stages(model.STAGES)
    mae, processor, base = _base(model, seed)
    reports = _reports(model, train, held, beside, scratch) if ALIGN in stages else None
    labels = tuple(sorted({label for _, target in train[LABEL] for label in target.labels})) if LABEL in stages else ()
    heads = int(mae.config.num_attention_heads)
    aspect = model.aspect or "pad"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        side: MeanText | AttentionText | None = None
        if reports is not None:
            width = reports.model.width
            attentive = recipe.text_pool == "attention"
            side = AttentionText(width, mae.config.hidden_size, heads, recipe.joint) if attentive else MeanText(width, recipe.joint)
        network = MaeNetwork(mae, heads=heads, n_labels=len(labels), text=side, joint=recipe.joint)
    augment = bool(model.preset) if recipe.augment is None else recipe.augment
    return Learner(
        network,
        recipe,
        Pixels(processor, aspect),
        About(kind=model.NAME, heads=heads, aspect=aspect, labels=labels),
        {
            "base": base,
            "aspect": aspect,
            "augment": augment,
            "mask_ratio": recipe.mask_ratio,
            **(_alignment(model, reports) if reports is not None else {}),
        },
        reports=reports,
        augment=augment,
    )


def _alignment(model: MaeModel, reports: Reports) -> dict[str, Any]:
    """Return, for the record, what the pictures are aligned to, and how."""
    recipe = model.recipe
    kept = {name: getattr(recipe, name) for name in ("loss", "same", "text_pool", "joint", "max_tokens")}
    if recipe.loss == "margin":
        kept["margin"] = recipe.margin
    return {"alignment": {"language_model": {"name": _public(_language_model(model)), "digest": reports.model.digest}, **kept}}


def _base(model: MaeModel, seed: int) -> tuple[Any, Any, dict[str, Any]]:
    """Return the autoencoder that a fit begins from, its processor, and what may be said of it."""
    from transformers import ViTMAEForPreTraining

    if model.preset and not model.weights:
        sizes = {"layer_norm_eps": model.norm_eps} if model.norm_eps else {}
        mae = tiny_mae(seed, **sizes)
        return mae, processor_of(SIZES["image_size"]), {"name": f"preset {model.preset}", "sizes": SIZES | sizes}
    name = model.weights or BASE
    folder = find_weights(name, revision=model.revision, trust_pickle=model.trust_pickle)
    if (folder / PRETRAINED / "config.json").is_file():
        folder /= PRETRAINED
    more = {"layer_norm_eps": model.norm_eps} if model.norm_eps else {}
    placement = Placement(device=torch.device("cpu"), dtype=torch.float32, attn="sdpa" if model.attn == "auto" else model.attn)
    loaded = load_model(ViTMAEForPreTraining, folder, placement, trust_pickle=model.trust_pickle, **more)
    return loaded, pil_processor(folder), {"name": _public(name), "digest": digest(folder), **more}


def _reports(model: MaeModel, train: Material, held: Material, beside: Path, scratch: Path) -> Reports:
    recipe = model.recipe
    name = _language_model(model)
    if name == "":
        folder = tiny_language_model(scratch / "language", sorted({said(example) for example in train[ALIGN]}))
    else:
        folder = find_weights(name, trust_pickle=model.trust_pickle)
    llm: MaeLlm = model  # type: ignore[assignment] - the one that has this stage
    language = LanguageModel(
        folder,
        place(model.device, model.dtype),
        max_tokens=recipe.max_tokens,
        batch=llm.text_batch,
        trust_pickle=model.trust_pickle,
    )
    cache = Path(llm.text_cache).expanduser() if llm.text_cache else beside
    kinds = kinds_of([*train[LABEL], *held[LABEL]]) if recipe.same == "labels" else None
    return Reports(language, train[ALIGN], held[ALIGN], cache, kinds=kinds)


def _language_model(model: MaeModel) -> str:
    """Return the language model's folder or hub id; empty: the preset's, which is made on the spot."""
    given: str = getattr(model, "language_model", "")
    return given or ("" if model.preset else LANGUAGE_MODEL)


def _public(name: str) -> str:
    """Return what may be written of a source: a hub id or a preset; a folder says nothing to others, and may name a person."""
    return "preset" if not name else "" if Path(name).expanduser().exists() else name


def _settings(model: MaeModel) -> Settings:
    placement = place(model.device, model.dtype, model.attn)
    half = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(placement.dtype, "")
    return Settings(
        device="cpu" if placement.device.type == "cpu" else "auto",
        precision=half,
        workers=model.workers or 2,
        save_every=model.recipe.save_every,
    )
