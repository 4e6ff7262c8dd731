"""Which column of a user's file holds what: named by the user, or known by its usual name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.custom_rows import Row
from medbench.builtin.datasets.strict import inner_path, text_field
from medbench.builtin.datasets.tables import label_value, split_value
from medbench.errors import DataError
from medbench.types import Image, Sample, Split

USUAL: dict[str, tuple[str, ...]] = {
    "id": ("id", "question_id", "image_id"),
    "image": ("image", "images", "image_path", "file_name", "path"),
    "split": ("split",),
    "group": ("group", "patient", "patient_id", "subject_id"),
    "question": ("question", "prompt"),
    "reference": ("reference", "references", "answer", "report", "caption"),
}
"""What a column is taken for by its name, where the user names none."""

NONE = "none"
"""A user's word for: there is no such column."""

LONGEST = 200
"""Longest text, in characters, that is carried along as a column of the sample."""


class Columns:
    """The names of a file's columns, and how a row becomes a sample.

    Args:
        path: The file, for messages.
        names: Names of its first row.
        given: The reader's parameters: our name -> the file's, `labels` (separated by commas), `separator`, `images`.
    """

    def __init__(self, path: Path, names: Sequence[str], given: Mapping[str, Any]) -> None:
        self.path = path
        self._chosen = {ours: str(given[ours]) for ours in USUAL if given.get(ours)}
        self.taken = {ours: _column(names, self._chosen.get(ours, ""), usual) for ours, usual in USUAL.items()}
        self._labels = tuple(name.strip() for name in str(given.get("labels") or "").split(",") if name.strip())
        self._separator = str(given.get("separator") or "|")
        self._folder = str(given.get("images") or "").strip("/")
        for ours, column in [*self.taken.items(), *(("labels", name) for name in self._labels)]:
            if column and column not in names:
                hint = f"--param reader.{ours}=NAME names another"
                raise DataError(f"{path}: no column {column!r} for {ours}; there are {', '.join(names)}", hint=hint)
        if not self.taken["reference"] and not self._labels:
            hint = "--param reader.reference=NAME, or --param reader.labels=NAME,NAME"
            raise DataError(f"{path}: no column with references; there are {', '.join(names)}", hint=hint)

    def split(self, row: Row, fixed: Split | None) -> Split:
        """Return the split of a row: the file's, else the column's, else test."""
        if fixed or not self.taken["split"]:
            return fixed or "test"
        where, fields = row
        text = self._text(fields, "split", where)
        try:
            return split_value(self.path, 0, text)
        except DataError:
            raise DataError(f"{self.path}: {where}: unknown split {text!r}", hint="one of train, val, test") from None

    def id(self, row: Row) -> str:
        """Return the id of a row: the column's, else the file and the line."""
        where, fields = row
        if not self.taken["id"]:
            return f"{self.path.name.partition('.')[0]}-{where.removeprefix('line ')}"
        name = self._text(fields, "id", where)
        if not name:
            raise DataError(f"{self.path}: {where}: {self.taken['id']} is empty", hint="every row needs an id of its own")
        return name

    def references(self, row: Row) -> tuple[str, ...]:
        """Return the references of a row as they stand, without blank ones."""
        where, fields = row
        column = self.taken["reference"]
        value = fields.get(column) if column else None
        texts = value if isinstance(value, list) else [value]
        if not all(text is None or (isinstance(text, str | int | float) and not isinstance(text, bool)) for text in texts):
            raise DataError(f"{self.path}: {where}: {column} is neither text nor a list of texts", hint="mend that row")
        return tuple(str(text) for text in texts if text is not None and str(text).strip())

    def sample(self, row: Row, split: Split) -> Sample:
        """Return a row as a sample; its group is the column's, else its first image, else itself."""
        where, fields = row
        name, images = self.id(row), self._images(fields, where)
        return Sample(
            id=name,
            group=self._text(fields, "group", where) or (images[0].path if images else name),
            split=split,
            images=images,
            prompt=self._text(fields, "question", where),
            references=self.references(row),
            labels={label: self._label(fields, label, where) for label in self._labels},
            meta=self._meta(fields),
        )

    def _text(self, fields: Mapping[str, Any], ours: str, where: str) -> str:
        column = self.taken[ours]
        return text_field(self.path, fields, column, where) if column else ""

    def _images(self, fields: Mapping[str, Any], where: str) -> tuple[Image, ...]:
        column = self.taken["image"]
        value = fields.get(column) if column else None
        names = [name.strip() for name in value.split(self._separator)] if isinstance(value, str) else value or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{self.path}: {where}: {column} is neither a path nor a list of paths", hint="mend that row")
        folder = f"{self._folder}/" if self._folder else ""
        return tuple(Image(path=inner_path(self.path, folder + name, where)) for name in names if name)

    def _label(self, fields: Mapping[str, Any], label: str, where: str) -> float | None:
        value = fields.get(label)
        try:
            known = label_value(self.path, 0, label, "" if value is None else str(value))
        except DataError:
            raise DataError(f"{self.path}: {where}: {label} is {value!r}", hint="allowed: 1, 0, -1 and a blank") from None
        return None if known == -1.0 else known

    def _meta(self, fields: Mapping[str, Any]) -> dict[str, str]:
        """Return the other columns, short ones alone: what subgroups are made of."""
        used = {*self.taken.values(), *self._labels}
        other = {name: str(value).strip() for name, value in fields.items() if name not in used and isinstance(value, str | int | float)}
        return {name: text for name, text in other.items() if text and len(text) <= LONGEST}


def _column(names: Sequence[str], chosen: str, usual: Sequence[str]) -> str:
    """Return the column that was chosen, else the first usual one that is there; empty: none."""
    if chosen:
        return "" if chosen == NONE else chosen
    return next((name for name in usual if name in names), "")
