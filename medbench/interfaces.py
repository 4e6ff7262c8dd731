"""What a plugin's classes promise: the interfaces behind the cards."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol

from medbench.cards import ModelCard
from medbench.errors import Problem
from medbench.figures import Figure
from medbench.types import (
    Answer,
    Asked,
    Classify,
    Embed,
    Generate,
    Ground,
    Loaded,
    Output,
    Pair,
    Prediction,
    Request,
    Sample,
    Struct,
    Synthesize,
)

Replies = Iterable[Output] | Iterable[tuple[int, Output]]
"""What a capability method returns: a list in the order of the window, or `(index, output)` pairs as they become ready."""

Example = tuple[Request, Output]
"""A request and the output a perfect model would give: what a model is fitted on."""


class Examples(list[Example]):
    """Examples, and which task each came from, where a model is fitted on several."""

    def __init__(self, by_task: Mapping[str, Sequence[Example]]) -> None:
        super().__init__(example for examples in by_task.values() for example in examples)
        self.by_task = {task: list(examples) for task, examples in by_task.items()}


FitEvents = Callable[[Mapping[str, Any]], None]
"""Called with what a fit tells on its way: `step`, `steps`, `loss`, `stage`, held-out metrics under their names."""


class Model(Protocol):
    """A model: built from keyword options, with one method for each capability of its card.

    A method gets a *window* of requests (about 16 batches, in any order) and batches inside it as suits it. It raises
    `InputError` for a single request it cannot take (yielding `Failed` for that index is better), `OutOfMemory` when the
    window does not fit. `facts()` says what is known only after loading. `fit` is there on models that can be trained.
    """

    @classmethod
    def settled(cls, card: ModelCard, options: Mapping[str, Any]) -> tuple[ModelCard, list[Problem]]:
        """Return the card as these options make it, and what speaks against them; nothing heavy is loaded. Optional.

        A problem found here stops the plan before its options are written anywhere: no message may quote a value that could
        be a secret.
        """
        ...

    def generate(self, requests: Sequence[Generate]) -> Replies:
        """Return or yield a `Text` for each request."""
        ...

    def classify(self, requests: Sequence[Classify]) -> Replies:
        """Return or yield `Probabilities` for each request."""
        ...

    def embed(self, requests: Sequence[Embed]) -> Replies:
        """Return or yield a `Vector` for each request."""
        ...

    def synthesize(self, requests: Sequence[Synthesize]) -> Replies:
        """Return or yield a `Picture` for each request."""
        ...

    def ground(self, requests: Sequence[Ground]) -> Replies:
        """Return or yield a `HeatMap` for each request."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """Return, as plain data, what is known only after loading. Optional."""
        ...

    def fit(
        self, examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int, events: FitEvents | None
    ) -> Mapping[str, Any] | None:
        """Learn from the examples and leave weights in `out`, whose folder `weights=` then names; return facts. For `fits` models.

        Examples may be an `Examples` list, which says which task each came from. Under a launcher of several processes only
        the main one writes.
        """
        ...


class Reader(Protocol):
    """Reads one dataset in its real layouts, and writes its twin.

    Image paths are yielded relative to `root`; no pixel is decoded. A class may list its parameters as `PARAMS` (a mistyped
    one is then a problem before anything is read), and as `LAYOUTS` those in which `write_twin(…, layout=NAME)` can write.
    """

    def check(self, root: Path, variant: str = "") -> list[Problem]:
        """Return what is wrong with the folder; empty: it can be read. A problem names the `part` it is about, where it is not all."""
        ...

    def read(self, root: Path, split: str, params: Mapping[str, Any]) -> Iterator[Sample]:
        """Yield the samples of one split in a stable order. `params` holds `variant` and the task's reader parameters."""
        ...

    def remarks(self, root: Path, samples: Sequence[Sample], params: Mapping[str, Any]) -> list[str]:
        """Return facts about the data at hand that a reader of the table must know (leaks, duplicates), computed here.

        `samples` may be few of the split (`--limit`); a further parameter `total`, where it is taken, says how many there are.
        """
        ...

    def write_twin(self, root: Path, seed: int, size: int) -> None:
        """Write a synthetic copy of the layout: `size` test groups (0: the default), same seed same bytes."""
        ...


class OutputView(Protocol):
    """The outputs of a run, looked up by request."""

    def __getitem__(self, request: Request) -> Output: ...
    @property
    def facts(self) -> Mapping[str, Any]:
        """Return what the model stated after loading."""
        ...


class ProtocolPlugin(Protocol):
    """Two pure functions around the model, and the parameters they share (`Params`, a msgspec struct)."""

    Params: ClassVar[type[Any]]

    def requests(self, samples: Sequence[Sample], params: Any) -> Iterator[Request]:
        """Yield everything that is to be asked."""
        ...

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: Any) -> Iterator[Prediction]:
        """Yield one prediction per sample and condition; a failed output stays `Failed`."""
        ...

    def examples(self, samples: Sequence[Sample], params: Any) -> Iterator[Example]:
        """Yield what a model is fitted on: the very requests that would be asked, with their targets."""
        ...

    def remarks(self, samples: Sequence[Sample], outputs: OutputView, params: Any) -> list[str]:
        """Return what a reader must know of how predictions were made (train samples left out, sizes skipped). Optional."""
        ...

    def figures(self, samples: Sequence[Sample], predictions: Sequence[Prediction], outputs: OutputView, params: Any) -> Iterator[Figure]:
        """Yield what there is to show, while the outputs are at hand. Optional."""
        ...


Rows = Any
"""One row per pair: a numpy structured or 2-D array, or a list of msgspec structs (then the metric has `Row`)."""

Asking = Generator[tuple[str, list[Request]], list[Output], Rows]
"""A measure that asks a second model: yields (role, requests), receives their outputs in order, returns the rows."""


class Metric(Protocol):
    """`measure` is costly, done once and kept; `reduce` is cheap, pure, and vectorised over resamples.

    Built from `convention` (family -> name) and its own keyword options. An attribute `identity` (text) may say what else
    changes its rows: the digest of a weights file that it found.
    """

    def measure(self, pairs: Sequence[Pair]) -> Rows | Asking:
        """Return one row per pair, in order."""
        ...

    def reduce(self, rows: Rows, weights: Any) -> Mapping[str, tuple[Any, Any]]:
        """Return score name -> (values, used).

        `weights` has shape (resamples, rows) and holds integers; `values` has shape (resamples,), NaN where undefined;
        `used` is a boolean mask over the rows that enter the score, or their number when it cannot be told apart.
        """
        ...

    def per_sample(self, rows: Rows) -> Mapping[str, Any]:
        """Return score name -> one value per row (NaN: the row does not enter it), for tables of samples. Optional."""
        ...

    def flags(self, rows: Rows) -> Mapping[str, Any]:
        """Return `unparsable` and `unscored` -> boolean mask over rows. Optional; rows unscored must not enter a value."""
        ...

    def lacking(self, rows: Rows) -> Mapping[str, Any]:
        """Return score name -> boolean mask over the rows that it is about and that a second model left without a value.

        Optional, and for the names that are not about every row (`closed`, a control that was tried on a few): the others lack
        the rows flagged as `unscored`.
        """
        ...

    def figures(self, rows: Rows, pairs: Sequence[Pair]) -> Iterator[Figure]:
        """Yield what there is to show of the samples that were answered. Optional."""
        ...

    def signature(self) -> Mapping[str, Any]:
        """Return facts that make the number reproducible (signature, corpus of an IDF …). Optional."""
        ...

    def named(self) -> Mapping[str, str]:
        """Return what stands beside the convention because an option makes it another score (a rubric, an opponent). Optional."""
        ...

    def calls(self, n: int) -> int:
        """Return how many requests are put to a second model about n samples, for an estimate beforehand. Optional."""
        ...

    def exchanges(self, rows: Rows) -> Sequence[Sequence[Mapping[str, Any]]]:
        """Return, for each row, what a second model was asked and replied, for the view of one sample. Optional."""
        ...

    def scale(self) -> Sequence[float]:
        """Return the grades that its first per-sample score takes, lowest first, for agreement with human ratings. Optional."""
        ...

    def repeats(self, rows: Rows) -> Any:
        """Return verdicts of repeated calls, (calls, rows), NaN where there is none, for a judge's agreement with itself. Optional."""
        ...


class Reals(Struct):
    """The real pictures that a set metric compares with: samples of one image each, every image once."""

    evaluated: tuple[Sample, ...]
    """Those of the evaluated split (or of the task's reference set)."""
    train: tuple[Sample, ...] = ()
    """Those a drawn picture could have been copied from."""


SetRows = Mapping[str, Any]
"""Arrays by name; `drawn` has one row per pair, `real` one per picture of `Reals.evaluated`, others are the metric's own."""


class SetMetric(Protocol):
    """A metric of sets, whose card says `weighted = False`: FID and kin. Its intervals come from sub-samples of both sets."""

    def measure(self, pairs: Sequence[Pair], reals: Reals) -> SetRows | Generator[tuple[str, list[Request]], list[Output], SetRows]:
        """Return features of both sets; kept with the run, so that reducing needs no picture."""
        ...

    def reduce_sets(self, rows: SetRows, drawn: Any, real: Any) -> Mapping[str, float]:
        """Return score name -> value (NaN: undefined) of the rows at these two arrays of indices."""
        ...

    def reduce_part(self, rows: SetRows, drawn: Any, real: Any, names: Sequence[str]) -> Mapping[str, float]:
        """Return the scores of these names for a sub-sample, where that is quicker than `reduce_sets`. Optional."""
        ...

    def fraction(self, rows: SetRows, drawn: Any, real: Any) -> float:
        """Return how large a part of these drawn and real pictures (0 to 1, both excluded) a sub-sample takes. Optional; 0.5."""
        ...

    def bind(self, judge: str) -> None:
        """Take the identity of the second model that will be asked, where it is part of the scores' names. Optional."""
        ...

    def notes(self, rows: SetRows, drawn: Any, real: Any) -> Mapping[str, str]:
        """Return score name -> what must be said beside its value: too few pictures, the real-versus-real floor. Optional."""
        ...

    def flags(self, rows: SetRows) -> Mapping[str, Any]:
        """Return `empty` (all-black pictures …) -> boolean mask over the drawn pictures. Optional."""
        ...


class Executor(Protocol):
    """Where models run. It gets plain data only."""

    def map(
        self, card: ModelCard, options: Mapping[str, Any], requests: Iterable[Asked], window: int, log: Path | None = None
    ) -> Iterator[Loaded | Answer]:
        """Load the model, yield `Loaded` first, then each answer as it comes, in any order.

        `log` is where a process of its own leaves what the model prints: a file in a private folder, since it may quote the data.
        """
        ...

    def fit(
        self, card: ModelCard, options: Mapping[str, Any], examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int
    ) -> Mapping[str, Any]:
        """Fit the model and leave its weights in `out`; return facts about the fit."""
        ...

    def holding(self) -> AbstractContextManager[Executor]:
        """Return an executor that keeps the last model loaded until the context ends: a judge is asked in rounds. Optional."""
        ...
