"""`medbench compare`: runs against each other on the same samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medbench.registry import Registry
    from medbench.report.changes import Change
    from medbench.report.comparing import Comparison, Difference


def compare(
    runs: Annotated[list[str], typer.Argument(help="Two runs or more; the first is what the others are held against.")],
    *,
    test: Annotated[str, typer.Option("--test", help="bootstrap or randomisation, where neither DeLong nor McNemar suits.")] = "bootstrap",
    all_: Annotated[bool, typer.Option("--all", help="Scores of single labels and types, too; Holm then counts them.")] = False,
    resamples: Annotated[
        int | None,
        typer.Option("--resamples", min=100, help="Of the bootstrap; default: 10,000 (large runs: 1,000).", show_default=False),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=0, help="How many of the samples that changed most are listed.")] = 10,
    include_data: Annotated[bool, typer.Option("--include-data", help="Texts of data under an agreement in --json, too.")] = False,
    runs_dir: arguments.RunsDir = "runs",
    json: arguments.Json = False,
) -> None:
    """Compare runs on the same samples: paired differences with interval and p-value, wins and losses, what changed most."""
    from medbench.errors import UsageError, suggestion
    from medbench.registry import load_registry
    from medbench.report.comparing import compare as compare_runs
    from medbench.report.measured import Kept
    from medbench.report.pair_tests import TESTS
    from medbench.runs import find_run

    chosen = next((known for known in TESTS if known == test), None)
    if chosen is None:
        raise UsageError(f"--test {test}: unknown", hint=suggestion(test, TESTS))
    registry = load_registry()
    kept = [Kept(find_run(run, Path(runs_dir)), registry) for run in runs]
    made = compare_runs(kept, test=chosen, members=all_, most=most, resamples=resamples)
    if json:
        arguments.print_json(made if include_data else _discreet(made))
        return
    _print(made, registry)


def _discreet(made: Comparison) -> Comparison:
    """Leave out texts of data under an agreement."""
    import msgspec

    from medbench.cards import GUARDED
    from medbench.report.changes import bare

    if made.data.access not in GUARDED:
        return made
    return msgspec.structs.replace(made, changed=tuple(map(bare, made.changed)))


def _print(made: Comparison, registry: Registry) -> None:
    from medbench.cli.layout import console, table

    out = console()
    for side in made.sides:
        facts = [side.run, side.options, side.kind if side.kind != "model" else "", f"{side.n_failed:,} failed" if side.n_failed else ""]
        out.print(f"{side.letter:<14} {' · '.join(filter(None, facts))}", soft_wrap=True)
    several = f"{made.data.group[:-1]}ies" if made.data.group.endswith("y") else f"{made.data.group}s"
    synthetic = " · SYNTHETIC" if made.data.synthetic else ""
    print(f"{'samples':<14} {made.data.n:,} in {made.data.n_groups:,} {several}{synthetic} · manifest {made.data.manifest[:8]}")
    for letter in dict.fromkeys(one.contrast.one for one in made.differences):
        mine = [one for one in made.differences if one.contrast.one == letter]
        base = mine[0].contrast.other
        for heading, found in _grouped(mine).items():
            print()
            heads = [heading or "score", base, letter, f"{letter} − {base}", "95 % interval", "p, Holm", f"{letter} wins:loses"]
            out.print(table(heads, [_row(one, registry) for one in found], right=(1, 2, 3, 5, 6), whole=(4,)))
    print()
    reasons: dict[str, list[str]] = {}
    for name, why in made.not_compared.items():
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        out.print(f"{'not compared':<14} {why}: {', '.join(names[:3])}{more}", soft_wrap=True)
    kinds = dict.fromkeys(one.test.partition(":")[0].partition(" over ")[0] for one in made.differences if one.test)
    out.print(f"{'tests':<14} {', '.join(kinds)}; adjusted by Holm over {made.n_compared} differences", soft_wrap=True)
    method = next((one.contrast.method for one in made.differences if "bootstrap" in one.contrast.method), "")
    if method:
        out.print(f"{'intervals':<14} {method}", soft_wrap=True)
    print(f"{'win':<14} better on a sample by its own score")
    _print_changed(made)


def _grouped(found: Sequence[Difference]) -> dict[str, list[Difference]]:
    from medbench.report.cells import conventions
    from medbench.types import as_text

    made: dict[str, list[Difference]] = {}
    for one in found:
        heading = " · ".join(filter(None, (conventions(one.contrast.convention), as_text(one.contrast.condition))))
        made.setdefault(heading, []).append(one)
    return made


def _row(one: Difference, registry: Registry) -> list[str]:
    from medbench.cli.tables import labels_of
    from medbench.report import cells

    contrast = one.contrast
    name = cells.label(contrast, labels_of(registry, contrast.metric))
    interval = cells.interval(contrast.low, contrast.high, contrast.unit, signed=True) or contrast.note.partition(":")[0]
    return [
        f"{name} ↓" if one.higher_is_better is False else name,
        cells.number(one.value_other, contrast.unit),
        cells.number(one.value_one, contrast.unit),
        cells.number(contrast.difference, contrast.unit, signed=True),
        interval,
        cells.p_value(contrast.p),
        "" if one.wins is None else f"{one.wins}:{one.losses}",
    ]


def _print_changed(made: Comparison) -> None:
    """List the samples whose own score changed most, with both answers."""
    if not made.changed:
        return
    from medbench.cli.layout import console, table
    from medbench.report.cells import own_value

    print(f"\nchanged most by {made.changed_by}")
    rows = [[change.id, f"{own_value(change.value_other)} → {own_value(change.value_one)}", *_texts(change)] for change in made.changed]
    console().print(table(["sample", f"{made.changed[0].other} → others", "reference", "answers"], rows, whole=(1,)))


def _texts(change: Change) -> list[str]:
    from medbench.cli.layout import short

    return [short(change.reference, 24), f"{short(change.answer_other, 22)} → {short(change.answer_one, 22)}"]
