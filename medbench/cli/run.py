"""`medbench run`: a model on a task."""

from __future__ import annotations

from typing import Annotated

import typer

from medbench.cli import arguments


def run(
    *,
    task: arguments.Task,
    model: Annotated[str, typer.Option("--model", help="Model name (medbench list models).")],
    data: arguments.Data = None,
    split: arguments.Split = None,
    variant: arguments.Variant = None,
    protocol: arguments.Protocol = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="key=value for the protocol, or reader.key=value.")] = None,
    images: Annotated[str, typer.Option("--images", help="true, blank, shuffled: control conditions, separated by commas.")] = "true",
    limit: arguments.Limit = None,
    seed: Annotated[int, typer.Option("--seed", help="The one seed behind fitting, sampling and intervals.")] = 0,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Default: the model's.", show_default=False)] = None,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1 …", show_default=False)] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Threads that prepare inputs ahead.", show_default=False)] = None,
    model_option: Annotated[list[str] | None, typer.Option("--model-option", help="key=value for the model.")] = None,
    metric: arguments.Metric = None,
    metric_option: arguments.MetricOption = None,
    convention: arguments.Convention = None,
    by: arguments.By = None,
    judge: arguments.Judge = "",
    judge_option: arguments.JudgeOption = None,
    executor: Annotated[str, typer.Option("--executor", help="Where the model runs.")] = "local",
    shard: Annotated[str, typer.Option("--shard", help="part/parts: answer this part of the requests only.", show_default=False)] = "",
    runs_dir: arguments.RunsDir = "runs",
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask for every output again.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Ask again for whatever failed.")] = False,
    permission: arguments.Permission = "",
    max_cost: arguments.MaxCost = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and every problem; carry nothing out.")] = False,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Run a model on a task, and print its scores with intervals.

    The same command again does only what is missing. Exit code 3: finished, but some samples failed or could not be scored.
    """
    from medbench.cli import screen
    from medbench.options import RunOptions, pairs

    options = RunOptions(
        task=task,
        model=model,
        data=data,
        split=split,
        variant=variant,
        protocol=protocol,
        params=pairs(param or (), "--param"),
        images=arguments.names([images]),
        limit=limit,
        seed=seed,
        batch_size=batch_size,
        device=device,
        workers=workers,
        model_options=pairs(model_option or (), "--model-option"),
        metrics=arguments.names(metric),
        metric_options=pairs(metric_option or (), "--metric-option"),
        conventions=arguments.names(convention),
        by=arguments.names(by),
        judge=judge,
        judge_options=pairs(judge_option or (), "--judge-option"),
        executor=executor,
        shard=shard,
        runs_dir=runs_dir,
        fresh=fresh,
        retry_failed=retry_failed,
        permission=permission,
        max_cost=max_cost,
    )
    screen.carry_out_run(options, dry_run=dry_run, as_json=json, quiet=quiet)
