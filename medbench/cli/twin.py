"""`medbench twin`: a synthetic copy of a dataset's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from medbench.cli import arguments
from medbench.errors import UsageError


def twin(
    dataset: Annotated[str, typer.Argument(help="Dataset name (medbench list datasets).")],
    folder: Annotated[Path, typer.Argument(help="Where to write it: a new or empty folder, or an older twin.")],
    *,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 0,
    size: Annotated[int, typer.Option("--size", help="Test groups; 0: enough for intervals to separate systems.")] = 0,
    layout: Annotated[
        str, typer.Option("--layout", help="One of the dataset's layouts (iu-xray: r2gen, original, kaggle).", show_default=False)
    ] = "",
    preview: Annotated[
        Path | None,
        typer.Option("--preview", help="Also draw a sheet of its pictures with what is said of them, as PNG.", show_default=False),
    ] = None,
    json: arguments.Json = False,
) -> None:
    """Write a synthetic twin: the dataset's exact layout, drawn phantoms, templated text. Marked as synthetic for ever after."""
    from medbench.cards import ReaderCard
    from medbench.registry import load, load_registry

    card = load_registry().get(ReaderCard, dataset)
    if not card.twin:
        raise UsageError(f"{dataset} has no twin", hint="medbench list datasets")
    reader = load(card)()
    reader.write_twin(folder, seed=seed, size=size, **_layout(reader, dataset, layout))
    files = [path for path in folder.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    count = 0
    if preview:
        from medbench.builtin.twins.preview import write_preview

        count = write_preview(reader, folder, "test" if "test" in card.splits else card.splits[-1], preview)
    if json:
        facts = {"dataset": card.name, "folder": str(folder), "seed": seed, "files": len(files), "megabytes": round(megabytes, 1)}
        arguments.print_json({**facts, **({"preview": str(preview), "pictures": count} if preview else {})})
        return
    print(f"{folder}: {len(files):,} files, {megabytes:.1f} MB, synthetic {card.name} (seed {seed})")
    if preview:
        print(f"{preview}: {count} of its pictures")
    print(f"use it with --data {folder}")


def _layout(reader: Any, dataset: str, layout: str) -> dict[str, str]:
    """Return the layout as an argument, where the dataset has several."""
    if not layout:
        return {}
    known = getattr(reader, "LAYOUTS", ())
    if layout not in known:
        hint = f"its layouts: {', '.join(known)}" if known else "it has one layout: leave --layout out"
        raise UsageError(f"{dataset} has no layout {layout}", hint=hint)
    return {"layout": layout}
