"""`medbench agree`: do metrics and judges agree with people?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import arguments

if TYPE_CHECKING:
    from medbench.agreement.study import Study


def agree(
    runs: Annotated[list[str], typer.Argument(help="Scored runs: folder, fingerprint or task/model.")],
    *,
    ratings: Annotated[Path, typer.Option("--ratings", help="CSV of people's ratings: sample, rater, rating (and run).")],
    scale: Annotated[str, typer.Option("--scale", help="The people's scale: 0-4, 1-5, 0-1 …")] = "0-4",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the intervals.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for agreement.md, .json and a picture (.svg, .png).", show_default=False)
    ] = None,
    runs_dir: arguments.RunsDir = "runs",
    json: arguments.Json = False,
) -> None:
    """Hold every metric, judge and rater of scored runs against human ratings, with clustered intervals.

    Spearman, Kendall, weighted kappa, Krippendorff's alpha, ICC(2,1), Bland-Altman; people against people are the ceiling.
    """
    from medbench.agreement.ratings import read_ratings
    from medbench.agreement.scales import parse_scale
    from medbench.agreement.study import study
    from medbench.agreement.voices import Panel
    from medbench.registry import load_registry
    from medbench.runs import find_run

    named = parse_scale(scale)
    folders = [find_run(run, Path(runs_dir)) for run in runs]
    panel = Panel(read_ratings(ratings, named), folders, named, load_registry())
    made = study(panel, seed)
    written = _write(panel, made, out) if out else []
    if json:
        arguments.print_json(made)
        return
    _print(made)
    for path in written:
        print(f"written        {path}")


def _write(panel: object, made: Study, out: Path) -> list[Path]:
    """Write the study as Markdown, JSON and, where matplotlib is installed, a picture."""
    from medbench.agreement.picture import draw_study
    from medbench.agreement.views import markdown
    from medbench.drawing import KINDS, can_draw
    from medbench.files import storage, write_whole
    from medbench.record import to_json

    with storage(out, "name another folder with --out"):
        out.mkdir(parents=True, exist_ok=True)
    contents = {"agreement.md": markdown(made).encode(), "agreement.json": to_json(made)}
    if can_draw():
        contents |= {f"agreement{kind}": draw_study(panel, made, kind) for kind in KINDS}  # type: ignore[arg-type]  # a Panel: imported late
    else:
        print("no picture: pip install 'medbench[plots]'")
    for name, content in contents.items():
        write_whole(out / name, content)
    return [out / name for name in contents]


def _print(made: Study) -> None:
    from medbench.agreement import views
    from medbench.agreement.study import GRADES, RANKS
    from medbench.cli.layout import console, table
    from medbench.report.cells import UNDEFINED

    out = console()
    for names in (RANKS, GRADES):
        at = [0, *([2] if names == RANKS else []), *(3 + views.STATISTICS.index(name) for name in names)]
        rows = [[line[i] for i in at] for line in views.lines(made) if any(line[i] != UNDEFINED for i in at[1:])]
        if rows:
            out.print(table([views.head()[i] or "against people" for i in at], rows, whole=tuple(range(1, len(at)))))
            print()
    if limits := list(views.limit_lines(made)):
        out.print(table(["Bland-Altman, in grades", *views.LIMIT_HEAD[1:]], limits, right=(1,), whole=(2, 3, 4)))
        print()
    if stable := list(views.stability_lines(made)):
        out.print(table(["asked again", *views.STABILITY_HEAD[1:]], stable, right=(1, 2), whole=(3, 4)))
        print()
    for line in views.foot(made):
        out.print(line, soft_wrap=True)
