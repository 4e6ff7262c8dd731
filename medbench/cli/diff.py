"""`medbench diff`: in what two runs differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import arguments

if TYPE_CHECKING:
    from medbench.report.diffing import RunDiff


def diff(
    a: Annotated[str, typer.Argument(metavar="RUN_A", help="A run's folder, fingerprint or task/model.")],
    b: Annotated[str, typer.Argument(metavar="RUN_B", help="Another.")],
    *,
    most: Annotated[int, typer.Option("--most", min=0, help="How many of the samples that flip are listed.")] = 20,
    include_data: Annotated[bool, typer.Option("--include-data", help="Texts of data under an agreement in --json, too.")] = False,
    runs_dir: arguments.RunsDir = "runs",
    json: arguments.Json = False,
) -> None:
    """List what differs between two runs: every setting, then the samples whose score flips."""
    from medbench.registry import load_registry
    from medbench.report.diffing import diff as diff_runs
    from medbench.report.measured import Kept
    from medbench.runs import find_run

    registry = load_registry()
    first, second = (Kept(find_run(run, Path(runs_dir)), registry) for run in (a, b))
    made = diff_runs(second, first, most=most)
    if json:
        arguments.print_json(made if include_data else _discreet(made))
    else:
        _print(made)


def _discreet(made: RunDiff) -> RunDiff:
    """Leave out texts of data under an agreement."""
    import msgspec

    from medbench.cards import GUARDED
    from medbench.report.changes import without_texts

    if made.access not in GUARDED:
        return made
    return msgspec.structs.replace(made, flips=tuple(without_texts(one) for one in made.flips))


def _print(made: RunDiff) -> None:
    from medbench.cli.layout import console, table
    from medbench.report.cells import own_value

    out = console()
    out.print(f"A              {made.other}", soft_wrap=True)
    out.print(f"B              {made.one}\n", soft_wrap=True)
    if made.settings:
        out.print(table(["setting", "A", "B"], [[one.name, one.other or "–", one.one or "–"] for one in made.settings]))
    else:
        print("no setting differs")
    where = "the same samples" if made.same_samples else "different samples: what follows is of the predictions that both have"
    print(f"\n{'data':<14} {where}")
    print(f"{'answers':<14} {made.n_answers:,} of {made.n_shared:,} differ")
    for flips in made.flips:
        print(f"{'flips':<14} {flips.by}: {flips.better:,} better in B, {flips.worse:,} worse, {flips.same:,} the same")
        rows = [
            [c.id, f"{own_value(c.value_other)} → {own_value(c.value_one)}", *_texts(c.reference, c.answer_other, c.answer_one)]
            for c in flips.first
        ]
        if rows:
            print()
            out.print(table(["sample", "A → B", "reference", "answers"], rows, whole=(1,)))


def _texts(reference: str, before: str, after: str) -> list[str]:
    from medbench.cli.layout import short

    return [short(reference, 24), f"{short(before, 22)} → {short(after, 22)}"]
