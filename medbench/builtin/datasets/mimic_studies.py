"""The studies of MIMIC-CXR: which pictures they have, seen from where, when, and in which split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from medbench.builtin.datasets.mimic_layout import METADATA, SPLIT, require_part
from medbench.builtin.datasets.tables import SPLITS, read_table, refuse, split_value

PACKAGE = "MIMIC-CXR-JPG"

FRONTAL = ("PA", "AP")
LATERAL = ("LATERAL", "LL")
_RANK = {"PA": 0, "AP": 1, "LATERAL": 2, "LL": 3}
_ROLES = {**dict.fromkeys(FRONTAL, "image"), **dict.fromkeys(LATERAL, "lateral")}


class View(msgspec.Struct, frozen=True, gc=False, array_like=True, order=True):
    """One picture of a study; sorted, PA comes before AP before lateral ones before the rest."""

    rank: int
    dicom: str
    position: str

    @property
    def role(self) -> str:
        """What the picture is for a request."""
        return _ROLES.get(self.position, "other")


class Study(msgspec.Struct, frozen=True, gc=False):
    """A study of the split that was asked for."""

    subject: str
    number: str
    views: list[View]
    taken: str
    """Shifted date and true time of day, `2180-05-06T21:30:14`; empty: not known."""

    def chosen(self, views: str) -> list[View]:
        """Return the pictures for `views`: `all`, or `frontal` for the one frontal, PA before AP; empty: there is none."""
        if views == "all":
            return self.views
        return self.views[:1] if self.views[0].position in FRONTAL else []


class Studies(msgspec.Struct, frozen=True):
    """The studies of one split in order of their numbers, and how many pictures each split has."""

    found: list[Study]
    pictures: dict[str, int]


def read_studies(root: Path, split: str) -> Studies:
    """Return the studies of one split.

    Raises:
        DataError: a table is missing or torn, a picture is there twice, an id or a split is none.
    """
    owners, counts = _owners(require_part(root, SPLIT, PACKAGE), split)
    views, taken = _views(require_part(root, METADATA, PACKAGE), owners)
    by_study: dict[str, list[View]] = {}
    for dicom, (_, study) in owners.items():
        position = views.get(dicom, "")
        view = View(_RANK.get(position, 4), dicom, position)
        if study in by_study:
            by_study[study].append(view)
        else:
            by_study[study] = [view]
    subjects = {study: subject for subject, study in owners.values()}
    found = [Study(subjects[number], number, sorted(by_study[number]), taken.get(number, "")) for number in sorted(by_study)]
    return Studies(found, counts)


def _owners(path: Path, split: str) -> tuple[dict[str, tuple[str, str]], dict[str, int]]:
    """Return picture -> (subject, study) for one split, and the number of pictures of each."""
    owners: dict[str, tuple[str, str]] = {}
    others: set[str] = set()
    counts: Counter[str] = Counter()
    pairs: dict[str, tuple[str, str]] = {}
    for line, (dicom, study, subject, named) in read_table(path, ("dicom_id", "study_id", "subject_id", "split")):
        part = SPLITS.get(named) or split_value(path, line, named)
        counts[part] += 1
        if dicom in owners or dicom in others:
            refuse(path, line, f"the dicom_id {dicom} is there twice")
        if part != split:
            others.add(dicom)
            continue
        pair = pairs.get(study)
        if pair is None:
            pair = pairs[study] = (subject, study)
        _require_ids(path, line, dicom, study, subject)
        if pair[0] != subject:
            refuse(path, line, f"the study {study} belongs to two subjects, {pair[0]} and {subject}")
        owners[dicom] = pair
    return owners, dict(counts)


def _require_ids(path: Path, line: int, dicom: str, study: str, subject: str) -> None:
    """Ids become parts of paths, so nothing but digits and letters may be in them."""
    if not (study.isdecimal() and subject.isdecimal() and dicom.replace("-", "").isalnum()):
        name = "study_id" if not study.isdecimal() else "subject_id" if not subject.isdecimal() else "dicom_id"
        value = {"study_id": study, "subject_id": subject, "dicom_id": dicom}[name]
        refuse(path, line, f"{name} is {value!r}, which is no id")


def _views(path: Path, owners: dict[str, tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Return picture -> view position and study -> when it was taken, for the pictures asked for."""
    views: dict[str, str] = {}
    taken: dict[str, str] = {}
    known: dict[str, str] = {}
    for line, (dicom, position, date, time) in read_table(path, ("dicom_id", "ViewPosition"), optional=("StudyDate", "StudyTime")):
        owner = owners.get(dicom)
        if owner is None:
            continue
        if dicom in views:
            refuse(path, line, f"the dicom_id {dicom} is there twice")
        if position not in known:
            known[position] = position.strip().upper()
        views[dicom] = known[position]
        if owner[1] not in taken:
            taken[owner[1]] = moment(date, time)
    return views, taken


def moment(date: str, time: str) -> str:
    """Return date and time of a study; the time is a number that lost its leading zeros. Empty: there is no date.

    >>> moment("21800506", "80556.875")
    '2180-05-06T08:05:56'
    """
    if len(date) != 8 or not date.isdecimal():
        return ""
    clock = time.partition(".")[0].zfill(6)
    shown = f"T{clock[:2]}:{clock[2:4]}:{clock[4:6]}" if time and clock.isdecimal() and len(clock) == 6 else ""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}{shown}"


def frontal_share(studies: Studies) -> Iterator[str]:
    """Yield a remark on the studies without a frontal view."""
    lost = sum(not study.chosen("frontal") for study in studies.found)
    if lost:
        yield f"{lost:,} of the {len(studies.found):,} studies have no view marked PA or AP: they are left out"
