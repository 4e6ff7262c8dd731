"""`medbench runs`: the runs below a runs folder."""

from __future__ import annotations

from pathlib import Path

from medbench.cli import common


def runs(*, runs_dir: common.RunsDir = "runs", json: common.Json = False) -> None:
    """List the runs that are there, finished or interrupted."""
    from medbench.errors import DataError
    from medbench.report.cells import interval, number
    from medbench.runs import all_runs

    heads = ["task", "model", "run", "samples", "failed", "score", "state"]
    rows = []
    for folder in all_runs(Path(runs_dir)):
        task, model, fingerprint = folder.path.parts[-3:]
        try:
            record = folder.read_record()
        except DataError:
            rows.append([task, model, fingerprint, "", "", "", "interrupted"])
            continue
        first = next((s for s in record.scores if not s.condition and not s.subgroup), None)
        shown = f"{first.name} {number(first.value, first.unit)} {interval(first.low, first.high, first.unit)}" if first else ""
        marks = ["synthetic"] * record.data.synthetic + [f"limit {record.data.limit}"] * (record.data.limit is not None)
        state = ", ".join(["finished", *marks])
        rows.append([task, record.model.name, fingerprint, f"{record.n_predictions:,}", f"{record.n_failed:,}", shown, state])
    if json:
        common.print_json([dict(zip(heads, row, strict=True)) for row in rows])
    elif not rows:
        print(f"no runs in {runs_dir}   (medbench run --task vqa-rad --model majority --data twin)")
    else:
        from medbench.cli.tables import console, table

        console().print(table(heads, rows, right=(3, 4)))
