"""`medbench score`: a run that is there, or predictions that anybody made."""

from __future__ import annotations

from typing import Annotated

import typer

from medbench.cli import arguments


def score(
    run: Annotated[str, typer.Argument(help="A run's folder, fingerprint or task/model.", show_default=False)] = "",
    *,
    task: Annotated[str, typer.Option("--task", help="With --predictions: the task they are for.", show_default=False)] = "",
    predictions: Annotated[
        str, typer.Option("--predictions", help="JSONL, CSV, LLaVA answers or COCO results made by any tool.", show_default=False)
    ] = "",
    pictures: Annotated[
        str, typer.Option("--pictures", help="Folder of pictures drawn by any tool; --predictions may name them.", show_default=False)
    ] = "",
    model: Annotated[
        str, typer.Option("--model", help="A name for what made the predictions; default: the file's.", show_default=False)
    ] = "",
    data: arguments.Data = None,
    split: arguments.Split = None,
    variant: arguments.Variant = None,
    protocol: arguments.Protocol = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="key=value for the protocol, or reader.key=value.")] = None,
    id_: Annotated[str, typer.Option("--id", help="The samples' other name that the file uses (qid).", show_default=False)] = "",
    columns: Annotated[
        list[str] | None, typer.Option("--columns", help="ours=theirs: id=image,prob:Edema=prob_Edema", show_default=False)
    ] = None,
    limit: arguments.Limit = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the intervals; default: the run's.", show_default=False)] = None,
    metric: arguments.Metric = None,
    metric_option: arguments.MetricOption = None,
    convention: arguments.Convention = None,
    by: arguments.By = None,
    judge: arguments.Judge = "",
    judge_option: arguments.JudgeOption = None,
    runs_dir: arguments.RunsDir = "runs",
    permission: arguments.Permission = "",
    max_cost: arguments.MaxCost = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be scored and every problem; score nothing.")] = False,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Score an existing run under other metrics or conventions, or a predictions file; no model is loaded.

    Scores are added to the run's record, never overwritten. Samples without a prediction count as failed (exit code 3).
    """
    from medbench.cli import screen
    from medbench.options import pairs
    from medbench.registry import load_registry
    from medbench.rescoring import ScoreOptions, score_events

    options = ScoreOptions(
        run=run,
        task=task,
        predictions=predictions,
        pictures=pictures,
        model=model,
        data=data,
        split=split,
        variant=variant,
        protocol=protocol,
        params=pairs(param or (), "--param"),
        id=id_,
        columns=pairs(arguments.names(columns), "--columns"),
        limit=limit,
        seed=seed,
        metrics=arguments.names(metric),
        metric_options=pairs(metric_option or (), "--metric-option"),
        conventions=arguments.names(convention),
        by=arguments.names(by),
        judge=judge,
        judge_options=pairs(judge_option or (), "--judge-option"),
        runs_dir=runs_dir,
        permission=permission,
        max_cost=max_cost,
    )
    registry = load_registry()
    if dry_run:
        screen.show_scoring(options, registry, as_json=json)
        return
    screen.carry_out(score_events(options, registry), registry, as_json=json, quiet=quiet)
