"""ROCO and ROCOv2: figures of articles with their captions and UMLS concepts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.layout import absent, require_options, require_split, require_variant, unknown_variant
from medbench.builtin.datasets.roco_layouts import SUBSETS, V1_FOLDERS, V2_NAMES, Item, v1_base, v1_items, v2_folder, v2_items
from medbench.builtin.twins.marker import read_marker, require_whole, shortfalls
from medbench.errors import DataError, Problem, UsageError
from medbench.types import Image, Sample, Split

VARIANTS = ("v1", "v2")
LABELS = ("", "modality", "cui")

MODALITIES = {
    "ct": re.compile(r"\b(?:ct|cts|cbct|mdct|hrct)\b|computed tomogra|computeri[sz]ed tomogra|\bcat scan", re.IGNORECASE),
    "mri": re.compile(r"\b(?:mri|mris|mr|fmri|mrcp)\b|magnetic resonance|\bt[12][- ]weighted", re.IGNORECASE),
    "ultrasound": re.compile(r"ultraso|sonogra|echocardiogra|\bdoppler", re.IGNORECASE),
    "fluoroscopy": re.compile(r"fluoroscop", re.IGNORECASE),
    "x-ray": re.compile(r"\bx[- ]?rays?\b|radiogra[mp]|roentgen", re.IGNORECASE),
    "angiography": re.compile(r"angiogra|arteriogra|\bdsa\b", re.IGNORECASE),
}
"""The six modalities of the ROCO-CLIP report and the words by which a caption names them."""


class Roco:
    """Reads ROCO's tab-separated folders (the variant v1) or ROCOv2's CSV files (v2)."""

    PARAMS = ("labels", "subset", "concepts")

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is missing from the folder, or how much of a twin is gone."""
        if wrong := [*unknown_variant("roco", variant, VARIANTS), *absent(root)]:
            return wrong
        problems = _missing_v2(root) if variant == "v2" else _missing_v1(root)
        marker = read_marker(root)
        return shortfalls(root, marker, _counts(root)) if marker and not problems else problems

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the figures of one split whose pictures are there, sorted by id; the reference is the caption.

        Parameters: `labels` (`modality`: those whose caption names exactly one of six modalities, with one label each;
        `cui`: those that have concepts, with a label for each of train's `concepts` most frequent CUIs, 50 unless said),
        `subset` (`radiology`, `non-radiology` or `all`).

        Raises:
            UsageError: there is no such split, variant or parameter.
            DataError: a file is missing or torn, or an id is there twice.
        """
        require_split("roco", split, tuple(V1_FOLDERS))
        require_variant("roco", params, VARIANTS)
        _require_known(params)
        if read_marker(root):
            require_whole(root, _counts(root))
        concepts = _frequent(root, params) if params.get("labels") == "cui" else []
        for item in sorted(_items(root, split, params), key=lambda item: item.id):
            if item.picture and item.caption and (sample := _sample(item, split, params, concepts)):
                yield sample

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return how many pictures are there, what the splits share, and how many licences allow no reuse."""
        if not samples:
            return []
        split = samples[0].split
        items = list(_items(root, split, params))
        found = [*_coverage(items, split), *_dropped(items, samples, params), *_repeated(samples), *_no_licence(items)]
        if split != "train":
            found += _shared_articles(samples, {item.article for item in _items(root, "train", params)})
        return found

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic ROCO in both layouts: figures of `size` test articles (0: 100)."""
        from medbench.builtin.twins.roco import write  # noqa: PLC0415 - numpy and Pillow, which reading does without

        write(root, seed, size)


def modalities_in(caption: str) -> list[str]:
    """Return the modalities that a caption names.

    >>> modalities_in("Axial CT scan of the chest"), modalities_in("CT angiography")
    (['ct'], ['ct', 'angiography'])
    """
    return [name for name, words in MODALITIES.items() if words.search(caption)]


def _missing_v1(root: Path) -> list[Problem]:
    base = v1_base(root)
    if base is None:
        hint = "ROCOv2's captions are there: --variant v2" if (root / "test_captions.csv").is_file() else "or with data/ above them"
        return [Problem(f"{root}: no train/radiology, validation/radiology and test/radiology", hint)]
    problems = [
        Problem(f"{base / name / SUBSETS[0]}: no captions.txt", "it is part of the ROCO repository")
        for name in V1_FOLDERS.values()
        if not (base / name / SUBSETS[0] / "captions.txt").is_file()
    ]
    if not any((base / name / SUBSETS[0] / "images").is_dir() for name in V1_FOLDERS.values()):
        problems.append(
            Problem(f"{base}: no pictures", "ROCO's scripts/fetch.py downloads them into <split>/radiology/images/", part="pictures")
        )
    return problems


def _missing_v2(root: Path) -> list[Problem]:
    problems = [
        Problem(f"{root}: no {name}_captions.csv", "it is part of ROCOv2 (Zenodo 10821435)")
        for name in V2_NAMES.values()
        if not (root / f"{name}_captions.csv").is_file()
    ]
    if not any(v2_folder(root, split) for split in V2_NAMES):
        problems.append(
            Problem(f"{root}: no pictures", "unpack train_images.zip, valid_images.zip and test_images.zip there", part="pictures")
        )
    return problems


def _require_known(params: Mapping[str, Any]) -> None:
    """Refuse what no parameter can be.

    Raises:
        UsageError: a parameter is unknown or has a value that is not allowed.
    """
    rest = {name: value for name, value in params.items() if name != "concepts"}
    require_options("roco", rest, {"labels": LABELS, "subset": (*SUBSETS, "all")})
    _concepts(params)


def _concepts(params: Mapping[str, Any]) -> int:
    """Return how many of train's most frequent CUIs are labels."""
    count = str(params.get("concepts", 50))
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(f"roco: concepts is {count!r}", hint="a positive number: how many of the most frequent CUIs are labels")
    return int(count)


def _items(root: Path, split: Any, params: Mapping[str, Any]) -> Iterator[Item]:
    if params.get("variant") == "v2":
        return v2_items(root, split)
    subset = params.get("subset") or SUBSETS[0]
    return v1_items(root, split, SUBSETS if subset == "all" else (subset,))


def _sample(item: Item, split: Any, params: Mapping[str, Any], concepts: Sequence[str]) -> Sample | None:
    """Make a sample; None: the labels asked for cannot be given."""
    named = modalities_in(item.caption)
    if (params.get("labels") == "modality" and len(named) != 1) or (params.get("labels") == "cui" and not item.concepts):
        return None
    labels: dict[str, float | None] = {}
    if params.get("labels") == "modality":
        labels = {name: float(name == named[0]) for name in MODALITIES}
    elif params.get("labels") == "cui":
        own = set(item.concepts)
        labels = {cui: float(cui in own) for cui in concepts}
    meta = {
        "modality": named[0] if len(named) == 1 else "",
        "cuis": ";".join(item.concepts),
        "first_cui": item.concepts[0] if item.concepts else "",
        "manual_cuis": ";".join(item.manual),
        "licence": item.licence,
        "subset": item.subset,
    }
    return Sample(
        id=item.id,
        group=item.article,
        split=split,
        images=(Image(path=item.picture),),
        references=(item.caption,),
        labels=labels,
        meta={name: value for name, value in meta.items() if value},
    )


def _frequent(root: Path, params: Mapping[str, Any]) -> list[str]:
    """Return train's most frequent CUIs, most frequent first, equal ones in order of their names."""
    counted = Counter(cui for item in _items(root, "train", params) if item.picture for cui in item.concepts)
    if not counted:
        raise DataError(f"{root}: train has no concepts", hint="labels=cui needs cuis.txt (v1) or train_concepts.csv (v2)")
    return sorted(counted, key=lambda cui: (-counted[cui], cui))[: _concepts(params)]


def _counts(root: Path) -> dict[str, int]:
    """Return how many figures each layout lists in each split, those without a picture included."""
    found: dict[str, int] = {split: sum(1 for _ in v1_items(root, split, SUBSETS)) for split in V1_FOLDERS}
    return found | {f"v2/{split}": sum(1 for _ in v2_items(root, split)) for split in V2_NAMES}


# --- remarks ----------------------------------------------------------------------------------------------------------


def _coverage(items: Sequence[Item], split: Split) -> list[str]:
    missing = sum(not item.picture for item in items)
    if not missing:
        return []
    share = f"{missing} of the {len(items)} {split} pictures ({100 * missing / len(items):.1f} %) are not there and left out"
    return [f"{share}: articles are withdrawn over time, so scores compare only on equal manifests"]


def _dropped(items: Sequence[Item], samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
    usable = sum(bool(item.picture and item.caption) for item in items)
    if params.get("labels") != "modality" or usable == len(samples):
        return []
    return [f"{usable - len(samples)} of {usable} figures are left out: their captions name no modality, or several"]


def _repeated(samples: Sequence[Sample]) -> list[str]:
    captions = Counter(sample.references[0] for sample in samples)
    twice = sum(count for count in captions.values() if count > 1)
    if not twice:
        return []
    return [f"{twice} of the {len(samples)} captions occur more than once in the split: any of their pictures is a right match"]


def _no_licence(items: Iterable[Item]) -> list[str]:
    licences = [item.licence for item in items if item.licence]
    none = sum(licence.upper().startswith("NO-CC") for licence in licences)
    if not none:
        return []
    return [f"{none} of the {len(licences)} pictures ({100 * none / len(licences):.1f} %) bear no Creative Commons licence"]


def _shared_articles(samples: Sequence[Sample], train: set[str]) -> list[str]:
    articles, split = {sample.group for sample in samples}, samples[0].split
    shared, figures = len(articles & train), sum(sample.group in train for sample in samples)
    if not shared:
        return []
    share = f"{shared} of the {len(articles)} {split} articles, with {figures} of the {len(samples)} {split} pictures"
    return [f"{share}, also have figures in train"]
