"""`medbench report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medbench.cli import arguments


def report(
    run: Annotated[str, typer.Argument(help="A run's folder, fingerprint or task/model.")],
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Where to; default: report.html of the run.", show_default=False)] = None,
    samples: Annotated[int, typer.Option("--samples", min=0, help="Samples of each kind: worst, best, by chance.")] = 6,
    include_data: Annotated[bool, typer.Option("--include-data", help="Show texts and pictures of data under an agreement, too.")] = False,
    runs_dir: arguments.RunsDir = "runs",
) -> None:
    """Write one self-contained HTML page: scores with intervals, figures, samples, failures, subgroups, provenance."""
    from medbench.registry import load_registry
    from medbench.report.html import write_report
    from medbench.runs import find_run

    folder = find_run(run, Path(runs_dir))
    path = write_report(folder, load_registry(), include_data=include_data, out=out, samples=samples)
    print(f"report         {path} ({path.stat().st_size / 1e6:.1f} MB)")
