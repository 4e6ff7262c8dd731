"""Cards: what a plugin offers, as plain data. Listing, planning and checking need nothing else."""

from __future__ import annotations

from typing import Any, Literal

from medbench.types import Capability, Struct

Access = Literal["open", "click-through", "restricted", "credentialed", "synthetic"]


GUARDED: tuple[Access, ...] = ("restricted", "credentialed")
"""Data under an agreement: kept private, and sent nowhere unless the user states a permission."""


class Card(Struct):
    """What every card has."""

    name: str
    """What a user types: short, flat, lower case."""
    load: str
    """`module:Class`, imported only when a run needs it."""
    title: str = ""
    """One line that says what this is."""
    needs: tuple[str, ...] = ()
    """Python modules that must be importable; a missing one is a problem found by the check."""
    install: str = ""
    """What to install when one of `needs` is missing: `pip install medbench-llava`."""
    source: str = ""
    """Paper or reference implementation."""
    files: dict[str, str] = {}
    """Environment variable -> the file it names, which is never downloaded: weights of a feature network …"""


class ModelCard(Card, kw_only=True):
    """A model that can be evaluated."""

    can: tuple[Capability, ...]
    """Its capabilities; one method of the class for each."""
    kind: Literal["model", "baseline", "oracle"] = "model"
    min_images: int = 0
    max_images: int | None = None
    """How many images a request may carry; `max_images = 0`: the model takes text only; None: any number."""
    needs_text: bool = False
    fits: Literal["never", "optional", "always"] = "never"
    """`always`: the pipeline fits it on the task's train split before the run (baselines, probes)."""
    isolated: bool = True
    """Run in a child process, so that its memory is truly freed and a crash is one failed batch."""
    networked: bool = False
    """Sends what it is given to another machine."""
    endpoint: str = ""
    """Which machine that is, unless the option `base_url` names another."""
    paths: tuple[str, ...] = ("weights", "adapter")
    """Options that name files: their digests are part of the identity."""
    neutral: tuple[str, ...] = ("device", "batch_size", "workers", "local")
    """Options that do not change outputs, and so are not part of the identity."""
    version: str = "1"
    """Raised when the same weights would give other outputs."""
    batch_size: int = 8
    timeout_s: float = 600.0
    """Longest time that one window of requests may take in a child process."""
    licence: str = ""
    trained_on: tuple[str, ...] = ()
    """Datasets the published weights saw, as far as known."""
    prices: dict[str, tuple[float, float]] = {}
    """Name (the option `name`) -> US dollars for a million tokens in, and out."""
    prices_from: str = ""
    """Whose prices these are, and of when."""
    converts: str = ""
    """`module:function` that makes a folder of this model's released files (`medbench convert NAME`); empty: there is none."""


class ScoreFacts(Struct):
    """What one score name of a metric means."""

    unit: Literal["fraction", "score", "count", ""] = "fraction"
    """`fraction`: a rate in 0..1, printed as per cent."""
    higher_is_better: bool | None = True
    low: float | None = 0.0
    high: float | None = 1.0
    worst: float | None = None
    """The value of a sample answered as badly as can be; None: there is no such value."""
    label: str = ""
    """How a table names it; empty: the name itself."""
    primary: bool = False
    """Shown where there is room for one number."""


class MetricCard(Card, kw_only=True):
    """A metric, or a family of scores computed together."""

    takes: tuple[str, ...]
    """Tags of the value types it can measure: `text`, `probabilities`, `picture` …"""
    scores: dict[str, ScoreFacts]
    """Score name -> what it means; a name that ends in `*` covers a family (`type:*`)."""
    conventions: dict[str, tuple[str, ...]] = {}
    """Family -> the `name@version` that it knows, its default first."""
    asks: tuple[str, ...] = ()
    """Roles of further models that it puts requests to (`judge`, `encoder` …)."""
    calls: int = 1
    """Requests that it puts to them for each prediction, for an estimate beforehand."""
    asked_tokens: tuple[int, int] = (1_000, 300)
    """About how many tokens such a request has, and its answer at most."""
    paths: tuple[str, ...] = ()
    """Options that name a file or folder; what is in it, the class says by its `identity`."""
    train_conventions: tuple[str, ...] = ()
    """Those of its conventions that need the train split: the class then gets `train_references`, a list of texts."""
    version: str = "1"
    weighted: bool = True
    """`reduce` takes weights; a set metric does not, and gets sub-sampled intervals."""

    def facts(self, name: str) -> ScoreFacts:
        """Return what is declared for a score name, by itself or through its family."""
        if name in self.scores:
            return self.scores[name]
        for pattern, facts in self.scores.items():
            if pattern.endswith("*") and name.startswith(pattern[:-1]):
                return facts
        return ScoreFacts(unit="", higher_is_better=None, low=None, high=None)


class ProtocolCard(Card, kw_only=True):
    """A way of putting a task to a model: two pure functions around it."""

    asks: Capability
    gives: str
    """Tag of the value type it yields."""
    splits: tuple[str, ...] = ("test",)
    """`test` stands for the split that the task evaluates."""
    alone: tuple[Literal["image", "text"], ...] = ()
    """What is put to the model by itself: a model that takes no text without an image cannot do `text`."""
    images: int = 1
    """How many images one request needs at least where it has any."""
    over: tuple[str, ...] = ()
    """Conditions that repeat the same thing (`seed`): scores are averaged over them, their spread stands beside."""

    def misfit(self, model: ModelCard) -> str:
        """Return why a model cannot be put to this protocol, by their cards; empty: it can.

        >>> probe = ProtocolCard(name="probe", load="", asks="embed", gives="probabilities", alone=("image", "text"))
        >>> probe.misfit(ModelCard(name="pixels", load="", can=("embed",), min_images=1))
        'pixels takes no text without an image'
        """
        if self.asks not in model.can:
            return f"{model.name} can {' and '.join(model.can)}, not {self.asks}"
        if "text" in self.alone and model.min_images > 0:
            return f"{model.name} takes no text without an image"
        if "image" in self.alone and (model.max_images == 0 or model.needs_text):
            return f"{model.name} takes no image{' without a text' if model.needs_text and model.max_images != 0 else ''}"
        if model.max_images is not None and 0 < model.max_images < self.images:
            return f"{model.name} takes {model.max_images} image at a time, not {self.images}"
        return ""


class ReaderCard(Card, kw_only=True):
    """A dataset and the code that reads its real on-disk layouts."""

    access: Access
    licence: str
    obtain: str
    """Where the data is to be had."""
    terms: str = ""
    """On what terms: registration, training, agreements."""
    external_api: Literal["allow", "zero-retention-only", "deny"] = "allow"
    """Whether its terms let a service on another machine see it; `allow` says nothing for data under an agreement."""
    redistribute: bool = False
    group: str = "patient"
    """What a group is in this dataset: patient, study, image …"""
    expects: tuple[str, ...] = ()
    """The files of the layouts it reads, for messages."""
    splits: tuple[str, ...] = ("train", "test")
    variants: tuple[str, ...] = ()
    """Named packagings or label sets that `--variant` chooses among, the default first."""
    citation: str = ""
    twin: bool = True
    """Whether a synthetic twin can be written."""
    version: str = "1"
    """Raised when the same files would give other samples, or the same seed another twin."""
    alias_families: tuple[tuple[str, ...], ...] = ()
    """Aliases that packagings number differently, and which are therefore ambiguous by themselves."""


class ExecutorCard(Card):
    """Where models run."""


class TaskCard(Card):
    """A task file of a plugin: `load` is `module:path/inside/the/package.toml`."""


AnyCard = ModelCard | MetricCard | ProtocolCard | ReaderCard | ExecutorCard | TaskCard

KINDS: dict[str, type[Any]] = {
    "model": ModelCard,
    "metric": MetricCard,
    "protocol": ProtocolCard,
    "dataset": ReaderCard,
    "executor": ExecutorCard,
    "task": TaskCard,
}
"""What a user calls each kind of card."""
