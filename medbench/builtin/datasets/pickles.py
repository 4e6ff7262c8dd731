"""Reading pickles that other people made: plain data or a refusal, whatever the bytes say."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from medbench.errors import DataError

MAX_BYTES = 64 << 20
"""Largest pickle that is read: ten times PathVQA's."""

_OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK, pickle.DUP),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.LONG, pickle.LONG1, pickle.FLOAT, pickle.BINFLOAT, pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING),
    *(pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.BINBYTES, pickle.SHORT_BINBYTES),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.LIST, pickle.EMPTY_DICT, pickle.DICT, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
)
"""What builds text, numbers, lists, tuples and dicts. Whatever names, calls or changes an object is missing, and so is what
makes room before it has read (`BYTEARRAY8`)."""


class _PlainData(pickle._Unpickler):  # noqa: SLF001 - the one in C gives memory to any index a pickle names
    """Knows the opcodes of plain data and no others."""

    dispatch = {opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in _OPCODES}  # noqa: SLF001 - as above

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class; no opcode that is left asks for one.

        Raises:
            UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def read_pickle(path: Path) -> Any:
    """Return the plain data in a pickle; nothing in it is ever run.

    Raises:
        DataError: the file is missing, too large, torn, or holds anything but text, numbers, lists, tuples and dicts.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", hint="is this the right data folder?") from error
    if len(raw) > MAX_BYTES:
        raise DataError(f"{path}: more than {MAX_BYTES:,} bytes", hint="is this the right file?")
    try:
        return _PlainData(io.BytesIO(raw), encoding="utf-8").load()
    except KeyError as error:
        known = error.args and isinstance(error.args[0], int)
        fault = f"opcode 0x{error.args[0]:02x}" if known else str(error)
        hint = "a pickle can run programs; this one asks for more than text, numbers, lists and dicts"
        raise DataError(f"{path}: not plain data ({fault})", hint=hint) from error
    except Exception as error:  # on broken bytes, unpickling raises whatever its parsing trips over
        raise DataError(f"{path}: not a readable pickle ({error})", hint="is the download complete?") from error
