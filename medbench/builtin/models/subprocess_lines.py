"""The JSON lines that a program of any language and environment exchanges with medbench (docs/subprocess.md)."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from medbench.types import (
    Capability,
    Classify,
    Embed,
    Failed,
    Generate,
    Ground,
    HeatMap,
    Output,
    Picture,
    Probabilities,
    Request,
    Struct,
    Synthesize,
    Text,
    Vector,
)

PROTOCOL = 1
CAPABILITIES: tuple[Capability, ...] = get_args(Capability)
ANSWERS: dict[type[Any], str] = {Generate: "text", Classify: "probabilities", Embed: "vector", Synthesize: "picture", Ground: "heatmap"}
"""Request type -> what `type` an answer to it has; an answer may leave it out."""
REASONS = ("stop", "length", "filter", "")


class Hello(Struct, forbid_unknown_fields=False):
    """The first line of a program: what it is."""

    protocol: int
    can: tuple[Capability, ...] = ()
    """What it can do; empty: what the user says."""
    facts: dict[str, Any] = {}
    """For the record: versions, digests of weights, parameter counts."""
    networked: bool = False
    """Whether it sends what it is given to another machine."""


class Refusal(Struct, forbid_unknown_fields=False):
    """A program's last line when it cannot work as it was started."""

    message: str
    hint: str = ""


class _Failed(Struct, forbid_unknown_fields=False):
    error: str
    kind: str = "model"


class _Text(Struct, forbid_unknown_fields=False):
    text: str
    finish_reason: str = ""
    usage: dict[str, int] = {}
    option_logprobs: dict[str, float] = {}
    covered: float = 0.0


class _Probabilities(Struct, forbid_unknown_fields=False):
    probabilities: dict[str, float]


class _Vector(Struct, forbid_unknown_fields=False):
    vector: list[float] | str


class _Picture(Struct, forbid_unknown_fields=False):
    path: str = ""
    data: str = ""


class _HeatMap(Struct, forbid_unknown_fields=False):
    rows: int
    columns: int
    grid: list[float]
    box: tuple[float, float, float, float]
    interpolation: str = "bilinear"


class Wrong(Exception):  # noqa: N818 - a state of the answer, told by its message
    """An answer that is none; the message quotes nothing of it."""


def request_line(key: str, request: Request, paths: Sequence[str]) -> bytes:
    """Return a request as a line: every field is written, whether it has its default or not.

    Args:
        key: Under what name the answer is to come.
        request: The request.
        paths: Absolute path of a plain picture file for each of its images.
    """
    fields: dict[str, Any] = {name: getattr(request, name) for name in request.__struct_fields__ if name != "images"}
    fields["images"] = [{"path": path, "role": image.role} for path, image in zip(paths, getattr(request, "images", ()), strict=True)]
    capability = str(request.__struct_config__.tag)
    return msgspec.json.encode({"type": capability, "key": key, **fields}) + b"\n"


def output_of(answer: Mapping[str, Any], request: Request) -> Output:
    """Return what a program answered to a request.

    Raises:
        Wrong: it is not an answer to such a request.
    """
    wanted = ANSWERS[type(request)]
    given = answer.get("type") or ("failed" if "error" in answer else wanted)
    try:
        if given == "failed":
            failed = msgspec.convert(dict(answer), _Failed)
            kind = failed.kind if failed.kind in {"transient", "input", "model"} else "model"
            return Failed(kind=kind, error=failed.error)  # type: ignore[arg-type]
        if given != wanted:
            raise Wrong(f"the answer to a {request.__struct_config__.tag} request is of type {wanted}")
        made: Output = _MAKERS[type(request)](dict(answer), request)
    except msgspec.ValidationError as error:
        raise Wrong(str(error)) from None
    return made


def _text(answer: dict[str, Any], request: Request) -> Text:
    made = msgspec.convert(answer, _Text)
    known = set(getattr(request, "options", ()))
    if made.finish_reason not in REASONS:
        raise Wrong("finish_reason is stop, length, filter or empty")
    if not set(made.option_logprobs) <= known or not all(value <= 0 for value in made.option_logprobs.values()):
        raise Wrong("option_logprobs are log-probabilities of the request's options")
    if not 0.0 <= made.covered <= 1.0:
        raise Wrong("covered is a share, 0 to 1")
    return Text(
        text=made.text,
        finish_reason=made.finish_reason,  # type: ignore[arg-type]
        usage=made.usage,
        option_logprobs=made.option_logprobs,
        covered=made.covered,
    )


def _probabilities(answer: dict[str, Any], request: Request) -> Probabilities:
    made = msgspec.convert(answer, _Probabilities).probabilities
    labels = getattr(request, "labels", ())
    missing = [label for label in labels if label not in made]
    if missing or (labels and len(made) != len(labels)):
        raise Wrong(f"probabilities has {len(made)} labels, the request {len(labels)}; {len(missing)} are missing")
    if not all(0.0 <= value <= 1.0 for value in made.values()):
        raise Wrong("probabilities lie in 0 to 1")
    order = tuple(labels or made)
    return Probabilities(labels=order, values=tuple(made[label] for label in order))


def _vector(answer: dict[str, Any], _: Request) -> Vector:
    made = msgspec.convert(answer, _Vector).vector
    data = _bytes(made) if isinstance(made, str) else struct.pack(f"<{len(made)}f", *made)
    if not data or len(data) % 4:
        raise Wrong("vector is a list of numbers, or little-endian float32 in base64")
    if not all(map(math.isfinite, struct.unpack(f"<{len(data) // 4}f", data))):
        raise Wrong("vector holds a number that is not finite")
    return Vector(data=data)


def _picture(answer: dict[str, Any], _: Request) -> Picture:
    import io  # noqa: PLC0415 - with Pillow, for the few programs that draw

    from PIL import Image as Pil  # noqa: PLC0415 - for the few programs that draw

    made = msgspec.convert(answer, _Picture)
    try:
        data = Path(made.path).read_bytes() if made.path else _bytes(made.data)
        with Pil.open(io.BytesIO(data), formats=("PNG", "JPEG")) as opened:
            opened.verify()
            size = opened.size
    except (OSError, SyntaxError, ValueError, Pil.DecompressionBombError):
        raise Wrong("path is a PNG or JPEG file, or data such a file in base64") from None
    return Picture(data=data, width=size[0], height=size[1])


def _heatmap(answer: dict[str, Any], _: Request) -> HeatMap:
    made = msgspec.convert(answer, _HeatMap)
    if made.rows < 1 or made.columns < 1 or made.rows * made.columns != len(made.grid):
        raise Wrong("grid has rows x columns values")
    if made.interpolation not in {"nearest", "bilinear"}:
        raise Wrong("interpolation is nearest or bilinear")
    return HeatMap(
        rows=made.rows,
        columns=made.columns,
        grid=tuple(made.grid),
        box=made.box,
        interpolation=made.interpolation,  # type: ignore[arg-type]
    )


_MAKERS: dict[type[Any], Any] = {Generate: _text, Classify: _probabilities, Embed: _vector, Synthesize: _picture, Ground: _heatmap}


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Wrong("what should be base64 is not") from None
