"""`medbench list`: what there is, without importing any of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from medbench.cli import arguments

IN_JSON_ALONE = ("licence", "conventions", "protocols")
"""What would leave no room for the title on a screen; `medbench show` has it."""

app = typer.Typer(no_args_is_help=True, help="List tasks, models, metrics or datasets.")


def _print(heads: list[str], rows: list[list[str]], *, json: bool) -> None:
    """Print a line per row, or all of them as JSON objects."""
    if json:
        arguments.print_json([dict(zip(heads, row, strict=True)) for row in rows])
        return
    from medbench.cli.layout import print_list

    shown = [index for index, head in enumerate(heads) if head not in IN_JSON_ALONE]
    print_list([heads[index] for index in shown], [[row[index] for index in shown] for row in rows])


@app.command("tasks")
def tasks(*, json: arguments.Json = False) -> None:
    """List the tasks."""
    from medbench.errors import UsageError
    from medbench.registry import load_registry
    from medbench.tasks import read_task, task_files

    rows = []
    for name, claims in task_files(load_registry()).items():
        for plugin, path in claims:
            shown = name if len(claims) == 1 else f"{plugin}/{name}"
            try:
                task = read_task(path)
            except UsageError as error:
                rows.append([shown, "", "", "", f"broken: {error.message}"])
                continue
            rows.append([shown, task.dataset, task.protocol[0], " ".join(task.protocol), task.title])
    _print(["task", "dataset", "protocol", "protocols", "title"], rows, json=json)


@app.command("models")
def models(
    *,
    can: Annotated[str, typer.Option("--can", help="Only models that generate, classify, embed, synthesize, ground.")] = "",
    fits: Annotated[bool, typer.Option("--fits", help="Only models that can be fitted.")] = False,
    json: arguments.Json = False,
) -> None:
    """List the models."""
    from typing import get_args

    from medbench.cards import ModelCard
    from medbench.errors import UsageError, suggestion
    from medbench.types import Capability

    if can and can not in get_args(Capability):
        raise UsageError(f"--can {can}: unknown", hint=suggestion(can, get_args(Capability)))
    rows = [
        [name, plugin, "any" if set(card.can) == set(get_args(Capability)) else " ".join(card.can), card.kind, card.title]
        for name, plugin, card in _cards(ModelCard)
        if (not can or can in card.can) and (not fits or card.fits != "never")
    ]
    _print(["model", "plugin", "can", "kind", "title"], rows, json=json)


@app.command("metrics")
def metrics(*, json: arguments.Json = False) -> None:
    """List the metrics."""
    from medbench.cards import MetricCard

    rows = [
        [name, plugin, " ".join(card.takes), " ".join(f"{family}=" for family in card.conventions), card.title]
        for name, plugin, card in _cards(MetricCard)
    ]
    _print(["metric", "plugin", "takes", "conventions", "title"], rows, json=json)


@app.command("datasets")
def datasets(*, json: arguments.Json = False) -> None:
    """List the datasets."""
    from medbench.cards import ReaderCard

    rows = [[name, plugin, card.access, card.licence, "yes" if card.twin else "", card.title] for name, plugin, card in _cards(ReaderCard)]
    _print(["dataset", "plugin", "access", "licence", "twin", "title"], rows, json=json)


def _cards(kind: Any) -> list[tuple[str, str, Any]]:
    """Return (name as typed, plugin, card) of a kind; a name that two packages claim is shown with its package."""
    from medbench.registry import load_registry

    entries = load_registry().entries(kind)
    claimed = [entry.card.name for entry in entries]
    return [(e.card.name if claimed.count(e.card.name) == 1 else f"{e.plugin}/{e.card.name}", e.plugin, e.card) for e in entries]
