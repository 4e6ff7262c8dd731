"""Pictures that any tool drew: a folder of files, matched to the prompts by file name, by a table, or not at all."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from medbench.errors import DataError, nearest
from medbench.files import picture_fault
from medbench.identity import LENGTH, hash_order
from medbench.joining import Joined
from medbench.types import Failed, Picture, Prediction, Sample, Value

ENDINGS = (".png", ".jpg", ".jpeg")
FILE_COLUMNS = ("file", "filename", "picture", "image", "prediction")
NAME_COLUMNS = ("id", "prompt")
SEPARATORS = (",", ";", "\t")


def join_pictures(folder: Path, samples: Sequence[Sample], table: Path | None = None) -> Joined:
    """Join a folder of pictures to the prompts they were drawn for.

    Args:
        folder: PNG and JPEG files; folders below it are not read.
        samples: What was to be drawn.
        table: CSV with `file` and `id` or `prompt`; None: files are named after ids, or nothing is known of their prompts.

    Returns:
        Predictions; `matched_by` is `id`, `prompt`, `file name`, or `nothing`. A file that is no whole picture is `Failed`.

    Raises:
        DataError: there is no picture, two files bear one name, the table lacks a column or a file, names what no sample has, or
            names something twice.
    """
    files = {path.name: path for path in _files(folder)}
    if table is not None:
        matched_by, given = _by_table(table, files, samples)
    else:
        ids = {sample.id for sample in samples}
        given = _by_name(files.values(), ids)
        matched_by = "file name"
        if not given:
            matched_by = "nothing"
            given = dict(zip(hash_order(ids), files.values(), strict=False))
    used = set(given.values())
    drawn = [sample.id for sample in samples if sample.id in given]
    with ThreadPoolExecutor(2) as pool:
        pictures = pool.map(_picture, (given[name] for name in drawn))
        predictions = [Prediction(sample=name, value=picture) for name, picture in zip(drawn, pictures, strict=True)]
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
    """Return a picture that can be decoded to its last row, or why it cannot."""
    content = path.read_bytes()
    fault = picture_fault(path.suffix, content)
    if not fault:
        try:
            with Pillow.open(io.BytesIO(content)) as opened:
                width, height = opened.size
                opened.load()
        except UnidentifiedImageError:
            fault = "not a picture"
        except (OSError, Pillow.DecompressionBombError, ValueError, SyntaxError) as error:
            fault = f"cannot be decoded ({error})"
    if fault:
        return Failed(kind="input", error=f"{path.name}: {fault}")
    return Picture(path=str(path.resolve()), width=width, height=height, digest=hashlib.sha256(content).hexdigest()[:LENGTH])


def _by_name(files: Iterable[Path], ids: Collection[str]) -> dict[str, Path]:
    """Return sample id -> the file named after it."""
    given: dict[str, Path] = {}
    for path in files:
        if path.stem in ids and given.setdefault(path.stem, path) != path:
            raise DataError(
                f"{path.parent}: {given[path.stem].name} and {path.name} are both named after {path.stem}", hint="leave one out"
            )
    return given


def _by_table(table: Path, files: Mapping[str, Path], samples: Sequence[Sample]) -> tuple[str, dict[str, Path]]:
    """Return how the table names samples, and sample id -> picture."""
    try:
        text = table.read_text(encoding="utf-8-sig")
        separator = max(SEPARATORS, key=text.partition("\n")[0].count)
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as CSV ({error})", hint="a CSV with the columns file, and id or prompt") from None
    columns = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    file_column = next((columns[name] for name in FILE_COLUMNS if name in columns), None)
    name_column = next((name for name in NAME_COLUMNS if name in columns), None)
    if file_column is None or name_column is None:
        said = f"{table}: needs the columns file, and id or prompt; it has {', '.join(columns) or 'none'}"
        raise DataError(said, hint=f"file may also be called {', '.join(FILE_COLUMNS[1:])}")
    waiting: dict[str, deque[str]] = {}
    for sample in samples:
        waiting.setdefault(sample.id if name_column == "id" else sample.prompt, deque()).append(sample.id)
    asked = {name: len(ids) for name, ids in waiting.items()}
    counts = Counter(row[columns[name_column]] for row in rows)
    given: dict[str, Path] = {}
    seen: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        name, picture = row[columns[name_column]], row[file_column]
        if not name or not picture:
            raise DataError(f"{table}: line {line}: a row without {'file' if name else name_column}", hint="fill it in, or leave it out")
        if picture not in files:
            raise DataError(f"{table}: line {line}: no picture {picture!r} in the folder", hint=_close(picture, files))
        if name not in waiting:
            raise DataError(f"{table}: line {line}: no sample of the split has the {name_column} {name!r}", hint=_close(name, waiting))
        if not waiting[name]:
            times = "once" if asked[name] == 1 else f"{asked[name]} times"
            said = f"{table}: line {line}: {counts[name]} pictures for the {name_column} {name!r}, which is asked {times}"
            raise DataError(said, hint="leave the others out: one picture a prompt")
        if seen.setdefault(picture, line) != line:
            raise DataError(f"{table}: line {line}: {picture} was given on line {seen[picture]} already", hint="one picture a prompt")
        given[waiting[name].popleft()] = files[picture]
    return name_column, given


def _close(name: str | None, known: Iterable[str]) -> str:
    """Return what may have been meant; unlike a list of all names, which has thousands."""
    close = nearest(str(name), sorted(known))
    return f"did you mean {' or '.join(close)}?" if close else ""
