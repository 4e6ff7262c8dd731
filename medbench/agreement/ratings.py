"""Ratings by people, as a CSV file holds them: sample id, rater, rating, and the run where several are rated."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from medbench.agreement.scales import Scale
from medbench.errors import DataError, suggestion
from medbench.types import Struct

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "sample": ("sample", "sample id", "sample_id", "id"),
    "rater": ("rater", "reader", "annotator"),
    "rating": ("rating", "score", "level", "grade"),
    "run": ("run", "system", "model"),
}
"""Column -> the names it may have, in any case."""


class Rating(Struct):
    """One grade by one person."""

    sample: str
    rater: str
    rating: float
    run: str = ""
    """Whose answer was rated; empty: the file does not say."""
    line: int = 0


def read_ratings(path: Path, scale: Scale) -> list[Rating]:
    """Read ratings; a blank one is none.

    Raises:
        DataError: the file, a column or a value is missing or wrong, or one person rated one thing twice, differently; names the line.
    """
    rows = list(_rows(path))
    columns = _columns(path, rows[0][1] if rows else {})
    made: dict[tuple[str, str, str], Rating] = {}
    for number, row in rows:
        given = {name: (row.get(column) or "").strip() for name, column in columns.items()}
        if not given["rating"]:
            continue
        if not given["sample"] or not given["rater"]:
            raise DataError(f"{path}:{number}: {'sample' if not given['sample'] else 'rater'} is empty", hint="every rating has both")
        rating = Rating(
            sample=given["sample"],
            rater=given["rater"],
            rating=grade_of(given["rating"], scale, f"{path}:{number}"),
            run=given.get("run", ""),
            line=number,
        )
        known = made.setdefault((rating.run, rating.sample, rating.rater), rating)
        if known.rating != rating.rating:
            said = f"{rating.rater} gave {rating.sample} {rating.rating:g}, and {known.rating:g} in line {known.line}"
            raise DataError(f"{path}:{number}: {said}", hint="keep one of the two, or name two raters")
    if not made:
        raise DataError(f"{path}: no rating in it", hint="columns: sample, rater, rating (and run, where several are rated)")
    return list(made.values())


def grade_of(text: str, scale: Scale, where: str) -> float:
    """Return a grade.

    Raises:
        DataError: it is no grade of the scale.
    """
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = float("nan")
    if value not in scale.grades:
        raise DataError(f"{where}: {text[:20]!r} is no grade of the scale {scale.name}", hint="--scale LOW-HIGH names another scale")
    return value


def write_ratings(ratings: list[Rating]) -> bytes:
    """Return ratings as CSV, in a fixed order."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["sample", "rater", "rating", "run"])
    for one in sorted(ratings, key=lambda one: (one.run, one.sample, one.rater)):
        writer.writerow([one.sample, one.rater, f"{one.rating:g}", one.run])
    return buffer.getvalue().encode()


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the cells of each row."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", hint="a CSV file in UTF-8") from None
    head = content.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num, {key: value or "" for key, value in row.items() if isinstance(key, str)}
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}", hint="a CSV file in UTF-8") from None


def _columns(path: Path, row: Mapping[str, str]) -> dict[str, str]:
    """Return what each of our columns is called in the file."""
    there = {name.strip().lower(): name for name in row}
    found = {name: there[known] for name, names in COLUMNS.items() for known in reversed(names) if known in there}
    for name in ("sample", "rater", "rating"):
        if name not in found:
            raise DataError(f"{path}: no column {name}", hint=f"it has: {', '.join(row) or 'none'}; {suggestion(name, COLUMNS[name])}")
    return found
