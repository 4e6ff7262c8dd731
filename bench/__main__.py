"""`make bench`: measure every figure, print one line each, and write the same as JSON."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Figure = tuple[str, float, str, str, str, bool]
"""Name, value, unit, what it is held against, the bar, whether the bar is met."""


def sources() -> dict[str, Callable[[], Iterator[Figure]]]:
    """Return name -> what yields the figures: `bench/<name>_figures.py`, and `bench_<name>.py` of each plugin."""
    files = {path.stem.removesuffix("_figures"): path for path in sorted((ROOT / "bench").glob("*_figures.py"))}
    files |= {path.stem.removeprefix("bench_"): path for path in sorted((ROOT / "plugins").glob("*/bench_*.py"))}
    return {name: _load(path) for name, path in files.items()}


def _load(path: Path) -> Callable[[], Iterator[Figure]]:
    def figures() -> Iterator[Figure]:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        yield from module.figures()

    return figures


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", default="", help="a source of figures, or the beginning of a figure's name")
    parser.add_argument("--json", type=Path, default=ROOT / "bench.json")
    given = parser.parse_args()
    known = sources()
    chosen = [given.only] if given.only in known else list(known)
    measured = []
    for name in chosen:
        for figure in known[name]():
            label, value, unit, against, bar, ok = figure
            if given.only in known or label.startswith(given.only):
                print(f"{label:<44} {value:>12,.4g} {unit:<10} {against:<38} {bar:<14} {'ok' if ok else 'short'}", flush=True)
                measured.append(dict(zip(("name", "value", "unit", "against", "bar", "ok"), figure, strict=True)))
    given.json.write_text(json.dumps(measured, indent=2) + "\n")
    if not measured:
        sys.exit(f"no figure named {given.only}; sources: {', '.join(known)}")


if __name__ == "__main__":
    main()
