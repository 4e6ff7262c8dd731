"""`medbench convert`: the files that a model's makers released, checked and written as a folder that it loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medbench.cli import arguments


def convert(
    model: Annotated[str, typer.Argument(help="Model name (medbench list models).")],
    parts: Annotated[list[str] | None, typer.Argument(metavar="PART=PATH…", help="What it is made of; a wrong one lists them.")] = None,
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder to make; it must not exist.")],
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help="Read pickles, which can run any code of their maker.")] = False,
    json: arguments.Json = False,
) -> None:
    """Convert released checkpoints once into a folder of safetensors; every tensor is checked on the way."""
    from medbench.converting import convert as carry_out
    from medbench.options import pairs
    from medbench.registry import load_registry

    made = carry_out(load_registry(), model, pairs(parts or (), "part"), out, trust_pickle=trust_pickle)
    files = [path for path in made.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    if json:
        arguments.print_json({"model": model, "folder": str(made), "files": len(files), "megabytes": round(megabytes, 1)})
        return
    print(f"{made}: {len(files):,} files, {megabytes:,.1f} MB")
    option = "adapter" if (made / "adapter_config.json").is_file() else "weights"
    print(f"use it with --model {model} --model-option {option}={made}")
