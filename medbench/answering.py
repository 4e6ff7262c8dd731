"""Asking a model for what is missing: the one door between the pipeline and an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from medbench.check import misfit
from medbench.costs import Bill, bill
from medbench.errors import UsageError
from medbench.events import Event, Note, Progress
from medbench.files import FileDigests, cache_folder
from medbench.identity import digest_of, request_key, safe_name, tree_digest
from medbench.plan import ModelPlan
from medbench.store import Outputs, Store
from medbench.types import Asked, Failed, Loaded, Request, Struct, Text

WINDOW = 16
"""A window is so many batches: enough for a model to sort by length and to keep what it computed for an image."""
LOG = "model.log"
"""What a model in a process of its own prints, beside its outputs."""


class Answered(Struct):
    """What came of asking."""

    outputs: Any
    """`Outputs`, by request."""
    asked: int
    """Requests put to the model in this call."""
    done: int
    total: int
    bill: Bill | None = None
    """What the outputs took; None: the model neither has a price nor sends its requests anywhere."""

    @property
    def complete(self) -> bool:
        """Whether there is an output for every request."""
        return self.done == self.total


def identity_of(model: ModelPlan, fitted: str = "") -> str:
    """Return who a model is, as a folder name: everything that changes its outputs, and nothing that does not.

    Args:
        model: Card and options.
        fitted: Digest of what it was fitted on, for a model fitted by the run.
    """
    digests = FileDigests(cache_folder("digests", "weights.json"))
    options: dict[str, Any] = {}
    for name, value in model.options.items():
        if name in model.card.neutral:
            continue
        path = Path(str(value)).expanduser() if name in model.card.paths and value else None
        options[name] = f"sha256:{tree_digest(path, digests.digest)}" if path and path.exists() else value
    digests.save()
    facts = {"plugin": model.plugin, "card": model.card.name, "version": model.card.version, "options": options, "fitted": fitted}
    shown = ":".join(filter(None, (model.card.name, str(model.options.get("name", "")))))
    return f"{safe_name(shown)}-{digest_of(facts)[:16]}"


def ask(
    model: ModelPlan,
    identity: str,
    options: dict[str, Any],
    requests: Iterable[Request],
    executor: Any,
    store: Store,
    *,
    retry_failed: bool = False,
    shard: tuple[int, int] | None = None,
    max_cost: float | None = None,
) -> Iterator[Event | Answered]:
    """Ask for every request that has no output yet, keep each as it comes, and yield `Answered` last.

    Args:
        model: The model's card and window.
        identity: Under whose name outputs are kept.
        options: What the model is built from.
        requests: All requests of the run; equal ones are asked once.
        executor: Where the model runs.
        store: Where outputs are kept.
        retry_failed: Ask again for whatever failed, not for transient failures alone.
        shard: (part, parts): ask for this part of the requests only.
        max_cost: What the outputs may cost in US dollars, with those that are there; None: no limit.

    Raises:
        MedbenchError: the model suits no request, cannot be loaded or broke its interface; a quota is used up; the disk is full.
    """
    wanted, faults = _told_apart(model, identity, requests)
    mine = [key for key in wanted if shard is None or int(key[:8], 16) % shard[1] == shard[0] - 1]
    missing = store.missing(mine, retry_failed=retry_failed)
    failed = len(faults) + sum(bool(store.failed(key)) for key in set(mine).difference(missing))
    before = _bill(model, store, wanted)
    usd = before.usd if before else None
    begun = Progress(
        stage="predict",
        done=len(mine) - len(missing) + len(faults),
        total=len(mine) + len(faults),
        failed=failed,
        usd=usd,
        most_usd=max_cost,
    )
    yield begun
    if missing:
        # neighbours share an image, so that a model computes its features once
        missing.sort(key=lambda key: tuple(image.digest for image in wanted[key].images))
        queue = _queue(missing, wanted, model.batch_size * WINDOW, store, retry_failed=retry_failed)
        if max_cost is not None and usd is not None:
            options = {**options, "max_cost": max(0.0, max_cost - usd)}
        yield from _exchange(model, options, queue, executor, store, begun)
        open_ = sum(key not in store for key in mine)
        if open_:
            yield Note(text=f"{open_} of {len(mine)} requests were not answered; the same command asks again")
    outputs = Outputs(store, identity, faults, store.read_facts())
    done = sum(key in store for key in wanted)
    yield Answered(outputs=outputs, asked=len(missing), done=done, total=len(wanted), bill=_bill(model, store, wanted))


def _bill(model: ModelPlan, store: Store, keys: Iterable[str]) -> Bill | None:
    """Return what the outputs that are there took, for a model that costs or that is elsewhere."""
    price = model.price
    if price is None and not model.card.networked:
        return None
    return bill((store.get(key) for key in keys if key in store), price)


def prospect(model: ModelPlan, identity: str, requests: Iterable[Request], folder: Path, *, retry_failed: bool = False) -> tuple[int, int]:
    """Return how many different requests a run would put to a model, and how many of them have no output yet; nothing is asked.

    Raises:
        UsageError: the model takes none of the requests.
    """
    wanted, _ = _told_apart(model, identity, requests)
    if not folder.is_dir():
        return len(wanted), len(wanted)
    with Store(folder) as store:
        return len(wanted), len(store.missing(wanted, retry_failed=retry_failed))


def _told_apart(model: ModelPlan, identity: str, requests: Iterable[Request]) -> tuple[dict[str, Request], dict[str, Failed]]:
    """Return by key what can be asked, and what fails by what is known already: a broken image, inputs the model does not take.

    Raises:
        UsageError: the model takes none of the requests.
    """
    wanted: dict[str, Request] = {}
    faults: dict[str, Failed] = {}
    unfit: list[str] = []
    for request in requests:
        key = request_key(identity, request)
        fault = next((f"{image.path}: {image.fault}" for image in request.images if image.fault), "")
        if not fault and (fault := misfit(model.card, request)):
            unfit.append(fault)
        if fault:
            faults[key] = Failed(kind="input", error=fault)
        else:
            wanted[key] = request
    if unfit and not wanted:
        hint = "another model (medbench list models), --protocol or --param (report: images=N sends fewer)"
        raise UsageError(f"{model.name} takes none of the {len(unfit):,} requests: {unfit[0]}", hint=hint)
    return wanted, faults


def _exchange(
    model: ModelPlan, options: dict[str, Any], queue: Iterator[Asked], executor: Any, store: Store, begun: Progress
) -> Iterator[Event]:
    """Put the queue to the executor and keep each answer as it comes; `begun` is how far the requests were before."""
    done, failed, usd, price = begun.done, begun.failed, begun.usd, model.price
    yield Progress(stage="load", done=0, total=1)
    for message in executor.map(model.card, options, queue, model.batch_size * WINDOW, store.folder / LOG):
        if isinstance(message, Loaded):
            store.write_facts(msgspec.to_builtins(message.facts))
            yield Progress(stage="load", done=1, total=1)
            continue
        store.append(message.key, message.output)
        done += 1
        failed += isinstance(message.output, Failed)
        if price and usd is not None and isinstance(message.output, Text):
            usd += price.of(message.output.usage)
        yield Progress(stage="predict", done=done, total=begun.total, failed=failed, usd=usd, most_usd=begun.most_usd)


def _queue(missing: list[str], wanted: dict[str, Request], window: int, store: Store, *, retry_failed: bool) -> Iterator[Asked]:
    """Yield what is to be asked, leaving out what another process answered meanwhile."""
    for start in range(0, len(missing), window):
        store.refresh()
        for key in store.missing(missing[start : start + window], retry_failed=retry_failed):
            yield Asked(key=key, request=wanted[key])
