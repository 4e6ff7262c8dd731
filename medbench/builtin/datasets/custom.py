"""Users' own data: any folder with pictures and a manifest, whose columns are named by parameters or known by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from medbench.builtin.datasets.custom_columns import USUAL, Columns
from medbench.builtin.datasets.custom_rows import SUFFIXES, Form, Row, form_of, read_rows
from medbench.builtin.datasets.layout import absent, require_split
from medbench.builtin.datasets.novelty import copied_remark, with_novelty
from medbench.builtin.datasets.strict import inner_path
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem, UsageError, suggestion
from medbench.types import Sample, Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")
MANIFEST = "manifest.csv"
HERE = "{split}"
"""Stands in `file` for train, val and test, where each split has a file of its own."""

EXPORTED = ".medbench.json"
"""Ending of the file that stands beside an exported one."""

WORDS = 5
"""References shorter than so many words recur by nature, so nothing is said about copies of them."""


class Custom:
    """Reads a CSV, TSV or JSONL manifest, LLaVA instruction JSON, or COCO captions.

    Parameters (`reader` of a task, or `--param reader.NAME=value`): `file`, `format`, `images` (folder of the pictures),
    `id`, `image`, `split`, `group`, `question`, `reference` (columns; `none`: there is none), `labels` (columns, separated by
    commas), `separator` (between several images of one cell).
    """

    PARAMS = ("file", "format", "images", *USUAL, "labels", "separator")

    def check(self, root: Path, variant: str = "") -> list[Problem]:  # noqa: ARG002 - the interface's parameters
        """Return what is wrong with the folder: no manifest in it, or a twin of which something is gone."""
        if problems := absent(root):
            return problems
        if not _manifests(root):
            return [Problem(f"{root}: no manifest", f"a file with one of the suffixes {', '.join(SUFFIXES)} beside the pictures")]
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(_Files(root, {"file": MANIFEST}))) if marker else []

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the samples of one split in the order of the file.

        Raises:
            UsageError: there is no such split or parameter, or it is not clear which file is the manifest.
            DataError: the file is torn, lacks a column, or says one id twice; with the line.
        """
        require_split("custom", split, SPLITS)
        files = _Files(root, params)
        train = _look_through(files)
        if read_marker(root):
            require_whole(root, _counts(files))
        samples = (columns.sample(row, found) for columns, row, found in files.rows() if found == split)
        for sample in samples:
            long = any(len(reference.split()) >= WORDS for reference in sample.references)
            yield from with_novelty([sample], train) if train and long else [sample]

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return how many references are copied from train, and what the file leaves open."""
        files = _Files(root, params)
        columns = next(iter(files.rows()))[0]
        found = copied_remark(samples)
        if not columns.taken["group"]:
            what = "image" if columns.taken["image"] else "sample"
            found.append(f"no column names the patient: intervals treat each {what} as independent (--param reader.group=NAME)")
        if not columns.taken["split"] and not files.split_files:
            found.append("no column names the split: every row is in test (--param reader.split=NAME)")
        bare = sum(not sample.references and not sample.labels for sample in samples)
        return [*found, f"{bare} samples have no reference"] if bare else found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a folder with a manifest and drawn chest films: `size` test patients (0: 100)."""
        from medbench.builtin.twins.custom import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


class _Files:
    """The manifest of a folder, or one for each split."""

    def __init__(self, root: Path, params: Mapping[str, Any]) -> None:
        for name in params:
            if name not in (*Custom.PARAMS, "variant", "preset"):
                raise UsageError(f"custom has no parameter {name}", hint=suggestion(name, Custom.PARAMS))
        self._params = params
        named = str(params.get("file") or "")
        self.split_files = HERE in named
        form, forms = str(params.get("format") or ""), get_args(Form)
        if form and form not in forms:
            raise UsageError(f"reader.format={form}: unknown", hint=f"one of {', '.join(forms)}")
        self._form: Form | None = next((known for known in forms if known == form), None)
        self._files = _split_files(root, named) if self.split_files else [(_manifest(root, named), None)]

    def rows(self) -> Iterator[tuple[Columns, Row, Split]]:
        """Yield every row with the columns of its file and its split.

        Raises:
            DataError: a file cannot be read, or has no row.
        """
        for path, fixed in self._files:
            columns = None
            for row in read_rows(path, self._form or form_of(path)):
                columns = columns or Columns(path, list(row[1]), self._params)
                yield columns, row, columns.split(row, fixed)
            if columns is None:
                raise DataError(f"{path}: there is no row in it", hint="is this the right file?")


def _look_through(files: _Files) -> set[str]:
    """Return the references of train, having seen that no id is there twice."""
    seen: dict[str, str] = {}
    train: set[str] = set()
    for columns, row, split in files.rows():
        name = columns.id(row)
        if name in seen:
            fault = f"the id {name} is there already ({seen[name]})"
            raise DataError(f"{columns.path}: {row[0]}: {fault}", hint="ids are unique over all splits")
        seen[name] = row[0]
        if split == "train":
            train.update(reference.strip() for reference in columns.references(row))
    return train


def _counts(files: _Files) -> dict[str, int]:
    return dict(Counter(split for _, _, split in files.rows()))


def _manifests(root: Path) -> list[str]:
    """Return the files that may be a manifest; what `medbench export` wrote here, and says of its files, is none."""
    found = {p.name for p in root.iterdir() if p.is_file() and not p.name.startswith(".")}
    exported = {name for name in found if name.endswith(EXPORTED) or f"{name}{EXPORTED}" in found}
    return sorted(name for name in found - exported if name.lower().endswith(SUFFIXES))


def _manifest(root: Path, named: str) -> Path:
    """Return the file that was named, else the only one that can be it."""
    if named:
        return root / inner_path(root, named, "reader.file")
    found = _manifests(root)
    if len(found) != 1:
        listed = ", ".join(found[:6]) or "there is none"
        raise UsageError(
            f"{root}: which file is the manifest? ({listed})", hint="--param reader.file=NAME, or {split}.json for one a split"
        )
    return root / found[0]


def _split_files(root: Path, named: str) -> list[tuple[Path, Split | None]]:
    found: list[tuple[Path, Split | None]] = []
    for split in SPLITS:
        path = root / inner_path(root, named.replace(HERE, split), "reader.file")
        if path.is_file():
            found.append((path, split))
    if not found:
        raise UsageError(f"{root}: no file {named} for any split", hint=f"{HERE} stands for train, val and test")
    return found
