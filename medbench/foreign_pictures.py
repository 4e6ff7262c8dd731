"""Pictures that any tool drew: a folder of files, matched to the prompts by file name, by a table, or not at all."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image as Pillow

from medbench.errors import DataError, suggestion
from medbench.files import picture_fault
from medbench.identity import LENGTH, hash_order
from medbench.joining import Joined
from medbench.types import Failed, Picture, Prediction, Sample, Value

ENDINGS = (".png", ".jpg", ".jpeg")
FILE_COLUMNS = ("file", "filename", "picture", "image", "prediction")
NAME_COLUMNS = ("id", "prompt")


def join_pictures(folder: Path, samples: Sequence[Sample], table: Path | None = None) -> Joined:
    """Join a folder of pictures to the prompts they were drawn for.

    Args:
        folder: PNG and JPEG files; folders below it are not read.
        samples: What was to be drawn.
        table: CSV with `file` and `id` or `prompt`; None: files are named after ids, or nothing is known of their prompts.

    Returns:
        Predictions; `matched_by` is `id`, `prompt`, `file name`, or `nothing`. A file that is no whole picture is `Failed`.

    Raises:
        DataError: there is no picture, the table lacks a column or a file, or it names what no sample has.
    """
    files = {path.name: path for path in _files(folder)}
    if table is not None:
        matched_by, given = _by_table(table, files, samples)
    else:
        ids = {sample.id for sample in samples}
        given = {path.stem: path for path in files.values() if path.stem in ids}
        matched_by = "file name"
        if not given:
            matched_by = "nothing"
            given = dict(zip(hash_order(ids), files.values(), strict=False))
    used = set(given.values())
    predictions = [Prediction(sample=sample.id, value=_picture(given[sample.id])) for sample in samples if sample.id in given]
    missing = tuple(sample.id for sample in samples if sample.id not in given)
    absent = [Prediction(sample=name, value=Failed(kind="model", error="no picture of it in the folder")) for name in missing]
    return Joined(
        predictions=(*predictions, *absent),
        missing=missing,
        unknown=tuple(path.name for path in files.values() if path not in used),
        matched_by=matched_by,
    )


def pictures_digest(folder: Path, table: Path | None = None) -> str:
    """Return the digest of the pictures and their names, and of the table."""
    made = hashlib.sha256()
    for path in [*_files(folder), *([table] if table else [])]:
        made.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return made.hexdigest()[:LENGTH]


def _files(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}", hint="--pictures DIR: a folder of PNG or JPEG files") from None
    if not found:
        raise DataError(f"{folder}: no pictures in it", hint=f"expected files that end in {', '.join(ENDINGS)}")
    return found


def _picture(path: Path) -> Value:
    content = path.read_bytes()
    fault = picture_fault(path.suffix, content)
    if not fault:
        try:
            with Pillow.open(path) as opened:
                width, height = opened.size
        except (OSError, Pillow.DecompressionBombError, ValueError) as error:
            fault = str(error)
    if fault:
        return Failed(kind="input", error=f"{path.name}: {fault}")
    return Picture(path=str(path.resolve()), width=width, height=height, digest=hashlib.sha256(content).hexdigest()[:LENGTH])


def _by_table(table: Path, files: Mapping[str, Path], samples: Sequence[Sample]) -> tuple[str, dict[str, Path]]:
    """Return how the table names samples, and sample id -> picture."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as CSV ({error})", hint="a CSV with the columns file, and id or prompt") from None
    columns = {name.lower(): name for name in (rows[0] if rows else {}) if name}
    file_column = next((columns[name] for name in FILE_COLUMNS if name in columns), None)
    name_column = next((name for name in NAME_COLUMNS if name in columns), None)
    if file_column is None or name_column is None:
        raise DataError(f"{table}: needs the columns file, and id or prompt; it has {', '.join(columns) or 'none'}")
    waiting: dict[str, deque[str]] = {}
    for sample in samples:
        waiting.setdefault(sample.id if name_column == "id" else sample.prompt, deque()).append(sample.id)
    counts = Counter(row[columns[name_column]] for row in rows)
    given: dict[str, Path] = {}
    for line, row in enumerate(rows, 2):
        name, picture = row[columns[name_column]], row[file_column]
        if picture not in files:
            raise DataError(f"{table}: line {line}: no picture {picture!r} in the folder", hint=suggestion(str(picture), files))
        if name not in waiting:
            raise DataError(f"{table}: line {line}: no sample of the split has the {name_column} {name!r}")
        if not waiting[name]:
            raise DataError(f"{table}: line {line}: {counts[name]} pictures for the {name_column} {name!r}, which is asked less often")
        given[waiting[name].popleft()] = files[picture]
    return name_column, given
