"""`medbench samples`: the per-sample table of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medbench.cli import arguments
from medbench.errors import UsageError, suggestion

if TYPE_CHECKING:
    from medbench.report.samples import SampleRow

ON_SCREEN = 20


def samples(
    run: Annotated[str, typer.Argument(help="A run's folder, fingerprint or task/model.")],
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Only samples that failed.")] = False,
    show: Annotated[str, typer.Option("--show", help="Everything about the sample with this id.", show_default=False)] = "",
    csv: Annotated[Path | None, typer.Option("--csv", help="Write all rows to this CSV file.", show_default=False)] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write all rows to this Parquet file.", show_default=False)] = None,
    include_data: Annotated[
        bool, typer.Option("--include-data", help="Write texts of data under an agreement into the file or JSON, too.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help=f"Print all rows, not the first {ON_SCREEN}.")] = False,
    runs_dir: arguments.RunsDir = "runs",
    json: arguments.Json = False,
) -> None:
    """Show what was asked, answered and expected, sample by sample, with each sample's own scores."""
    from medbench.cards import GUARDED
    from medbench.registry import load_registry
    from medbench.report.measured import Kept
    from medbench.report.samples import asked_about, columns, rows_of
    from medbench.runs import find_run

    folder = find_run(run, Path(runs_dir))
    kept = Kept(folder, load_registry())
    rows = [row for row in rows_of(kept) if not failed or row.status.startswith("failed")]
    private = folder.read_record().data.access in GUARDED and not include_data
    if show:
        _show(rows, show, asked_about(kept, show), json=json)
        return
    left_out = " (texts left out: data under an agreement; --include-data writes them)" if private else ""
    if csv or parquet:
        names, flat = columns(rows, private=private)
        if csv:
            _write_csv(csv, names, flat)
        if parquet:
            _write_parquet(parquet, names, flat)
        print(f"{len(flat)} rows written to {' and '.join(str(path) for path in (csv, parquet) if path)}{left_out}")
        return
    if json:
        arguments.print_json(columns(rows, private=True)[1] if private else rows)
        if private:
            print(f"{len(rows)} rows{left_out}", file=sys.stderr)
        return
    _print(rows if all_ else rows[:ON_SCREEN], len(rows), failed=failed)


def _print(rows: list[SampleRow], total: int, *, failed: bool) -> None:
    from medbench.cli.layout import console, short, table

    conditions = any(row.condition for row in rows)
    if failed:
        heads = ["id", *(["condition"] if conditions else []), "status", "why"]
        lines = [[row.id, *([row.condition] if conditions else []), row.status, row.error] for row in rows]
        console().print(table(heads, lines, whole=(0,)))
        _say_more(len(rows), total)
        return
    heads = ["id", *(["condition"] if conditions else []), "question", "prediction", "reference", "status"]
    lines = [
        [
            row.id,
            *([row.condition] if conditions else []),
            short(row.question, 28),
            short(row.prediction or row.error, 36),
            short(row.reference, 36),
            row.status,
        ]
        for row in rows
    ]
    console().print(table(heads, lines))
    _say_more(len(rows), total)


def _say_more(shown: int, total: int) -> None:
    if shown < total:
        print(f"{shown} of {total} rows; --all prints all, --csv FILE writes them, --show ID shows one whole")


def _show(rows: list[SampleRow], name: str, asked: dict[str, dict[str, list[dict[str, Any]]]], *, json: bool) -> None:
    found = [row for row in rows if row.id == name]
    if not found:
        raise UsageError(f"no sample {name} in this run", hint=suggestion(name, {row.id for row in rows}))
    if json:
        import msgspec

        arguments.print_json([{**msgspec.to_builtins(row), "asked": asked.get(row.condition, {})} for row in found])
        return
    from medbench.cli.layout import console

    out = console()
    for row in found:
        facts: dict[str, Any] = {
            f: getattr(row, f) for f in ("id", "group", "condition", "status", "error", "question", "prediction", "reference")
        }
        facts |= {f"meta {key}": value for key, value in row.meta.items()}
        facts |= {key: "–" if value is None else f"{value:.4g}" for key, value in row.scores.items()}
        for key, value in facts.items():
            if value != "":
                out.print(f"{key:<22} {value}", soft_wrap=True)
        for metric, calls in asked.get(row.condition, {}).items():
            for number, call in enumerate(calls, 1):
                out.print(f"\nasked for {metric}, call {number} of {len(calls)}", soft_wrap=True)
                for key, value in call.items():
                    out.print(f"  {key:<20} {value}" if "\n" not in str(value) else f"  {key}\n{_indented(str(value))}", soft_wrap=True)
        print()


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def _write_csv(path: Path, names: list[str], rows: list[dict[str, Any]]) -> None:
    import csv
    import io

    from medbench.files import write_whole

    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, buffer.getvalue().encode())


def _write_parquet(path: Path, names: list[str], rows: list[dict[str, Any]]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError("--parquet needs pyarrow", hint="pip install 'medbench[parquet]', or --csv FILE") from None
    pq.write_table(pa.table({name: [row[name] for row in rows] for name in names}), path)
