"""Writing a split in the formats that other tools read: LLaVA instruction JSON, JSONL, COCO captions; images are linked."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.cards import GUARDED, ProtocolCard, ReaderCard
from medbench.errors import PlanError, Problem, UsageError
from medbench.files import write_whole
from medbench.identity import hash_order
from medbench.index import require_inside, unique
from medbench.members import container_of
from medbench.options import RunOptions, attempt, convert_params
from medbench.plan import with_reader_params
from medbench.record import to_json
from medbench.registry import Registry, load
from medbench.roots import access_of, ensure_twin, find_root, is_synthetic, twin_folder
from medbench.tasks import Task, get_task
from medbench.types import Generate, Sample, Struct

SIDECAR = ".medbench.json"
"""Ending of the file that says what an exported file is."""


class Exported(Struct):
    """What was written, and from what."""

    task: str
    dataset: str
    split: str
    variant: str
    format: str
    n: int
    """Samples written."""
    n_without_reference: int
    """Samples left out, since the format has nothing to say without a reference."""
    n_cut: int
    """Samples of which only the first image was written."""
    access: str
    licence: str
    synthetic: bool
    images: str
    """The folder that image paths are relative to."""
    sha256: str
    permission: str = ""
    """Why guarded data was written outside its folder, in the user's words."""


def export(options: RunOptions, registry: Registry, form: str, out: Path, *, one_image: bool = False, permission: str = "") -> Exported:
    """Write a split of a task's data to one file, and beside it what it is; the text of guarded data stays in its folder.

    Args:
        options: Task, data, split, variant, parameters and limit.
        registry: The cards at hand.
        form: One of `FORMATS`.
        out: The file to write.
        one_image: Write the first image of each sample alone, as single-image models want it.
        permission: Why restricted or credentialed data may be written outside its folder; empty: it may not.

    Raises:
        PlanError: the task, its data or a parameter is not there.
        UsageError: the format is unknown, has no room for such data, or the file would leave the data folder.
    """
    if form not in FORMATS:
        raise UsageError(f"--format {form}: unknown", hint=f"one of {', '.join(FORMATS)}")
    source = _Source(options, registry)
    access = access_of(source.card, source.root)
    _require_home(source, out, access, permission)
    samples = source.samples()
    several = sum(len(sample.images) > 1 for sample in samples) if one_image else 0
    if one_image:
        samples = [msgspec.structs.replace(sample, images=sample.images[:1]) for sample in samples]
    kept = [sample for sample in samples if sample.references] if form != "jsonl" else samples
    _require_some(kept, source, form)
    digest = hashlib.sha256()
    write_whole(out, _counted(FORMATS[form](kept, source), digest.update))
    made = Exported(
        task=source.task.name,
        dataset=source.card.name,
        split=source.split,
        variant=source.variant,
        format=form,
        n=len(kept),
        n_without_reference=len(samples) - len(kept),
        n_cut=several,
        access=access,
        licence=source.card.licence,
        synthetic=is_synthetic(source.root),
        images=str(source.root.resolve()),
        sha256=digest.hexdigest(),
        permission=permission.strip(),
    )
    write_whole(out.with_name(out.name + SIDECAR), to_json(made))
    return made


class _Source:
    """What is exported: the task's data under the user's options."""

    def __init__(self, options: RunOptions, registry: Registry) -> None:
        problems: list[Problem] = []
        self.options = options
        self._registry = registry
        self.task: Task = with_reader_params(get_task(options.task, registry), options)
        self.card = registry.get(ReaderCard, self.task.dataset)
        self.split = options.split or self.task.split
        self.variant = options.variant or self.task.variant or (self.card.variants[0] if self.card.variants else "")
        root = find_root(self.card, options.data)
        if self.split not in self.card.splits:
            problems.append(Problem(f"{self.card.name} has no {self.split} split", f"it has: {', '.join(self.card.splits)}"))
        if isinstance(root, Problem):
            problems.append(root)
        else:
            if root == twin_folder(self.card):
                ensure_twin(self.card, root)
            problems += attempt(lambda: load(self.card)().check(root, self.variant), problems) or []
        if problems or isinstance(root, Problem):
            raise PlanError(problems)
        self.root: Path = root

    def samples(self) -> list[Sample]:
        """Return the samples of the split, sorted by id; with a limit, those that a run with it takes."""
        params = {**self.task.reader, "variant": self.variant}
        found = unique(load(self.card)().read(self.root, self.split, params), self.root)
        for sample in found.values():
            for image in sample.images:
                require_inside(self.root, image.path)
                if container_of(image.path) != image.path:
                    raise UsageError(f"{image.path}: a picture inside a container cannot be linked", hint="unpack the container first")
        return [found[name] for name in sorted(hash_order(found)[: self.options.limit])]

    def requests(self, samples: Sequence[Sample]) -> Iterator[Generate]:
        """Yield what a run of the task would ask about each sample: the very prompt and images."""
        card = self._protocol()
        problems: list[Problem] = []
        made = load(card)
        given = {name: value for name, value in self.options.params.items() if not name.startswith("reader.")}
        params = convert_params(made.Params, {**self.task.params, **given}, card.name, problems)
        if problems:
            raise PlanError(problems)
        for sample in samples:
            yield next(iter(made().requests([sample], params)))

    def _protocol(self) -> ProtocolCard:
        """Return the first of the task's protocols that asks for text; one that is not installed is passed over."""
        for name in self.task.protocol:
            with contextlib.suppress(UsageError):
                card = self._registry.get(ProtocolCard, name)
                if card.asks == "generate":
                    return card
        raise UsageError(f"{self.task.name} asks for no text, so there is no instruction to write", hint="--format jsonl")


def _require_home(source: _Source, out: Path, access: str, permission: str) -> None:
    """Keep the text of guarded data inside its folder, and files that we did not write as they are."""
    if out.exists() and not out.with_name(out.name + SIDECAR).exists():
        raise UsageError(f"{out} is there already, and is no exported file", hint="--out NAME of a new file")
    inside = out.resolve().is_relative_to(source.root.resolve())
    if access not in GUARDED or inside or permission.strip():
        return
    raise UsageError(
        f"{source.card.name} is {access} data, and {out} lies outside its folder",
        hint=f'write it below {source.root}, or state why you may: --i-have-permission-to-copy "…" (it goes on record)',
    )


def _require_some(samples: Sequence[Sample], source: _Source, form: str) -> None:
    if not samples:
        raise UsageError(
            f"{source.root}: the {source.split} split has nothing that {form} could say", hint="--split NAME, or --format jsonl"
        )


def _counted(chunks: Iterator[bytes], see: Callable[[bytes], Any]) -> Iterator[bytes]:
    for chunk in chunks:
        see(chunk)
        yield chunk


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _list_of(entries: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Yield a JSON list, one entry a line."""
    for number, entry in enumerate(entries):
        yield (b"[\n" if not number else b",\n") + _json(entry)
    yield b"\n]\n"


def _llava(samples: Sequence[Sample], source: _Source) -> Iterator[bytes]:
    return _list_of(_turns(sample, request) for sample, request in zip(samples, source.requests(samples), strict=True))


def _turns(sample: Sample, request: Generate) -> dict[str, Any]:
    """Return one conversation: a line for each image, named where their roles differ, then the instruction; the first reference answers."""
    paths = [image.path for image in request.images]
    named = len({image.role for image in request.images}) > 1
    marks = "".join(f"{image.role}: <image>\n" if named else "<image>\n" for image in request.images)
    asked = {"from": "human", "value": marks + request.prompt}
    entry: dict[str, Any] = {"id": sample.id}
    if paths:
        entry["image"] = paths[0] if len(paths) == 1 else paths
    return {**entry, "conversations": [asked, {"from": "gpt", "value": sample.references[0]}]}


def _jsonl(samples: Sequence[Sample], source: _Source) -> Iterator[bytes]:  # noqa: ARG001 - the formats' common parameters
    for sample in samples:
        row: dict[str, Any] = {"id": sample.id, "group": sample.group, "split": sample.split}
        row |= {"image": [image.path for image in sample.images], "question": sample.prompt, "references": list(sample.references)}
        row |= {name: value for name, value in sample.labels.items() if name not in row}
        # a column of the data may bear the name of one of ours
        row |= {(f"meta.{name}" if name in row else name): value for name, value in sample.meta.items()}
        yield _json(row) + b"\n"


def _coco(samples: Sequence[Sample], source: _Source) -> Iterator[bytes]:
    info = {"description": f"{source.card.name} {source.split}", "synthetic": is_synthetic(source.root), "licence": source.card.licence}
    yield b'{"info": ' + _json(info) + b', "type": "captions", "licenses": [],\n"images": '
    yield from _list_of(_coco_image(number, sample) for number, sample in enumerate(samples, 1))
    yield b', "annotations": '
    captions = ((number, text) for number, sample in enumerate(samples, 1) for text in sample.references)
    yield from _list_of({"id": k, "image_id": number, "caption": text} for k, (number, text) in enumerate(captions, 1))
    yield b"}\n"


def _coco_image(number: int, sample: Sample) -> dict[str, Any]:
    """Return the entry of a sample: COCO counts its images, so the sample's own id stands beside."""
    paths = [image.path for image in sample.images]
    return {"id": number, "file_name": paths[0] if paths else "", "sample": sample.id, "files": paths}


FORMATS: dict[str, Callable[[Sequence[Sample], _Source], Iterator[bytes]]] = {"llava": _llava, "jsonl": _jsonl, "coco": _coco}
