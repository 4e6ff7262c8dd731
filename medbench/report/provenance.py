"""Where numbers come from: everything that would have to be the same for them to be the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from medbench.report.measured import Kept
from medbench.report.texts import fit

Facts = list[tuple[str, str]]


def provenance(kept: Kept) -> list[tuple[str, Facts]]:
    """Return headings and, under each, names and values in words."""
    record, plan = kept.record, kept.plan
    model, data = record.model, record.data
    made: list[tuple[str, Facts]] = [
        ("run", [("task", record.task), ("fingerprint", record.fingerprint), ("protocol", record.protocol), ("seed", str(record.seed))]),
        ("protocol parameters", list(flat(record.params))),
        ("model", [("name", model.name), ("identity", model.identity), ("kind", model.kind)]),
        ("model options", list(flat(model.options))),
        ("known after loading", list(flat(model.loaded))),
        ("fitted on", list(flat(model.fitted))),
        ("data", [("dataset", data.dataset), ("split", data.split), ("variant", data.variant), ("manifest", data.manifest)]),
        ("terms", [("licence", data.licence), ("access", data.access), ("obtain", plan.reader.obtain), ("citation", plan.reader.citation)]),
        ("cost and who answered", list(flat(msgspec.to_builtins(record.costs)))),
        ("remarks", [("", text) for text in record.remarks]),
        ("not computed", sorted({**record.not_computed, **kept.not_measured}.items())),
        ("how each metric was computed", list(flat(record.signatures))),
        ("predictions", [("SHA-256", record.predictions)]),
        ("versions", sorted(record.versions.items())),
    ]
    cleaned = [(heading, [(fit(name), fit(value)) for name, value in facts if value]) for heading, facts in made]
    return [(heading, facts) for heading, facts in cleaned if facts]


def flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested plain data: dotted names and values in words.

    >>> list(flat({"a": {"b": 1}, "c": [1, 2], "d": True}))
    [('a.b', '1'), ('c', '1, 2'), ('d', 'yes')]
    """
    for name, one in value.items():
        path = f"{before}{name}"
        if isinstance(one, Mapping):
            yield from flat(one, f"{path}.")
        else:
            yield path, in_words(one)


def in_words(value: Any) -> str:
    """Return plain data in words: yes and no, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(in_words, value))
    return "" if value is None else str(value)
