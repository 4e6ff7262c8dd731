"""`medbench fit`: a model learns from the train split of a task, or of several."""

from __future__ import annotations

from typing import Annotated

import typer

from medbench.cli import arguments


def fit(
    model: Annotated[str, typer.Argument(help="Model name (medbench list models --fits).")],
    *,
    task: Annotated[list[str], typer.Option("--task", help="Task to learn from; repeat for several.")],
    out: Annotated[str, typer.Option("--out", help="Folder for the weights; an interrupted fit goes on there.")],
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="Folder of the dataset, or 'twin'; for several tasks TASK=FOLDER.", show_default=False),
    ] = None,
    variant: arguments.Variant = None,
    protocol: arguments.Protocol = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="key=value for the protocol, or reader.key=value.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="The one seed behind weights, order and noise.")] = 0,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Default: the model's.", show_default=False)] = None,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1 …", show_default=False)] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Threads that prepare inputs ahead.", show_default=False)] = None,
    model_option: Annotated[list[str] | None, typer.Option("--model-option", help="key=value for the model: r=16, lr=1e-4 …")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Fit anew, in place of what is in the folder.")] = False,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Fit a model on the very prompts that it will be asked, and leave its weights in a folder.

    On several devices: accelerate launch -m medbench fit … with the same arguments.
    """
    from medbench.cli import screen
    from medbench.fitting import FitOptions
    from medbench.options import pairs

    options = FitOptions(
        model=model,
        tasks=arguments.names(task),
        out=out,
        data=tuple(data or ()),
        variant=variant,
        protocol=protocol,
        params=pairs(param or (), "--param"),
        seed=seed,
        batch_size=batch_size,
        device=device,
        workers=workers,
        model_options=pairs(model_option or (), "--model-option"),
    )
    screen.carry_out_fit(options, fresh=fresh, as_json=json, quiet=quiet)
