"""`medbench twin`: a synthetic copy of a dataset's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medbench.errors import UsageError


def twin(
    dataset: Annotated[str, typer.Argument(help="Dataset name (medbench list datasets).")],
    folder: Annotated[Path, typer.Argument(help="Where to write it: a new or empty folder, or an older twin.")],
    *,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 0,
    size: Annotated[int, typer.Option("--size", help="Test groups; 0: enough for intervals to separate systems.")] = 0,
) -> None:
    """Write a synthetic twin: the dataset's exact layout, drawn phantoms, templated text. Marked as synthetic for ever after."""
    from medbench.cards import ReaderCard
    from medbench.registry import load, load_registry

    card = load_registry().get(ReaderCard, dataset)
    if not card.twin:
        raise UsageError(f"{dataset} has no twin", hint="medbench list datasets")
    load(card)().write_twin(folder, seed=seed, size=size)
    files = [path for path in folder.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    print(f"{folder}: {len(files):,} files, {megabytes:.1f} MB, synthetic {card.name} (seed {seed})")
    print(f"use it with --data {folder}")
