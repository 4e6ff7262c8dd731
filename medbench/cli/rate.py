"""`medbench rate`: rating sheets for people, and their answers read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import arguments
from medbench.errors import UsageError

if TYPE_CHECKING:
    from medbench.runs import RunFolder


def rate(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs whose answers are rated.", show_default=False)] = None,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the sheets (default: rating/ of the run), or the CSV file with --read.")
    ] = None,
    scale: Annotated[str, typer.Option("--scale", help="The grades: 0-4, 1-5, 0-1 …")] = "0-4",
    raters: Annotated[list[str] | None, typer.Option("--rater", help="A sheet for each; repeat or separate by commas.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Only so many samples.", show_default=False)] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the order.")] = 0,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Put the pictures into the page.")] = True,
    include_data: Annotated[bool, typer.Option("--include-data", help="Show data under an agreement, in the private run folder.")] = False,
    read: Annotated[list[Path] | None, typer.Option("--read", help="Filled-in sheets to read back.", show_default=False)] = None,
    key: Annotated[Path | None, typer.Option("--key", help="With --read: the key.json of the sheets.", show_default=False)] = None,
    runs_dir: arguments.RunsDir = "runs",
) -> None:
    """Write a blinded, shuffled rating sheet (CSV and a page for the browser), or read filled-in ones back for `agree`."""
    if read:
        _read(read, key, arguments.names(raters), out or Path("ratings.csv"))
        return
    if not runs:
        raise UsageError("nothing to rate was named", hint="medbench rate RUN, or medbench rate --read SHEET.csv --key key.json")
    from medbench.agreement.scales import parse_scale
    from medbench.agreement.sheets import collect, require_permitted, write_sheets
    from medbench.runs import find_run

    folders: list[RunFolder] = [find_run(run, Path(runs_dir)) for run in runs]
    place = out or folders[0].path / "rating"
    access = require_permitted(folders, place, include_data=include_data)
    items = collect(folders, seed=seed, limit=limit)
    named = arguments.names(raters) or ("",)
    written = write_sheets(items, place, parse_scale(scale), raters=named, pictures=pictures, seed=seed, access=access)
    print(f"{len(items):,} answers to rate, without a word of who gave them; keep {written[-1].name} from the raters")
    for path in written:
        print(f"written        {path}")
    print(f"then           medbench rate --read FILE.csv --key {written[-1]}")


def _read(sheets: list[Path], key: Path | None, raters: tuple[str, ...], out: Path) -> None:
    """Read sheets and write the ratings that `medbench agree` takes."""
    from medbench.agreement.ratings import write_ratings
    from medbench.agreement.sheets import KEY, read_key, read_sheet
    from medbench.files import write_whole

    if raters and len(raters) != len(sheets):
        raise UsageError(f"{len(raters)} raters for {len(sheets)} sheets", hint="one --rater for each --read, or none: the sheets say")
    known = read_key(key or sheets[0].parent / KEY)
    ratings = [one for sheet, rater in zip(sheets, raters or [""] * len(sheets), strict=True) for one in read_sheet(sheet, known, rater)]
    write_whole(out, write_ratings(ratings))
    people = {one.rater for one in ratings}
    print(f"{len(ratings):,} ratings by {len(people)} rater{'s' if len(people) != 1 else ''}")
    print(f"written        {out}")
    runs = " ".join(sorted({one.run for one in ratings}))
    print(f"then           medbench agree {runs} --ratings {out} --scale {known.scale}")
