"""The options that several verbs share, written once so that they are named and explained alike."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Task = Annotated[str, typer.Option("--task", help="Task name, or a TOML file.")]
Data = Annotated[
    str | None, typer.Option("--data", help="Folder of the dataset as downloaded; 'twin' for a synthetic one.", show_default=False)
]
Split = Annotated[str | None, typer.Option("--split", help="train, val or test; default: the task's.", show_default=False)]
Variant = Annotated[str | None, typer.Option("--variant", help="Packaging or label set of the dataset.", show_default=False)]
Protocol = Annotated[str | None, typer.Option("--protocol", help="One of the task's protocols.", show_default=False)]
Limit = Annotated[int | None, typer.Option("--limit", help="Only so many samples, in hash order of their ids.", show_default=False)]
Metric = Annotated[list[str] | None, typer.Option("--metric", help="Metrics instead of the task's own; repeat or separate by commas.")]
MetricOption = Annotated[list[str] | None, typer.Option("--metric-option", help="key=value, or metric.key=value.")]
Convention = Annotated[
    list[str] | None, typer.Option("--convention", help="Name, family=name, or 'all'; the scores under each are added.", show_default=False)
]
By = Annotated[list[str] | None, typer.Option("--by", help="Score each value of this column of the data apart.", show_default=False)]
Judge = Annotated[str, typer.Option("--judge", help="Model that metrics may ask.", show_default=False)]
JudgeOption = Annotated[list[str] | None, typer.Option("--judge-option", help="key=value for the judge.")]
RunsDir = Annotated[str, typer.Option("--runs-dir", help="Where runs and outputs are kept.")]
Permission = Annotated[
    str,
    typer.Option("--i-have-permission-to-send", help="Why credentialed data may leave this machine; goes on record.", show_default=False),
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", help="US dollars that outputs may cost; stops before the call that might exceed it.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No header and no progress: the table alone.")]


def names(given: list[str] | None) -> tuple[str, ...]:
    """Return names given one by one or separated by commas."""
    return tuple(name.strip() for item in given or () for name in item.split(",") if name.strip())


def print_json(value: Any) -> None:
    """Print plain data as JSON on standard output: UTF-8, whatever the locale."""
    from medbench.record import to_json

    typer.echo(to_json(value), nl=False)
