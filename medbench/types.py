"""What travels through a run: samples, requests, outputs, predictions. Plain data, nothing heavy."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, dataclass_transform

import msgspec

if TYPE_CHECKING:
    import numpy as np

Split = Literal["train", "val", "test"]
Condition = dict[str, str | int | float]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _Named(msgspec.StructMeta):
    """Makes the fields of every subclass keyword-only too: msgspec does not inherit that."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **config: Any) -> _Named:
        return super().__new__(cls, name, bases, namespace, **{"kw_only": True, **config})


class Struct(msgspec.Struct, metaclass=_Named, frozen=True, forbid_unknown_fields=True):
    """Base of medbench's data: immutable, named fields, strict when read."""


class Image(Struct, omit_defaults=True, gc=False):
    """A picture by reference: decoded late, identified by the digest of its file's bytes and its decode preset."""

    path: str = ""
    """Where the file is: relative to the data root as a reader yields it, absolute once indexed."""
    role: str = "image"
    """What the picture is for the request: `image`, `prior`, `lateral` …"""
    preset: str = "default"
    """How it is decoded; `blank` stands for an all-grey picture of the same size (the image-blind control)."""
    digest: str = ""
    """SHA-256 of the file's bytes (first 32 hex digits), filled in by the index; empty: not read yet."""
    fault: str = ""
    """Why the file cannot be used (missing, truncated …); empty: nothing is known against it."""


class Box(Struct):
    """A rectangle in pixels of the original image: left, top, width, height."""

    label: str
    x: float
    y: float
    width: float
    height: float


class Sample(Struct, omit_defaults=True, gc=False):
    """One scored item of a dataset."""

    id: str
    """Unique across all splits of the dataset and stable across its packagings."""
    group: str
    """The patient, or the nearest thing the data has: the unit of every interval."""
    split: Split
    images: tuple[Image, ...] = ()
    prompt: str = ""
    """The question or instruction as the data has it; a protocol renders it into a request."""
    references: tuple[str, ...] = ()
    labels: dict[str, float | None] = {}
    """Label -> 1, 0, or None (not mentioned, or uncertain under a policy; NaN is written so): masked, never coerced."""
    boxes: tuple[Box, ...] = ()
    aliases: dict[str, str] = {}
    """Other names of this sample: `{"qid": "42"}`."""
    meta: dict[str, str] = {}
    """Columns of the data (question type, view, sex …): subgroups are made of them."""


# --- requests: one type per capability; the content is the identity ---------------------------------------------------


class Generate(Struct, tag="generate", omit_defaults=True):
    """Write text for a prompt and images."""

    prompt: str
    images: tuple[Image, ...] = ()
    kind: str = ""
    """The kind of question as the data annotates it, for models that may know it (baselines); often empty."""
    options: tuple[str, ...] = ()
    """A closed set of answers: the model also gives their probabilities, scored as whole strings."""
    schema: str = ""
    """A JSON schema that the answer must satisfy; empty: free text."""
    max_new_tokens: int = 128
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0
    seed: int = 0
    """Seed of the sampling noise (hash of run seed and sample id); unused at temperature 0."""
    repeat: int = 0
    """The how-manieth time the same question is asked (judge stability)."""


class Classify(Struct, tag="classify", omit_defaults=True):
    """Give a probability for each label."""

    images: tuple[Image, ...] = ()
    text: str = ""
    labels: tuple[str, ...] = ()


class Embed(Struct, tag="embed", omit_defaults=True):
    """Give the vector of an image (or several) or of a text."""

    images: tuple[Image, ...] = ()
    text: str = ""


class Synthesize(Struct, tag="synthesize", omit_defaults=True):
    """Draw a picture for a prompt."""

    prompt: str
    seed: int = 0
    width: int = 0
    height: int = 0
    images: tuple[Image, ...] = ()


class Ground(Struct, tag="ground", omit_defaults=True):
    """Say where in an image a phrase is."""

    images: tuple[Image, ...]
    phrase: str


Request = Generate | Classify | Embed | Synthesize | Ground
Capability = Literal["generate", "classify", "embed", "synthesize", "ground"]


# --- outputs ----------------------------------------------------------------------------------------------------------


class Text(Struct, tag="text", omit_defaults=True):
    """What a model wrote."""

    text: str
    finish_reason: Literal["stop", "length", "filter", ""] = ""
    usage: dict[str, int] = {}
    """What it took, where the model counts it: `input_tokens`, `output_tokens`; of an endpoint also `latency_ms`, `retries`."""
    option_logprobs: dict[str, float] = {}
    """Log-probability of each option as a whole string."""
    covered: float = 0.0
    """Share of the probability mass that the options cover, 0 to 1."""
    served: str = ""
    """Which model an endpoint says that it answered with: the dated one behind a name that moves on."""


class Probabilities(Struct, tag="probabilities"):
    """A probability (0 to 1) for each label."""

    labels: tuple[str, ...]
    values: tuple[float, ...]


class Vector(Struct, tag="vector", omit_defaults=True):
    """An embedding as the model gives it (not normalised): little-endian float32 bytes."""

    data: Any = b""
    """The bytes, a read-only view of a memory-mapped segment of the store, or base64 text once read back from JSON."""
    offset: int = -1
    """Where the bytes begin in the segment of the store; -1: it carries its own."""
    dim: int = 0
    """Number of floats, where `offset` is given."""

    def array(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the vector as a read-only float32 array of shape (dim,)."""
        import numpy as np  # noqa: PLC0415 - listing and planning do without

        return np.frombuffer(base64.b64decode(self.data) if isinstance(self.data, str) else self.data, dtype="<f4")


class Picture(Struct, tag="picture", omit_defaults=True):
    """A drawn picture: encoded bytes as the model gives it, a file once it is in the store."""

    data: bytes = b""
    path: str = ""
    """The file: absolute, or relative to the run folder that keeps it."""
    width: int = 0
    height: int = 0
    digest: str = ""
    """SHA-256 of the file's bytes (first 32 hex digits), once it is a file."""


class HeatMap(Struct, tag="heatmap"):
    """A small grid of values over a crop of the image: `grid` row-major, `box` in pixels of the original image."""

    rows: int
    columns: int
    grid: tuple[float, ...]
    box: tuple[float, float, float, float]
    interpolation: Literal["nearest", "bilinear"] = "bilinear"


class Ranking(Struct, tag="ranking", omit_defaults=True):
    """Where the true partner stands among the candidates (rank 1 is best)."""

    rank: int
    """Rank of the best right candidate; where captions are equal, each of them is right."""
    top: tuple[str, ...]
    """Ids of the most likely candidates, the likeliest first."""
    probability: float | None = None
    """Probability (0 to 1) of the right candidates together; None: not computed."""
    strict_rank: int | None = None
    """Rank of the sample's own partner, where equal ones count as wrong; None: not known."""
    strict_probability: float | None = None
    pool: int = 0
    """How many candidates there were; 0: not known."""


class Failed(Struct, tag="failed"):
    """Stands for any output that could not be had: never an empty string, never a zero."""

    kind: Literal["transient", "input", "model"]
    error: str


Output = Text | Probabilities | Vector | Picture | HeatMap | Failed
Value = Text | Probabilities | Vector | Picture | HeatMap | Ranking | Failed


class Prediction(Struct, omit_defaults=True):
    """What a protocol made of the outputs for one sample, under one condition."""

    sample: str
    value: Value
    condition: Condition = {}


class Pair(msgspec.Struct, frozen=True, gc=False):
    """A sample and what was predicted for it: what a metric measures."""

    sample: Sample
    value: Value


# --- what an executor takes and gives ---------------------------------------------------------------------------------


class Asked(Struct):
    """A request and the key under which its output is wanted."""

    key: str
    request: Request


class Answer(Struct, tag="answer"):
    """An output and the key of the request it answers."""

    key: str
    output: Output


class Loaded(Struct, tag="loaded"):
    """What is known only after a model was loaded: digests, counts, versions."""

    facts: dict[str, Any]


def as_text(condition: Mapping[str, str | int | float]) -> str:
    """Return a condition as one stable string, for grouping and display.

    >>> as_text({"seed": 3, "images": "blank"})
    'images=blank seed=3'
    """
    return " ".join(f"{k}={condition[k]}" for k in sorted(condition))
