"""The report of a run: one HTML file with everything in it, no script, nothing fetched, everything strangers wrote escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import medbench
from medbench.cards import GUARDED, MetricCard
from medbench.errors import UsageError
from medbench.figures import Bars, Pictures
from medbench.files import write_whole
from medbench.permissions import in_words
from medbench.record import RunRecord, Score
from medbench.registry import Registry
from medbench.report import cells
from medbench.report.choosing import columns_of
from medbench.report.figured import MOST_FIGURES, Shown, distributions, shown
from medbench.report.gallery import failures, sections
from medbench.report.measured import Kept
from medbench.report.provenance import provenance
from medbench.report.texts import fit
from medbench.runs import RunFolder
from medbench.types import Struct, as_text

SAMPLES = 6
"""Samples of each kind (worst, best, by chance)."""
OPEN_ROWS = 40
"""A table of more rows is folded."""

TEMPLATES = Path(__file__).parent / "templates"


class Line(Struct):
    """A score as a row of a table."""

    name: str
    value: str
    interval: str
    scored: str
    empty: str
    note: str
    bar: tuple[float, float, float] | None = None
    """Low, value, high on a scale of 0 to 100."""


class Block(Struct):
    """The scores of one convention and condition, or the values of one column."""

    title: str
    lines: tuple[Line, ...]
    members: tuple[Line, ...] = ()
    """Scores of single labels and types, folded."""
    marks: tuple[str, ...] = ()
    figure: Shown | None = None


def write_report(
    folder: RunFolder, registry: Registry, *, include_data: bool = False, out: Path | None = None, samples: int = SAMPLES
) -> Path:
    """Write the report of a finished run and return its path: `report.html` in the run folder, or `out`.

    Args:
        folder: The run.
        registry: The cards at hand: names, units and directions of scores.
        include_data: Show texts and pictures of data under an agreement, too.
        out: Where it is written; None: into the run folder.
        samples: Samples of each kind that are shown.

    Raises:
        UsageError: jinja2 is not installed.
        DataError: the run is not finished, or a file of it is torn.
    """
    page = render_report(Kept(folder, registry), registry, include_data=include_data, samples=samples)
    path = out or folder.path / "report.html"
    write_whole(path, page.encode())
    return path


def render_report(kept: Kept, registry: Registry, *, include_data: bool = False, samples: int = SAMPLES) -> str:
    """Return the page; the same run gives the same bytes."""
    template = environment().get_template("report.html")
    record = kept.record
    withheld = record.data.access in GUARDED and not include_data
    columns = columns_of(kept.measured)
    page: str = template.render(
        version=medbench.__version__,
        record=record,
        title=f"{record.task} · {record.model.called}",
        banners=list(_banners(record, withheld=withheld)),
        facts=_facts(record),
        summary=_summary(record, registry),
        blocks=list(_blocks(record, registry)),
        contrasts=[_contrast(one, registry) for one in record.contrasts],
        distributions=[shown(bars, kept.folder.path) for bars in distributions(columns)],
        figures=list(_figures(kept, withheld=withheld)),
        subgroups=list(_subgroups(record, registry)),
        sections=list(sections(kept, columns, samples, withheld=withheld)),
        failures=failures(kept, withheld=withheld),
        provenance=provenance(kept),
        open_rows=OPEN_ROWS,
    )
    return page


def environment() -> Any:
    """Return jinja2 as every page uses it: all that is put in is escaped, all that is missing is an error.

    Raises:
        UsageError: jinja2 is not installed.
    """
    if find_spec("jinja2") is None:
        raise UsageError("an HTML report needs jinja2", hint="pip install 'medbench[site]' (and 'medbench[plots]' for figures)")
    import jinja2  # noqa: PLC0415 - an extra

    loader = jinja2.FileSystemLoader(TEMPLATES)
    made = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["fit"] = lambda value: fit(str(value))
    return made


def _banners(record: RunRecord, *, withheld: bool) -> Iterator[str]:
    """Yield what must be known before the first number."""
    if record.data.synthetic:
        yield "SYNTHETIC data: these numbers say nothing about any patient and can enter no board of real data."
    if record.data.limit is not None:
        yield f"Only {record.data.n:,} samples (limit {record.data.limit:,}): not the whole split."
    if record.model.untrained:
        yield "The model is untrained: its weights are random."
    if record.n_failed:
        yield f"{record.n_failed:,} of {record.n_predictions:,} predictions failed; marked values leave them out."
    yield from (f"The user stated: {line}." for line in in_words(record.overrides))
    if local := record.overrides.get("stated_local"):
        yield f"The user stated: {', '.join(local)} runs on this machine."
    if withheld:
        yield f"The data is {record.data.access}: its texts, its pictures and the model's words are left out (--include-data shows them)."


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    data = record.data
    answered = record.n_predictions - record.n_failed
    method = next((score.method for score in record.scores if score.method), "")
    return [
        ("data", f"{data.dataset} · {data.split} split{f' · {data.variant}' if data.variant else ''} · {data.licence or data.access}"),
        ("samples", f"{data.n:,} · groups (the unit of intervals: {data.group}) {data.n_groups:,} · images {data.n_images:,}"),
        ("answered", f"{answered:,}/{record.n_predictions:,} · empty {record.n_empty:,}"),
        ("intervals", f"95 %, {method}" if method else "none"),
        ("resolution", cells.resolution(record.scores)),
    ]


def _card(registry: Registry, metric: str) -> MetricCard | None:
    try:
        return registry.get(MetricCard, metric)
    except UsageError:
        return None


def _label(score: Any, registry: Registry) -> str:
    card = _card(registry, score.metric)
    labels = {name: facts.label for name, facts in card.scores.items() if facts.label} if card else {}
    return fit(cells.label(score, labels))


def _primary(score: Score, registry: Registry) -> bool:
    card = _card(registry, score.metric)
    return card is None or card.facts(score.name).primary


def _summary(record: RunRecord, registry: Registry) -> list[tuple[Line, str]]:
    """Return the primary scores as they are, without conditions, each with its convention."""
    found = [score for score in record.scores if not score.subgroup and _primary(score, registry)]
    plain = [score for score in found if not score.condition] or found
    return [(_line(score, registry), _family(score)) for score in plain[:8]]


def _family(score: Score) -> str:
    return " · ".join(filter(None, (score.metric, cells.conventions(score.convention), as_text(score.condition))))


def _line(score: Score, registry: Registry, name: str = "") -> Line:
    note = "; ".join(filter(None, (cells.failure_note(score), score.note if score.low is not None or score.value is None else "")))
    return Line(
        name=name or _label(score, registry),
        value=cells.value_cell(score),
        interval=cells.interval_cell(score),
        scored=cells.coverage_cell(score),
        empty=cells.empty_cell(score),
        note=fit(note),
        bar=_bar(score, registry),
    )


def _bar(score: Score, registry: Registry) -> tuple[float, float, float] | None:
    """Return where a score and its interval lie within its range, in per cent; None where that is not known."""
    card = _card(registry, score.metric)
    facts = card.facts(score.name) if card else None
    if facts is None or facts.low is None or facts.high is None or score.value is None or score.low is None or score.high is None:
        return None
    span = (facts.high - facts.low) or 1.0
    low, value, high = (round(100 * min(1.0, max(0.0, (at - facts.low) / span)), 2) for at in (score.low, score.value, score.high))
    return low, value, high


def _blocks(record: RunRecord, registry: Registry) -> Iterator[Block]:
    """Yield every score of all samples, by convention and condition."""
    grouped: dict[str, list[Score]] = {}
    for score in record.scores:
        if not score.subgroup:
            title = " · ".join(filter(None, (cells.conventions(score.convention), as_text(score.condition))))
            grouped.setdefault(title, []).append(score)
    for title, scores in grouped.items():
        marks = tuple(dict.fromkeys(note for score in scores if (note := cells.failure_note(score))))
        lines, members = ([_line(s, registry) for s in scores if (":" in s.name) is single] for single in (False, True))
        said = tuple(f"{score.name}: {beside}" for score in scores if (beside := cells.beside(score)))
        yield Block(title=fit(title or "scores"), lines=tuple(lines), members=tuple(members), marks=(*marks[:1], *said))


def _subgroups(record: RunRecord, registry: Registry) -> Iterator[Block]:
    """Yield the primary scores of each value of a column, with a picture of them."""
    grouped: dict[tuple[str, ...], list[Score]] = {}
    for score in record.scores:
        if score.subgroup and _primary(score, registry):
            key = (*score.subgroup, score.metric, score.name, cells.conventions(score.convention), as_text(score.condition))
            grouped.setdefault(key, []).append(score)
    for (*columns, _, name, convention, condition), scores in grouped.items():
        title = " · ".join(filter(None, (f"{_label(scores[0], registry)} by {', '.join(columns)}", convention, condition)))
        bars = Bars(
            name=f"subgroups-{'-'.join(columns)}-{name}",
            title=title,
            labels=tuple(f"{', '.join(score.subgroup.values())}  ({score.n:,})" for score in scores),
            values=tuple(score.value for score in scores),
            low=tuple(score.low for score in scores),
            high=tuple(score.high for score in scores),
        )
        lines = tuple(_line(score, registry, name=fit(as_text(score.subgroup))) for score in scores)
        figure = shown(bars, Path()) if 1 < len(scores) <= OPEN_ROWS else None
        said = tuple(f"{as_text(score.subgroup)}: {beside}" for score in scores if (beside := cells.beside(score)))
        yield Block(title=fit(title), lines=lines, figure=figure, marks=said)


def _contrast(one: Any, registry: Registry) -> Mapping[str, str]:
    return {
        "name": _label(one, registry),
        "sides": fit(f"{one.one} − {one.other}"),
        "where": fit(" · ".join(filter(None, (cells.conventions(one.convention), as_text(one.condition))))),
        "value": cells.number(one.difference, one.unit, signed=True),
        "interval": cells.interval(one.low, one.high, one.unit, signed=True),
        "p": cells.p_value(one.p),
        "note": fit(one.note),
    }


def _figures(kept: Kept, *, withheld: bool) -> Iterator[Shown]:
    """Yield what protocol and metrics had to show; pictures are data."""
    figures = kept.folder.read_figures()
    allowed: Sequence[Any] = [figure for figure in figures if not (withheld and isinstance(figure, Pictures))]
    for figure in allowed[:MOST_FIGURES]:
        try:
            yield shown(figure, kept.folder.path)
        except Exception as error:  # noqa: BLE001 - a stranger's figure that cannot be drawn costs nobody the report
            yield Shown(title=fit(figure.title), note=fit(f"it cannot be drawn: {type(error).__name__}: {error}"))
    if len(allowed) < len(figures):
        yield Shown(
            title="Pictures left out",
            note=f"{len(figures) - len(allowed)} figures of pictures are left out: they hold data under an agreement",
        )
    if len(allowed) > MOST_FIGURES:
        yield Shown(title="More figures", note=f"{len(allowed) - MOST_FIGURES} more are in figures.json of the run folder")
