"""`medbench runs`: the runs below a runs folder."""

from __future__ import annotations

from pathlib import Path

from medbench.cli import arguments


def runs(*, runs_dir: arguments.RunsDir = "runs", json: arguments.Json = False) -> None:
    """List the runs that are there, finished or interrupted."""
    from medbench.errors import DataError
    from medbench.report.cells import interval, number
    from medbench.runs import all_runs

    heads = ["run", "scored", "score", "state"]
    rows = []
    for folder in all_runs(Path(runs_dir)):
        name = "/".join(folder.path.parts[-3:])
        try:
            record = folder.read_record()
        except DataError:
            rows.append([name, "", "", "interrupted"])
            continue
        first = next((s for s in record.scores if not s.condition and not s.subgroup), None)
        shown = f"{first.name} {number(first.value, first.unit)} {interval(first.low, first.high, first.unit)}" if first else ""
        marks = ["synthetic"] * record.data.synthetic + [f"limit {record.data.limit}"] * (record.data.limit is not None)
        marks += [f"{record.n_failed:,} failed"] * bool(record.n_failed)
        answered = f"{record.n_predictions - record.n_failed:,}/{record.n_predictions:,}"
        rows.append([name, answered, shown, ", ".join(["finished", *marks])])
    if json:
        arguments.print_json([dict(zip(heads, row, strict=True)) for row in rows])
    elif not rows:
        print(f"no runs in {runs_dir}   (medbench run --task vqa-rad --model majority --data twin)")
    else:
        from medbench.cli.layout import console, table

        console().print(table(heads, rows, right=(1,)))
