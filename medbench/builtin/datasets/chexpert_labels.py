"""The 14 CheXpert labels: their names in the orders that files use, and what becomes of blanks and uncertain ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from medbench.builtin.datasets.tables import label_value

LABELS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia"),
    *("Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices"),
)
"""In the order of CheXpert's `train.csv`; MIMIC-CXR-JPG's files have them in alphabetical order. Files are read by name."""

POLICIES: dict[str, tuple[str, ...]] = {"uncertain": ("ignore", "ones", "zeros"), "blank": ("zeros", "ignore")}
"""Reader parameters and their values, the default first (Irvin et al. 2019: U-Ignore, U-Ones, U-Zeros; a blank is a zero)."""

_VALUE: dict[str, float | None] = {"ignore": None, "ones": 1.0, "zeros": 0.0}

Labels = dict[str, float | None]


def label_maker(names: Sequence[str], uncertain: str, blank: str) -> Callable[[Path, int, tuple[str, ...]], Labels]:
    """Return what makes labels of the fields of one row.

    Args:
        names: labels in the order of the fields.
        uncertain: what -1 becomes: `ignore` masks it, `ones`, `zeros`.
        blank: what a blank becomes: `zeros`, or `ignore` masks it.

    Returns:
        (path, line, fields) -> label -> 1.0, 0.0 or None. Rows with equal fields share one dict, since there are few kinds
        of rows among hundreds of thousands. It raises `DataError` for a field outside 1, 0, -1 and blank.
    """
    becomes: dict[float | None, float | None] = {1.0: 1.0, 0.0: 0.0, -1.0: _VALUE[uncertain], None: _VALUE[blank]}
    known: dict[tuple[str, ...], Labels] = {}

    def made(path: Path, line: int, fields: tuple[str, ...]) -> Labels:
        labels = known.get(fields)
        if labels is None:
            values = (label_value(path, line, name, text) for name, text in zip(names, fields, strict=True))
            labels = known[fields] = {name: becomes[value] for name, value in zip(names, values, strict=True)}
        return labels

    return made
