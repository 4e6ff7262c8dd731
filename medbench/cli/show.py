"""`medbench show`: everything that is known about one task, model, metric or dataset."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from medbench.cli import arguments

app = typer.Typer(no_args_is_help=True, help="Show all that is known about one task, model, metric or dataset.")
Name = Annotated[str, typer.Argument(help="Its name, as medbench list prints it.")]


@app.command("task")
def task(name: Name, *, json: arguments.Json = False) -> None:
    """Show a task: data, protocol, metrics, conventions, published results."""
    from medbench.registry import load_registry
    from medbench.tasks import get_task

    found = get_task(name, load_registry())
    _page(found, json=json)
    if not json and found.published:
        from medbench.report.cells import number

        print("\nreported elsewhere, not reproduced here (other conventions)")
        for one in found.published:
            state = "" if one.verified else "  (not verified)"
            print(f"  {one.system}, {one.metric}: {number(one.value, 'fraction')}  {one.source}{state}")


@app.command("model")
def model(name: Name, *, json: arguments.Json = False) -> None:
    """Show a model: what it can, needs and takes."""
    from medbench.cards import ModelCard
    from medbench.errors import PluginError
    from medbench.options import signature_of
    from medbench.registry import load, load_registry, missing_modules

    card = load_registry().get(ModelCard, name)
    _page(card, json=json)
    if json:
        return
    missing = missing_modules(card)
    if missing:
        print(f"\nneeds {', '.join(missing)}: {card.install or 'install it into this environment'}")
        return
    try:
        options = signature_of(load(card))
    except PluginError as error:
        print(f"\ncannot be loaded here: {error.message} ({error.hint})")
        return
    if options:
        print("\noptions (--model-option name=value)")
        for option in options.values():
            default = "" if option.default is option.empty else f" = {option.default!r}"
            print(f"  {option.name}{default}")


@app.command("metric")
def metric(name: Name, *, json: arguments.Json = False) -> None:
    """Show a metric: its scores, units, directions and conventions."""
    from medbench.cards import MetricCard
    from medbench.registry import load_registry

    card = load_registry().get(MetricCard, name)
    _page(card, json=json, hide=("scores", "conventions"))
    if json:
        return
    print("\nscores")
    for score, facts in card.scores.items():
        direction = {True: "higher is better", False: "lower is better", None: "no direction"}[facts.higher_is_better]
        span = f"{'' if facts.low is None else f'{facts.low:g}'} … {'' if facts.high is None else f'{facts.high:g}'}"
        print(f"  {score:<18} {facts.label or score} · {facts.unit or 'no unit'} · {span} · {direction}")
    for family, names in card.conventions.items():
        print(f"\nconventions (--convention {family}=NAME), the default first\n  {'  '.join(names)}")


@app.command("dataset")
def dataset(name: Name, *, json: arguments.Json = False) -> None:
    """Show a dataset: where to obtain it, on what terms, and what its folder looks like."""
    from medbench.cards import ReaderCard
    from medbench.registry import load_registry
    from medbench.roots import variable

    card = load_registry().get(ReaderCard, name)
    _page(card, json=json, hide=("alias_families",))
    if not json:
        print(f'\nits folder: --data DIR, {variable(card.name)}, or [data] {card.name} = "DIR" in medbench.toml')
        if card.twin:
            print(f"a synthetic twin: --data twin, or medbench twin {card.name} DIR")


def _page(value: Any, *, json: bool, hide: tuple[str, ...] = ()) -> None:
    """Print a struct field by field; empty fields and those in `hide` are left out."""
    if json:
        arguments.print_json(value)
        return
    from medbench.cli.layout import console

    out = console()
    for field in value.__struct_fields__:
        content = getattr(value, field)
        if field in {*hide, "load", "published"} or content in (None, "", (), {}, []):
            continue
        shown = ", ".join(map(str, content)) if isinstance(content, tuple) else content
        if isinstance(content, bool):
            shown = "yes" if content else "no"
        if isinstance(content, dict):
            shown = "  ".join(f"{key}={one}" for key, one in content.items())
        out.print(f"{field.replace('_', ' '):<16} {shown}", soft_wrap=True)
