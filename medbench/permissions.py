"""What a user stated about where guarded data may go: the reason, the machines, and the day it was first said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

KEY = "permission_to_send"
"""Where a record keeps them: a list of `reason`, `to` (machines or models) and `date` (UTC, ISO 8601)."""


def dated(overrides: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides of a record with every permission ever stated for it, each under the day of its first statement.

    The same command on another day thus changes nothing.

    Args:
        overrides: What is stated now; a permission without a date is of today.
        earlier: What the record of the same predictions has.

    >>> old = {"permission_to_send": [{"reason": "DUA 7", "to": ["api.x.org"], "date": "2026-01-31"}]}
    >>> dated({"permission_to_send": [{"reason": "DUA 7", "to": ["api.x.org"]}]}, old) == old
    True
    """
    made = {**earlier, **overrides}
    stated = [*earlier.get(KEY, ()), *overrides.get(KEY, ())]
    known: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for one in stated:
        fresh = {**one, "to": list(one["to"]), "date": one.get("date") or datetime.now(UTC).date().isoformat()}
        known.setdefault((one["reason"], tuple(one["to"])), fresh)
    return {**made, KEY: list(known.values())} if known else made


def in_words(overrides: Mapping[str, Any]) -> list[str]:
    """Return the permissions of a record, a line each.

    >>> in_words({"permission_to_send": [{"reason": "DUA 7", "to": ["api.x.org"], "date": "2026-01-31"}]})
    ['permission to send to api.x.org: DUA 7 (stated 2026-01-31)']
    """
    lines = []
    for one in overrides.get(KEY, ()):
        to = f" to {', '.join(one['to'])}" if one["to"] else ""
        lines.append(f"permission to send{to}: {one['reason']} (stated {one['date']})")
    return lines
