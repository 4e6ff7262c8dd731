"""The one definition of a result. Tables, CSV, Markdown and HTML are views of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from medbench.costs import Bill
from medbench.errors import DataError
from medbench.types import Condition, Struct, as_text

SCHEMA = 1


class Score(Struct):
    """One number that never travels alone."""

    metric: str
    name: str
    value: float | None
    """Point value; None: undefined, `note` says why."""
    low: float | None = None
    high: float | None = None
    """The interval at `level`; None: not computed, `note` says why."""
    level: float = 0.95
    unit: str = "fraction"
    higher_is_better: bool | None = True
    n: int = 0
    """Samples that enter the value."""
    n_groups: int = 0
    n_failed: int = 0
    """Samples that would enter but failed; they are not in the value."""
    n_empty: int = 0
    n_unparsable: int = 0
    n_truncated: int = 0
    n_unscored: int = 0
    worst_case: float | None = None
    """The value with every failed sample scored as badly as can be; None: nothing failed, or there is no worst."""
    repeats: int = 1
    """Over how many repetitions of the same thing (draws of train samples, seeds) the value is a mean."""
    spread: float | None = None
    """Standard deviation (n - 1) over those repetitions; None: there is one."""
    convention: dict[str, str] = {}
    """Family -> name@version: the rules under which the value was computed."""
    condition: Condition = {}
    subgroup: dict[str, str] = {}
    method: str = ""
    """How the interval was made."""
    note: str = ""

    @property
    def coverage(self) -> float:
        """Share of the samples that were scored, 0 to 1."""
        total = self.n + self.n_failed + self.n_unscored
        return self.n / total if total else 0.0

    @property
    def identity(self) -> tuple[str, str, str, str, str]:
        """What makes a score the same score in another scoring of the run."""
        return (self.metric, self.name, as_text(self.convention), as_text(self.condition), as_text(self.subgroup))


class Contrast(Struct):
    """A paired difference, one minus other, over the samples that both have."""

    metric: str
    name: str
    one: str
    other: str
    """What is compared: conditions (`images=blank`), subgroups (`sex=F`) or runs."""
    difference: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    p: float | None = None
    """Two-sided p-value of no difference; among several subgroups adjusted by Holm."""
    unit: str = "fraction"
    n: int = 0
    n_groups: int = 0
    convention: dict[str, str] = {}
    condition: Condition = {}
    """The condition that both sides share."""
    method: str = ""
    note: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str, str]:
        """What makes a contrast the same contrast in another scoring of the run."""
        return (self.metric, self.name, as_text(self.convention), f"{self.one} - {self.other}", as_text(self.condition))


class DataFacts(Struct):
    """What the numbers were computed on."""

    dataset: str
    split: str
    variant: str = ""
    manifest: str = ""
    """Digest of ids, references and file digests of the samples evaluated."""
    train_manifest: str = ""
    """The same digest of the train split, where the protocol learns from it (a probe)."""
    n_train: int = 0
    """Samples of that train split."""
    n: int = 0
    n_groups: int = 0
    n_images: int = 0
    group: str = "patient"
    access: str = "open"
    licence: str = ""
    synthetic: bool = False
    limit: int | None = None
    duplicate_rate: float | None = None
    """Share (0 to 1) of the samples whose reference stands word for word in train; None: not looked for."""
    reader: dict[str, Any] = {}
    """Parameters of the reader: columns of users' own data, the decode preset."""


class ModelFacts(Struct):
    """What was evaluated."""

    name: str
    identity: str
    kind: str = "model"
    options: dict[str, Any] = {}
    loaded: dict[str, Any] = {}
    """What was known after loading: digests, counts, versions."""
    fitted: dict[str, Any] = {}
    """What it was fitted on, for a fitted model."""
    untrained: bool = False
    networked: bool = False

    @property
    def called(self) -> str:
        """Return what tables call it: what it calls itself once loaded (`called` in its facts), else the name of its card."""
        return str(self.loaded.get("called") or self.name)


class RunRecord(Struct):
    """A run, whole. Written once, atomically; the same command on the same machine gives the same bytes."""

    task: str
    fingerprint: str
    model: ModelFacts
    data: DataFacts
    protocol: str
    schema_version: int = SCHEMA
    params: dict[str, Any] = {}
    seed: int = 0
    scores: tuple[Score, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    not_computed: dict[str, str] = {}
    """Metric -> why there is no number of it."""
    signatures: dict[str, dict[str, Any]] = {}
    """Metric -> facts that make its numbers reproducible."""
    n_predictions: int = 0
    n_failed: int = 0
    n_missing: int = 0
    """Samples without a prediction in a foreign file; counted as failed."""
    n_empty: int = 0
    remarks: tuple[str, ...] = ()
    """Facts about the data at hand that a reader of the table must know."""
    predictions: str = ""
    """Digest of the predictions that were scored."""
    versions: dict[str, str] = {}
    overrides: dict[str, Any] = {}
    """Data-use permissions that the user stated."""
    costs: dict[str, Bill] = {}
    """What the outputs of `model` and `judge` took, where one has a price or is on another machine."""

    @property
    def complete(self) -> bool:
        """Whether every sample was answered and scored."""
        return not self.n_failed and not any(score.n_unscored for score in self.scores)


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(RunRecord)


def to_json(record: Any) -> bytes:
    """Return plain data as indented JSON, dicts by sorted keys: the same data, the same bytes."""
    return msgspec.json.format(_encoder.encode(record), indent=2) + b"\n"


def read_record(path: Path) -> RunRecord:
    """Read a `run.json`.

    Raises:
        DataError: it is missing, torn, or of a schema that this version does not know.
    """
    try:
        return _decoder.decode(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: no such record", hint="is the run finished? the same command goes on with it") from None
    except msgspec.MsgspecError as error:
        raise DataError(f"{path}: {error}", hint=f"this medbench reads records of schema {SCHEMA}") from error


def merge(old: tuple[Score, ...], new: tuple[Score, ...]) -> tuple[Score, ...]:
    """Return the union of two scorings of one run; where both have a score, the new one stands, in its old place."""
    return tuple({**{score.identity: score for score in old}, **{score.identity: score for score in new}}.values())


def merge_contrasts(old: tuple[Contrast, ...], new: tuple[Contrast, ...]) -> tuple[Contrast, ...]:
    """Return the union of the contrasts of two scorings of one run, as `merge` does for scores."""
    return tuple({**{one.identity: one for one in old}, **{one.identity: one for one in new}}.values())
