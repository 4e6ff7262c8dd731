"""Reading a split: ids, groups and file digests, and the manifest that pins what was evaluated. No pixel is decoded."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from medbench.errors import DataError, UsageError, suggestion
from medbench.files import FileDigests, cache_folder
from medbench.identity import LENGTH, digest, hash_order
from medbench.images import PRESETS
from medbench.types import Image, Sample, Struct


class Indexed(Struct):
    """The samples of one split and the digest that pins them."""

    samples: tuple[Sample, ...]
    manifest: str
    total: int = 0
    """How many samples the split has, whatever the limit."""

    @property
    def groups(self) -> list[str]:
        """The sorted distinct groups."""
        return sorted({sample.group for sample in self.samples})

    @property
    def n_images(self) -> int:
        """The number of distinct images."""
        return len({image.path for sample in self.samples for image in sample.images})


def digests_of(root: Path) -> FileDigests:
    """Return the remembered digests of a data folder."""
    return FileDigests(cache_folder("digests", digest(str(root.resolve())) + ".json"))


def read_index(reader: Any, root: Path, split: str, params: Mapping[str, Any], digests: FileDigests, limit: int | None = None) -> Indexed:
    """Read and index one split.

    Args:
        reader: A dataset's reader.
        root: The dataset's folder.
        split: `train`, `val` or `test`.
        params: The reader's parameters, `variant` among them; `preset` says how its images are decoded.
        digests: File digests remembered for this folder.
        limit: Take the first so many samples in hash order of their ids.

    Raises:
        DataError: two samples have one id, an image path leaves the folder, or the reader refuses the data.
        UsageError: there is no such decode preset.
    """
    preset = str(params.get("preset") or "default")
    if preset not in PRESETS:
        raise UsageError(f"reader.preset={preset}: no such decode preset", hint=suggestion(preset, PRESETS))
    samples = unique(reader.read(root, split, params), root)
    total = len(samples)
    if limit is not None:
        chosen = set(hash_order(samples)[:limit])
        samples = {name: sample for name, sample in samples.items() if name in chosen}
    indexed = list(samples.values())
    del samples
    _fill_in_digests(indexed, root, digests, preset)
    return Indexed(samples=tuple(indexed), manifest=manifest_of(indexed), total=total)


def remarks_on(indexed: Indexed, reader: Any, root: Path, params: Mapping[str, Any]) -> list[str]:
    """Return what a reader says of the samples at hand; one whose `remarks` takes `total` is told the size of the split."""
    more = {"total": indexed.total} if "total" in inspect.signature(reader.remarks).parameters else {}
    return list(reader.remarks(root, indexed.samples, params, **more))


def manifest_of(samples: Sequence[Sample]) -> str:
    """Return the digest of what is evaluated: samples with their image digests, in order of ids; not where files lie, nor other names."""
    made = hashlib.sha256()
    encode = msgspec.json.Encoder(order="deterministic").encode
    for sample in sorted(samples, key=lambda sample: sample.id):
        bare = tuple(Image(role=image.role, preset=image.preset, digest=image.digest) for image in sample.images)
        made.update(encode(msgspec.structs.replace(sample, images=bare, aliases={})) + b"\n")
    return made.hexdigest()[:LENGTH]


def require_inside(root: Path, path: str) -> None:
    """Refuse an image path that leads out of the data folder.

    Raises:
        DataError: it is absolute, or climbs with `..`.
    """
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise DataError(f"{root}: the image path {path!r} leaves the data folder", hint="mend that entry of the annotation")


def unique(read: Any, root: Path) -> dict[str, Sample]:
    """Return samples by id.

    Raises:
        DataError: two of them have one id.
    """
    samples: dict[str, Sample] = {}
    for sample in read:
        if samples.setdefault(sample.id, sample) is not sample:
            raise DataError(f"{root}: two samples have the id {sample.id!r}", hint="the reader must tell them apart")
    return samples


def _fill_in_digests(samples: list[Sample], root: Path, digests: FileDigests, preset: str) -> None:
    """Make image paths absolute and fill in what the files' bytes say, in place: a large split is not held twice."""
    paths = dict.fromkeys(image.path for sample in samples for image in sample.images)
    for path in paths:
        if path.startswith("/") or (".." in path and ".." in PurePosixPath(path).parts):
            raise DataError(f"{root}: the image path {path!r} leaves the data folder", hint="mend that entry of the annotation")
    base = root.resolve()
    facts = dict(zip(paths, digests.look_all(f"{base}/{path}" for path in paths), strict=True))
    digests.save()
    made: dict[Image, Image] = {}

    def placed(image: Image) -> Image:
        if image not in made:
            known = facts[image.path]
            # what is absent is known by where it should be in the dataset, so that moving the folder changes nothing
            found = known.digest or digest("unreadable", image.path)
            decoded = preset if image.preset == "default" else image.preset
            made[image] = msgspec.structs.replace(image, path=f"{base}/{image.path}", preset=decoded, digest=found, fault=known.fault)
        return made[image]

    for place, sample in enumerate(samples):
        if sample.images:
            samples[place] = msgspec.structs.replace(sample, images=tuple(placed(image) for image in sample.images))
