"""VQA-RAD in the public layout and in the MEVF packaging, with ids that are the same in both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from msgspec.structs import replace

from medbench.builtin.datasets.strict import inner_path, place, read_json, required_field, rows_of, text_field
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem, UsageError, suggestion
from medbench.identity import digest
from medbench.types import Image, Sample, Split, Struct

PUBLIC = "VQA_RAD Dataset Public.json"
PICTURES = "VQA_RAD Image Folder"
VARIANTS = ("official", "mevf")

PUBLISHED_TEST = "f3d589362ad7b5851c5ade3002887a0a"
"""Digest of the sorted (image, question, answer) triplets of the 451 published test questions."""

Part = Literal["test", "train", "frame"]
_RANK: dict[Part, int] = {"test": 0, "train": 1, "frame": 2}
"""The order in which equal triplets are numbered; `frame` are the questions that only MEVF's train set has."""


class Row(Struct):
    """A question of either packaging, cleaned."""

    part: Part
    image: str
    question: str
    answer: str
    triplet: tuple[str, str, str]
    """What makes it the same question in every packaging: image, question and answer, the words in lower case."""
    aliases: dict[str, str]
    meta: dict[str, str]
    case: str = ""


class VqaRad:
    """Reads `VQA_RAD Dataset Public.json`, or MEVF's `trainset.json` and `testset.json`, or both from one folder."""

    PARAMS: tuple[str, ...] = ()

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if variant and variant not in VARIANTS:
            return [Problem(f"vqa-rad has no variant {variant}", suggestion(variant, VARIANTS))]
        problems = [*_missing_questions(root, variant), *_missing_pictures(root)]
        marker = read_marker(root)
        if marker and not problems:
            return shortfalls(root, marker, _counts(_rows(root, VARIANTS[0])))
        return problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the samples of `train` or `test`, sorted by id.

        Raises:
            UsageError: there is no such split or variant.
            DataError: a file is missing, torn, or holds a row that cannot be used.
        """
        if split not in ("train", "test"):
            raise UsageError(f"vqa-rad has no split {split}", hint="it has train and test")
        rows = _rows(root, _variant(params))
        require_whole(root, _counts(rows))
        folder = _picture_folder(root, {row.image for row in rows})
        groups = _groups(rows)
        made = (_sample(row, name, groups, folder) for name, row in _numbered(rows) if (row.part == "test") == (split == "test"))
        yield from sorted(made, key=lambda sample: sample.id)

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return what test and train share, and whether the test set is the published one."""
        test = [sample for sample in samples if sample.split == "test"]
        train = list(self.read(root, "train", params))
        found = [*_shared(test, train), *_unseen_answers(test, train), *_repeated(train)]
        if read_marker(root) is None:
            found += _other_test_set(list(self.read(root, "test", params)))
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic VQA-RAD in the public layout: `size` test images (0: 100)."""
        from medbench.builtin.twins.vqa_rad import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def triplets_digest(samples: Iterable[Sample]) -> str:
    """Return a digest of which (image, question, answer) triplets there are: equal for every packaging of one test set."""
    return digest(*("\t".join(triplet) for triplet in sorted(map(_triplet, samples))))


# --- layout -----------------------------------------------------------------------------------------------------------


def _missing_questions(root: Path, variant: str) -> list[Problem]:
    if not root.is_dir():
        return [Problem(f"{root}: no such folder", "give the folder that holds the dataset with --data DIR")]
    if _mevf_folder(root) or (variant != "mevf" and (root / PUBLIC).is_file()):
        return []
    if variant == "mevf":
        return [Problem(f"{root}: no trainset.json and testset.json here or in mevf/", "the variant mevf reads the MEVF packaging")]
    inside = next((p.parent.name for p in sorted(root.glob(f"*/{PUBLIC}"))), "")
    hint = f"it is in {inside}/: give that folder" if inside else "or MEVF's trainset.json and testset.json, here or in mevf/"
    return [Problem(f"{root}: no {PUBLIC!r}", hint)]


def _missing_pictures(root: Path) -> list[Problem]:
    if any(any((root / folder).glob("*.jpg")) for folder in _picture_folders(root)):
        return []
    return [Problem(f"{root}: no pictures", f"expected synpic*.jpg in {PICTURES!r}, images/ or the folder itself", part="pictures")]


def _mevf_folder(root: Path) -> Path | None:
    pairs = ((folder, folder / "trainset.json", folder / "testset.json") for folder in (root, root / "mevf"))
    return next((folder for folder, train, test in pairs if train.is_file() and test.is_file()), None)


def _picture_folders(root: Path) -> list[str]:
    known = (PICTURES, "images", ".", "mevf/images", "mevf")
    return [folder for folder in known if (root / folder).is_dir()]


def _picture_folder(root: Path, names: set[str]) -> str:
    """Return the folder that has most of the pictures; the public one where none has any."""
    best, most = PICTURES, 0
    for folder in _picture_folders(root):
        held = len(names & {p.name for p in (root / folder).iterdir()})
        if held > most:
            best, most = folder, held
    return best


# --- rows -------------------------------------------------------------------------------------------------------------


def _variant(params: Mapping[str, Any]) -> str:
    variant = str(params.get("variant") or VARIANTS[0])
    if variant not in VARIANTS:
        raise UsageError(f"vqa-rad has no variant {variant}", hint=suggestion(variant, VARIANTS))
    return variant


def _rows(root: Path, variant: str) -> list[Row]:
    """Return the rows of a variant, each with the aliases and the case that the other packaging knows."""
    public = _public_rows(root / PUBLIC) if (root / PUBLIC).is_file() else []
    folder = _mevf_folder(root)
    mevf = [*_mevf_rows(folder / "testset.json", "test"), *_mevf_rows(folder / "trainset.json", "train")] if folder else []
    if variant == "mevf":
        rows, others = mevf, public
    elif public:
        rows, others = public, mevf
    else:
        rows, others = [row for row in mevf if row.part != "frame"], []
    if not rows:
        raise DataError(f"{root}: no questions of the variant {variant}", hint=f"expected {PUBLIC!r} or trainset.json and testset.json")
    return _joined(rows, others)


def _public_rows(path: Path) -> list[Row]:
    rows = []
    for index, row in enumerate(rows_of(path, read_json(path))):
        phrase = required_field(path, row, "phrase_type", place(index))
        rows.append(_row(path, row, place(index), "test" if phrase.startswith("test_") else "train", "qid"))
    return rows


def _mevf_rows(path: Path, part: Part) -> list[Row]:
    rows = []
    for index, row in enumerate(rows_of(path, read_json(path))):
        framed = part == "train" and required_field(path, row, "phrase_type", place(index)) == "frame"
        rows.append(_row(path, row, place(index), "frame" if framed else part, "mevf-qid"))
    return rows


def _row(path: Path, row: Mapping[str, Any], where: str, part: Part, alias: str) -> Row:
    meta = {name: text_field(path, row, name, where) for name in ("question_type", "answer_type", "image_organ", "phrase_type")}
    meta["phrase_type"] = meta["phrase_type"].removeprefix("test_")
    number = text_field(path, row, "qid", where)
    image = inner_path(path, required_field(path, row, "image_name", where), where)
    question, answer = required_field(path, row, "question", where), required_field(path, row, "answer", where)
    return Row(
        part=part,
        image=image,
        question=question,
        answer=answer,
        triplet=(image, _plain(question), _plain(answer)),
        aliases={alias: number} if number else {},
        meta={name: value for name, value in meta.items() if value},
        case=text_field(path, row, "image_case_url", where),
    )


def _joined(rows: list[Row], others: list[Row]) -> list[Row]:
    """Return rows in canonical order, each with the aliases of its partner in the other packaging."""
    partners: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in sorted(others, key=_canonical, reverse=True):
        partners[row.part, row.triplet].append(row)
    cases = {row.image: row.case for row in sorted([*others, *rows], key=_canonical, reverse=True) if row.case}
    made = []
    for row in sorted(rows, key=_canonical):
        waiting = partners[row.part, row.triplet]
        aliases = {**waiting.pop().aliases, **row.aliases} if waiting else row.aliases
        made.append(replace(row, aliases=dict(sorted(aliases.items())), case=cases.get(row.image, "")))
    return made


def _canonical(row: Row) -> tuple[Any, ...]:
    """Order rows by what they say, not by where they stand; only rows that say the same fall back on their numbers."""
    numbers = [(len(number), number) for _, number in sorted(row.aliases.items())]
    return (_RANK[row.part], row.triplet, row.question, row.answer, sorted(row.meta.items()), numbers)


def _numbered(rows: Iterable[Row]) -> Iterator[tuple[str, Row]]:
    """Yield (id, row) of rows in canonical order. A triplet's second row gets `-2`; frame rows come last and so renumber nothing."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        seen[row.triplet] += 1
        made = sha256("\0".join(row.triplet).encode()).hexdigest()[:10]
        count = seen[row.triplet]
        yield f"{PurePosixPath(row.image).stem}-{made}" + (f"-{count}" if count > 1 else ""), row


def _groups(rows: Iterable[Row]) -> dict[str, str]:
    """Return image -> group: the case, named after its first picture so that packagings without case URLs agree."""
    images = sorted({(row.image, row.case) for row in rows})
    first: dict[str, str] = {}
    for image, case in images:
        first.setdefault(case or image, PurePosixPath(image).stem)
    return {image: first[case or image] for image, case in images}


def _sample(row: Row, name: str, groups: Mapping[str, str], folder: str) -> Sample:
    split: Split = "test" if row.part == "test" else "train"
    return Sample(
        id=name,
        group=groups[row.image],
        split=split,
        images=(Image(path=(PurePosixPath(folder) / row.image).as_posix()),),
        prompt=row.question,
        references=(row.answer,),
        aliases=row.aliases,
        meta=row.meta,
    )


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    return dict(Counter("test" if row.part == "test" else "train" for row in rows))


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


# --- remarks ----------------------------------------------------------------------------------------------------------


def _triplet(sample: Sample) -> tuple[str, str, str]:
    return (PurePosixPath(sample.images[0].path).name, _plain(sample.prompt), _plain(sample.references[0]))


def _shared(test: Sequence[Sample], train: Sequence[Sample]) -> list[str]:
    ours, theirs = Counter(map(_triplet, test)), set(map(_triplet, train))
    images, known = {image for image, _, _ in ours}, {image for image, _, _ in theirs}
    found = []
    if shared := len(images & known):
        found.append(
            f"{shared} of the {len(images)} test images also occur in train: expect optimistic numbers for models trained on this set"
        )
    if same := sum(n for triplet, n in ours.items() if triplet in theirs):
        found.append(f"{same} of the {len(test)} test questions stand{'s' * (same == 1)} in train with the same image and answer")
    return found


def _unseen_answers(test: Sequence[Sample], train: Sequence[Sample]) -> list[str]:
    known = {_plain(sample.references[0]) for sample in train}
    unseen = [sample for sample in test if _plain(sample.references[0]) not in known]
    if not unseen:
        return []
    share = f"{len(unseen)} of the {len(test)} test answers"
    return [f"{share} never occur in train: choosing among the answers of train cannot reach 100 %"]


def _repeated(train: Sequence[Sample]) -> list[str]:
    extra = len(train) - len(set(map(_triplet, train)))
    return [f"{extra} of the {len(train)} train questions repeat an earlier one (same image, question and answer)"] if extra else []


def _other_test_set(test: Sequence[Sample]) -> list[str]:
    if triplets_digest(test) == PUBLISHED_TEST:
        return []
    return [f"the test set ({len(test)} questions) is not the published one (451): its numbers compare with nobody else's"]
