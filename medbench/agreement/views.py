"""A study in words: the cells of its tables, and Markdown for a paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medbench.agreement.study import GRADES, RANKS, Estimate, Study
from medbench.report.cells import UNDEFINED

RHO, TAU, KAPPA, ALPHA = "\u03c1", "\u03c4", "\u03ba", "\u03b1"
NAMES = {
    "spearman": f"Spearman {RHO}",
    "kendall": f"Kendall {TAU}-b",
    "kappa": f"weighted {KAPPA}",
    "alpha": f"Krippendorff {ALPHA}",
    "icc": "ICC(2,1)",
}
STATISTICS = (*RANKS, *GRADES)
CEILING = "people among themselves"


def cell(one: Estimate | None) -> str:
    """Return a statistic with its interval: `0.71 [0.55, 0.83]`."""
    if one is None or one.value is None:
        return UNDEFINED
    return f"{_number(one.value)} [{_number(one.low)}, {_number(one.high)}]" if one.low is not None else _number(one.value)


def head() -> list[str]:
    """Return the headings of the table of agreement."""
    return ["", "kind", "n", *(NAMES[name] for name in STATISTICS)]


def lines(study: Study) -> Iterator[list[str]]:
    """Yield the rows of the table of agreement: judges and metrics by rank correlation, then people, then the ceiling."""
    order = {"judge": 0, "metric": 0, "rater": 1}
    by_rank = sorted(
        study.agreements, key=lambda one: (order[one.kind], -(one.statistics.get("spearman", Estimate(value=None)).value or -2.0))
    )
    for one in by_rank:
        name = f"{one.voice} ↓" if one.lower_is_better else one.voice
        yield [name, one.kind, f"{one.n:,}", *(cell(one.statistics.get(statistic)) for statistic in STATISTICS)]
    if study.ceiling:
        yield [CEILING, "ceiling", f"{study.n_units:,}", *(cell(study.ceiling.get(statistic)) for statistic in STATISTICS)]


def limit_lines(study: Study) -> Iterator[list[str]]:
    """Yield the rows of the table of Bland and Altman: voice, n, bias, lower and upper limit of agreement."""
    for one in study.agreements:
        if one.limits:
            yield [one.voice, f"{one.limits.n:,}", cell(one.limits.bias), cell(one.limits.low), cell(one.limits.high)]


def stability_lines(study: Study) -> Iterator[list[str]]:
    """Yield the rows of the table of repeated calls."""
    for one in study.stability:
        yield [one.voice, f"{one.calls}", f"{one.n:,}", cell(one.same), cell(one.alpha)]


LIMIT_HEAD = ["", "n", "bias", "lower limit", "upper limit"]
STABILITY_HEAD = ["", "calls", "n", "same verdict", NAMES["alpha"]]


def foot(study: Study) -> Iterator[str]:
    """Yield what stands below the tables."""
    raters = f"{len(study.raters)} rater{'s' if len(study.raters) > 1 else ''}"
    yield f"{study.n_units:,} rated answers of {study.n_groups:,} groups · {raters} · scale {study.scale}"
    yield "each figure is the mean over the raters that share answers with the voice; people against people is the ceiling"
    if study.people_alpha:
        yield f"{NAMES['alpha']} (ordinal) of all raters together: {cell(study.people_alpha)}"
    if any(one.lower_is_better for one in study.agreements):
        yield "↓ lower is better; turned round here, so that agreement is positive"
    yield f"intervals: 95 %, {study.method}"
    yield from study.notes


def markdown(study: Study) -> str:
    """Return the study as Markdown."""
    parts = ["# Agreement with people", _table(head(), list(lines(study)))]
    if limits := list(limit_lines(study)):
        parts += ["## Bland–Altman, in grades: voice less the mean of the (other) raters", _table(LIMIT_HEAD, limits)]
    if stable := list(stability_lines(study)):
        parts += ["## Judges asked again", _table(STABILITY_HEAD, stable)]
    pairs = [[f"{one.one} · {one.other}", f"{one.n:,}", *(cell(one.statistics.get(name)) for name in STATISTICS)] for one in study.pairs]
    parts += ["## Every pair", _table(["", "n", *(NAMES[name] for name in STATISTICS)], pairs)]
    parts += ["\n".join(f"* {line}" for line in foot(study))]
    return "\n\n".join(parts) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rules = ["---" if at == 0 else "---:" for at in range(len(heads))]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in (heads, rules, *rows))


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.2f}".replace("-", "−")
