"""The failures a person can act on; anything else that is raised is a bug and keeps its traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MedbenchError(Exception):
    """A request that cannot be carried out: one line of what is wrong and one of what to do about it.

    Args:
        message: What is wrong.
        hint: What would help.
        quotes: The message quotes what a model or a machine elsewhere said, which may quote the data in turn.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", quotes: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.quotes = quotes


class UsageError(MedbenchError):
    """Something the user typed: an unknown name, a bad option value, a TOML mistake."""


class UnknownNameError(UsageError):
    """A name that no card and no task has."""


class DataError(MedbenchError):
    """Something in the data at hand: a wrong layout, a torn line, an id that is there twice."""


class PluginError(MedbenchError):
    """A plugin that cannot be loaded or that broke the interface it promised."""


class StorageError(MedbenchError):
    """The disk is full, read-only, or holds something that medbench did not write."""


class FoundError(MedbenchError):
    """A check was carried out and found something (a stale table, a failed verification)."""

    exit_code = 4


class PlanError(MedbenchError):
    """A plan that cannot run, with every reason at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"this plan cannot run ({count} problem{'s' if count != 1 else ''})")


class Problem:
    """One reason why a plan cannot run.

    Args:
        message: What is wrong.
        hint: What would help; may be several lines.
        part: What of the data it is about, `pictures` or a split's name: a plan that needs no such part can run.
    """

    __slots__ = ("hint", "message", "part")

    def __init__(self, message: str, hint: str = "", *, part: str = "") -> None:
        self.message = message
        self.hint = hint
        self.part = part

    def __repr__(self) -> str:
        part = f", part={self.part!r}" if self.part else ""
        return f"Problem({self.message!r}, {self.hint!r}{part})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and (self.message, self.hint, self.part) == (other.message, other.hint, other.part)

    def __hash__(self) -> int:
        return hash((self.message, self.hint, self.part))


class InputError(Exception):
    """Raised by a model or a decoder for one request whose input is unusable; becomes `Failed(kind="input")`."""


class TransientError(Exception):
    """Raised by a model for a request that may succeed later; becomes `Failed(kind="transient")`."""


class OutOfMemory(Exception):  # noqa: N818 - the condition's own name, as in the interface
    """Raised by a model whose window did not fit; the executor halves the window and remembers."""


class QuotaExhausted(MedbenchError):  # noqa: N818 - the condition's own name, as in the interface
    """A paid endpoint refuses for good (quota, budget): the run stops, what was answered is kept."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return the known names that look most like `name`, best first.

    >>> nearest("vqarad", ["vqa-rad", "iuxray-mrg"])
    ['vqa-rad']
    """
    pool = list(known)
    return difflib.get_close_matches(name, pool, n=count, cutoff=0.6) or [k for k in pool if name and name in k][:count]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "did you mean a, b?" or the known names, for a hint."""
    pool = sorted(known)
    close = nearest(name, pool)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(pool)}" if pool else "none is known"
