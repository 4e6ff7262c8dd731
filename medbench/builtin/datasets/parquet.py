"""Rows of parquet files, streamed; pyarrow is an extra, and one line says so where it is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import DataError
from medbench.members import MAX_BYTES, PARQUET

BATCH = 256
"""Rows that are in memory at a time: with pictures of a megabyte each, a quarter of a gigabyte."""


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield (row number, values of the columns) in the file's order.

    Raises:
        DataError: pyarrow is missing, the file is torn, or a column is not there.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DataError(f"{path}: {PARQUET}", hint="or use one of the dataset's other layouts") from error
    try:
        with parquet.ParquetFile(path) as opened:
            held = opened.schema_arrow.names
            missing = [name for name in columns if name not in held]
            if missing:
                raise DataError(f"{path}: no column {missing[0]!r}; there are {', '.join(held)}", hint="is this the right file?")
            _require_bounded(path, opened, columns)
            number = 0
            for batch in opened.iter_batches(batch_size=BATCH, columns=list(columns)):
                for row in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
                    yield number, row
                    number += 1
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as parquet ({error})", hint="is the download complete?") from error


def _require_bounded(path: Path, opened: Any, columns: Sequence[str]) -> None:
    """Refuse a file that says of itself that a part of it would not fit into memory."""
    for group in range(opened.num_row_groups):
        facts = opened.metadata.row_group(group)
        chunks = (facts.column(at) for at in range(facts.num_columns))
        size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.partition(".")[0] in columns)
        if size > MAX_BYTES:
            fault = f"row group {group} unpacks to {size:,} bytes, more than {MAX_BYTES:,}"
            raise DataError(f"{path}: {fault}", hint="write it again with smaller row groups")


def text_cell(path: Path, row: int, name: str, value: Any) -> str:
    """Return a cell as text without outer spaces.

    Raises:
        DataError: it holds no text, or nothing.
    """
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{path}: row {row}: {name} is missing or no text", hint="is this the right file?")
    return value.strip()
