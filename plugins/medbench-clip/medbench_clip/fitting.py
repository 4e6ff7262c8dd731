"""`medbench fit clip-roco`: splits and folds, the one stage of training, the folder that the model is loaded from."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import msgspec
from medbench_torch.devices import place
from medbench_torch.fit import Schedule, Settings, Stage, plainly, read_events
from medbench_torch.fit import fit as run_stages

from medbench.errors import DataError, UsageError
from medbench.files import write_whole
from medbench.identity import hash_order
from medbench.interfaces import Example, FitEvents
from medbench_clip.curves import draw_curves
from medbench_clip.learner import Learner, pair_of
from medbench_clip.recipe import BATCH
from medbench_clip.words import Words

if TYPE_CHECKING:
    from medbench_clip.model import ClipRoco

SHARES = (0.64, 0.80)
"""Where a shuffled list is cut into train, validation and test, as the report does."""
STAGE = "clip"


def fit(
    model: ClipRoco, examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int, events: FitEvents | None
) -> dict[str, Any]:
    """Train from scratch and leave `base/` in `out`; goes on where an interrupted fit was.

    Args:
        model: With its options; nothing is loaded yet.
        examples: Requests of one picture each, and the captions that belong to them.
        validation: Likewise, held out.
        out: Folder of the result.
        seed: Of everything random.
        events: Called with what happens.

    Raises:
        UsageError: an option contradicts another, or an example is no pair.
        DataError: there are too few pairs.
    """
    recipe = model.recipe
    recipe.check()
    if model.weights:
        raise UsageError("fit begins from random weights, not from weights=", hint="leave weights out")
    train, held, test = _parts(model, list(examples), list(validation), seed)
    folds = _folds(model, [*train, *held], out, seed, events) if recipe.folds else []
    facts = _one(model, train, held, test, out, seed, events)
    facts["option"] = "weights"
    if test:
        facts["test"] = msgspec.json.decode((out / "base" / "card.json").read_bytes())["test"]
    if folds:
        facts["folds"] = folds
        facts |= {f"folds_{name}": _spread([fold[name] for fold in folds]) for name in ("loss", "matching")}
        write_whole(out / "folds.json", msgspec.json.format(msgspec.json.encode(facts["folds"])))
        shutil.rmtree(_fold_folder(out), ignore_errors=True)
    draw_curves(out, read_events(out))
    return facts


def shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    """Return examples in an order that follows from the seed and their number alone: neighbours of the data are apart."""
    names = {f"{seed} {number}": example for number, example in enumerate(examples)}
    return [names[name] for name in hash_order(names)]


def _parts(model: ClipRoco, train: list[Example], held: list[Example], seed: int) -> tuple[list[Example], list[Example], list[Example]]:
    """Return train, validation and test; validation is shuffled, so that its batches are like those of training."""
    if model.recipe.split == "data":
        parts: tuple[list[Example], ...] = (train, shuffled(held, seed), [])
    else:
        pool = shuffled([*train, *held], seed)
        first, second = (round(share * len(pool)) for share in SHARES)
        parts = (pool[:first], pool[first:second], pool[second:])
    if len(parts[0]) < 2:
        raise DataError(f"{len(parts[0])} pairs to learn from: each is told from the others", hint="does the train split have captions?")
    return parts[0], parts[1], parts[2]


def _one(
    model: ClipRoco,
    train: Sequence[Example],
    held: Sequence[Example],
    test: Sequence[Example],
    out: Path,
    seed: int,
    events: FitEvents | None,
) -> dict[str, Any]:
    sizes = model.sizes()
    words = Words.learnt((pair_of(*example)[1] for example in train), sizes.vocabulary)
    batch = model.batch_size or BATCH
    learner = Learner(sizes, words, batch=batch, seed=seed, test=test)
    placement = place(model.device, model.dtype)
    settings = Settings(
        device="cpu" if placement.device.type == "cpu" else "auto", workers=model.workers or 2, save_every=model.recipe.save_every
    )
    return run_stages(learner, [stage_of(model, len(train), bool(held))], train, held, out, seed, plainly(events), settings=settings)


def stage_of(model: ClipRoco, n_train: int, held: bool) -> Stage:
    """Return the one stage: Adam at a constant rate, one look at the validation pairs an epoch, the best weights kept.

    Args:
        model: With its recipe.
        n_train: Pairs to learn from.
        held: Whether there are validation pairs.
    """
    recipe = model.recipe
    batch = model.batch_size or BATCH
    patience = recipe.setting("patience", model.preset) if held else 0
    return Stage(
        name=STAGE,
        schedule=Schedule(lr=recipe.setting("lr", model.preset), warmup=0.0, shape="constant", **recipe.length(model.preset)),
        batch=batch,
        betas=(0.9, 0.999),
        clip=0.0,
        evaluate_every=recipe.evaluate_every or math.ceil(n_train / batch),
        patience=patience,
    )


def _folds(model: ClipRoco, pool: Sequence[Example], out: Path, seed: int, events: FitEvents | None) -> list[dict[str, float]]:
    """Return, for each fold, how the network that did not see it does on it."""
    count = model.recipe.folds
    if len(pool) < 2 * count:
        raise DataError(f"{len(pool)} pairs for {count} folds", hint="fewer folds, or none")
    order = shuffled(pool, seed)
    made = []
    for fold in range(count):
        rest = [example for number, example in enumerate(order) if number % count != fold]
        facts = _one(model, rest, order[fold::count], [], _fold_folder(out) / str(fold + 1), seed, events)
        (stage,) = facts["stages"]
        made.append({"n": len(order[fold::count]), "steps": stage["steps"], **stage["held_out"]})
    return made


def _fold_folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.folds")


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": fmean(values), "sd": stdev(values)}
