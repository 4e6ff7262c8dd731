"""Samples as a report shows them: pictures, question, reference and answer, word by word; and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from medbench.identity import digest
from medbench.report.cells import own_value
from medbench.report.choosing import Chosen, Column, choose
from medbench.report.measured import Kept
from medbench.report.texts import Piece, differences, fit, nearest_reference
from medbench.report.thumbnails import Thumbnail, thumbnail
from medbench.types import Failed, HeatMap, Image, Picture, Prediction, Probabilities, Ranking, Sample, Struct, Text, Value, as_text

MOST_IMAGES = 4
MOST_LABELS = 30
MOST_FAILURES = 20


class Card(Struct):
    """One sample on a page."""

    id: str
    condition: str
    status: str
    scores: tuple[tuple[str, str], ...]
    images: tuple[Thumbnail, ...] = ()
    question: str = ""
    references: tuple[str, ...] = ()
    answer: str = ""
    pieces: tuple[Piece, ...] = ()
    labels: tuple[tuple[str, str, str], ...] = ()
    """Label, probability, truth."""
    meta: tuple[tuple[str, str], ...] = ()


class Section(Struct):
    """Samples that were chosen alike."""

    title: str
    cards: tuple[Card, ...]


class Failure(Struct):
    """One prediction that failed."""

    id: str
    condition: str
    kind: str
    error: str


class Failures(Struct):
    """What failed: how often of each kind, and the first ones."""

    counts: tuple[tuple[str, int], ...]
    first: tuple[Failure, ...]


def sections(kept: Kept, columns: Sequence[Column], count: int, *, withheld: bool) -> Iterator[Section]:
    """Yield the worst, the best and other samples by the first score that has a value for each sample; without one, some by chance.

    Args:
        kept: The run.
        columns: Scores with a value for each sample, the one that decides first.
        count: Samples of each kind.
        withheld: Show ids and scores alone.
    """
    if not count:
        return
    by_id: dict[tuple[str, str], Prediction] = {(p.sample, as_text(p.condition)): p for p in kept.predictions}
    if not columns:
        answered = [p for p in kept.predictions if not isinstance(p.value, Failed) and p.condition == kept.predictions[0].condition]
        some = sorted(answered, key=lambda p: digest(p.sample))[: 2 * count]
        if some:
            yield Section(title="taken by chance", cards=tuple(_card(kept, p, (), withheld=withheld) for p in some))
        return
    first = columns[0]
    condition = as_text(first.one.condition)
    for chosen in choose(first, count):
        yield Section(title=chosen.heading, cards=tuple(_cards(kept, columns, chosen, by_id, condition, withheld=withheld)))


def failures(kept: Kept, *, withheld: bool) -> Failures:
    """Return what failed; the reason may quote the data and is withheld with it."""
    failed = [(p, p.value) for p in kept.predictions if isinstance(p.value, Failed)]
    counts = Counter(value.kind for _, value in failed)
    first = [
        Failure(id=fit(p.sample), condition=as_text(p.condition), kind=value.kind, error="" if withheld else fit(value.error))
        for p, value in failed[:MOST_FAILURES]
    ]
    return Failures(counts=tuple(sorted(counts.items())), first=tuple(first))


def _cards(
    kept: Kept, columns: Sequence[Column], chosen: Chosen, by_id: dict[tuple[str, str], Prediction], condition: str, *, withheld: bool
) -> Iterator[Card]:
    """Yield the cards of chosen rows; other scores of the same sample are found by its id."""
    first = columns[0].one
    places = [None if column.one is first else {s.id: at for at, s in enumerate(column.one.samples)} for column in columns]
    for row in chosen.rows:
        sample = first.samples[row]
        shown = []
        for column, place in zip(columns, places, strict=True):
            at = row if place is None else place.get(sample.id)
            value = float("nan") if at is None else float(column.values[at])
            if value == value:  # noqa: PLR0124 - NaN: the sample does not enter
                shown.append((column.title, own_value(value)))
        yield _card(kept, by_id[sample.id, condition], tuple(dict(shown).items()), withheld=withheld)


def _card(kept: Kept, prediction: Prediction, scores: tuple[tuple[str, str], ...], *, withheld: bool) -> Card:
    sample, value = kept.samples[prediction.sample], prediction.value
    status = "empty" if isinstance(value, Text) and not value.text.strip() else ""
    card = Card(id=fit(sample.id), condition=as_text(prediction.condition), status=status, scores=scores)
    if withheld:
        return card
    answer = value.text if isinstance(value, Text) else ""
    compared = nearest_reference(sample.references, answer) if answer else ""
    pieces = differences(compared, answer) if compared else []
    return Card(
        id=card.id,
        condition=card.condition,
        status=status,
        scores=scores,
        images=tuple(_images(kept, sample, value)),
        question=fit(sample.prompt),
        references=tuple(map(fit, sample.references)),
        answer=fit(_said(value)),
        pieces=tuple(pieces) if {"same"} < {piece.kind for piece in pieces if piece.text.strip()} else (),
        labels=tuple(_labels(sample, value)),
        meta=tuple((fit(name), fit(text)) for name, text in sorted(sample.meta.items()) if text),
    )


def _said(value: Value) -> str:
    """Return an answer in words; probabilities and pictures are shown otherwise."""
    match value:
        case Text():
            return value.text
        case Ranking():
            sure = "" if value.probability is None else f" (probability {value.probability:.3f})"
            return f"true partner at rank {value.rank:,}{sure}; first: {', '.join(value.top[:5])}"
        case Failed():
            return f"failed: {value.kind}"
        case _:
            return ""


def _images(kept: Kept, sample: Sample, value: Value) -> Iterator[Thumbnail]:
    heat = value if isinstance(value, HeatMap) else None
    for number, image in enumerate(sample.images[:MOST_IMAGES]):
        caption = image.role if len(sample.images) > 1 or isinstance(value, Picture) else ""
        yield thumbnail(image, caption=caption, boxes=sample.boxes if not number else (), heat=heat if not number else None)
    if isinstance(value, Picture) and value.path:
        yield thumbnail(Image(path=str(kept.folder.path / value.path)), caption="drawn by the model")


def _labels(sample: Sample, value: Value) -> Iterator[tuple[str, str, str]]:
    """Yield label, probability and truth, the most probable first."""
    if not isinstance(value, Probabilities):
        return
    ordered = sorted(zip(value.labels, value.values, strict=False), key=lambda item: (-item[1], item[0]))
    for name, probability in ordered[:MOST_LABELS]:
        truth = sample.labels.get(name)
        yield fit(name), f"{probability:.3f}", {1.0: "yes", 0.0: "no"}.get(truth, "?") if truth is not None else "not known"
