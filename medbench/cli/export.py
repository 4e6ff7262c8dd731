"""`medbench export`: a split as other tools read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medbench.cli import arguments


def export(
    task: Annotated[str, typer.Argument(help="Task name, or a TOML file.")],
    *,
    form: Annotated[str, typer.Option("--format", help="llava, jsonl or coco.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write; FILE.medbench.json beside it says what it is.")],
    data: arguments.Data = None,
    split: arguments.Split = None,
    variant: arguments.Variant = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="key=value for the protocol, or reader.key=value.")] = None,
    limit: arguments.Limit = None,
    one_image: Annotated[bool, typer.Option("--one-image", help="Only the first image of each sample, as LLaVA-1.5 takes it.")] = False,
    permission: Annotated[
        str,
        typer.Option("--i-have-permission-to-copy", help="Why guarded data may leave its folder; goes on record.", show_default=False),
    ] = "",
    json: arguments.Json = False,
) -> None:
    """Write a split as LLaVA instruction JSON, JSONL or COCO captions, with image paths relative to the data folder."""
    from medbench.interchange import export as write
    from medbench.options import RunOptions, pairs
    from medbench.registry import load_registry

    options = RunOptions(task=task, data=data, split=split, variant=variant, params=pairs(param or (), "--param"), limit=limit)
    made = write(options, load_registry(), form, out, one_image=one_image, permission=permission)
    if json:
        arguments.print_json(made)
        return
    print(f"{out}: {made.n:,} samples of the {made.split} split of {made.dataset} ({made.access}{', SYNTHETIC' if made.synthetic else ''})")
    if made.n_without_reference:
        print(f"left out: {made.n_without_reference:,} samples without a reference")
    if made.n_cut:
        print(f"cut to their first image: {made.n_cut:,} samples")
    print(f"image paths are relative to {made.images}")
