"""What the options of a fit have in common, for models that have some: which were given, and what none of them can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from medbench.errors import UsageError
from medbench.types import Struct


class Options(Struct):
    """The options of a fit as a user gives them. A plugin's own has the fields; None is one whose default depends on others."""

    @property
    def given(self) -> list[str]:
        """Return the options that are not at their default."""
        default = type(self)()
        return [name for name in self.__struct_fields__ if getattr(self, name) != getattr(default, name)]

    def check_positive(self, *names: str) -> None:
        """Raise for one of these that is given and not above 0.

        Raises:
            UsageError: naming the option.
        """
        for name in names:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name}={value}: must be above 0", hint=f"leave {name} out for its default")

    def check_shares(self, *names: str) -> None:
        """Raise for one of these that is given and no share, 0 to below 1.

        Raises:
            UsageError: naming the option.
        """
        for name in names:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise UsageError(f"{name}={value:g}: a share, 0 to below 1")

    def check_alternatives(self, *names: str) -> None:
        """Raise where more than one of these is given: each of them says how long.

        Raises:
            UsageError: naming those that are.
        """
        if len(said := [name for name in names if getattr(self, name) is not None]) > 1:
            *first, last = names
            raise UsageError(f"{' and '.join(said)}: one of them says how long", hint=f"give {', '.join(first)} or {last}")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Return the options that are not None, the others at their default; numbers may come as text.

        Raises:
            UsageError: a value is of another kind.
        """
        try:
            return msgspec.convert({name: value for name, value in given.items() if value is not None}, cls, strict=False)
        except msgspec.ValidationError as error:
            raise UsageError(f"fit: {error}") from None
