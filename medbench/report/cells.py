"""How numbers are written: the same rounding from the same record on every screen, page and board."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medbench.record import Contrast, Score
from medbench.stats.distributions import normal_quantile
from medbench.stats.power import minimum_detectable

UNDEFINED = "–"
ROUGH = "†"


def number(value: float | None, unit: str, *, signed: bool = False) -> str:
    """Return a value as it is printed: per cent with one decimal for rates, three decimals otherwise, more where those are noughts.

    >>> number(0.7412, "fraction"), number(1.2345, "score"), number(None, "score"), number(-0.129, "fraction", signed=True)
    ('74.1', '1.234', '–', '−12.9')
    >>> number(0.00421, "score"), number(-0.0000961, "score"), number(1e-12, "score")
    ('0.0042', '−0.000096', '0.000')
    """
    if value is None:
        return UNDEFINED
    if unit == "count":
        text = f"{value:+,.0f}" if signed else f"{value:,.0f}"
    else:
        shown = value * 100 if unit == "fraction" else value
        digits = 1 if unit == "fraction" else _decimals(shown)
        text = f"{shown:+.{digits}f}" if signed else f"{shown:.{digits}f}"
    return text.replace("-", "−")


def _decimals(value: float) -> int:
    """Return how many decimals show two digits that are no nought: 3 to 6; 3 where none would."""
    size = abs(value)
    return 3 if size >= 0.01 or size < 5e-7 else min(6, 1 - math.floor(math.log10(size)))


def interval(low: float | None, high: float | None, unit: str, *, signed: bool = False) -> str:
    """Return an interval as it is printed; empty where there is none.

    >>> interval(0.6934, 0.7861, "fraction")
    '[69.3, 78.6]'
    """
    if low is None or high is None:
        return ""
    return f"[{number(low, unit, signed=signed)}, {number(high, unit, signed=signed)}]"


def p_value(p: float | None) -> str:
    """Return a p-value as it is printed; empty where there is none.

    >>> p_value(0.0312), p_value(0.00002)
    ('0.031', '< 0.001')
    """
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def own_value(value: float) -> str:
    """Return a sample's own score as it is printed: whole numbers as they are, others to three decimals.

    >>> own_value(1.0), own_value(5.5e-13), own_value(0.3333)
    ('1', '0.000', '0.333')
    """
    return f"{value:.0f}" if value == int(value) else f"{value:.3f}"


def value_cell(score: Score) -> str:
    """Return a score's value, marked where not every sample is in it."""
    return number(score.value, score.unit) + ("*" if score.coverage < 1.0 and score.value is not None else "")


def interval_cell(score: Score) -> str:
    """Return a score's interval, marked where it is rough, with its spread over repetitions where there were several; or why not."""
    shown = interval(score.low, score.high, score.unit)
    if shown and score.spread is not None:
        shown = f"{shown} ±{number(score.spread, score.unit)}"
    if shown:
        return f"{shown} {ROUGH}" if score.note.startswith("rough") else shown
    why = score.note.partition("; ")[0]
    return why.partition(":")[2].strip() or why


def beside(score: Score) -> str:
    """Return what a score says beside its value, where that is more than why an interval is rough or absent."""
    why, _, more = score.note.partition("; ")
    return more if score.low is None or why.startswith("rough") else score.note


def coverage_cell(score: Score) -> str:
    """Return how many of the samples were scored: `451/451`."""
    return f"{score.n:,}/{score.n + score.n_failed + score.n_unscored:,}"


def empty_cell(score: Score) -> str:
    """Return the rate of empty outputs among the scored samples, in per cent."""
    return f"{100 * score.n_empty / score.n:.1f}" if score.n else UNDEFINED


def label(score: Score | Contrast, labels: dict[str, str]) -> str:
    """Return what a table calls a score; an arrow says that lower is better."""
    family, _, member = score.name.partition(":")
    name = labels.get(score.name) or labels.get(f"{family}:*", f"{family} *").replace("*", member)
    lower = isinstance(score, Score) and score.higher_is_better is False
    return f"{name} ↓" if lower else name


def conventions(convention: dict[str, str]) -> str:
    """Return the conventions of a score: `vqa=medbench@1`."""
    return " ".join(f"{family}={name}" for family, name in sorted(convention.items()))


def failure_note(score: Score) -> str:
    """Say in words what a marked value leaves out, and what it would be with that; empty when it leaves out nothing."""
    if not (score.n_failed or score.n_unscored):
        return ""
    parts = []
    if score.n_failed:
        worst = f" ({score.name} would be {number(score.worst_case, score.unit)} at worst)" if score.worst_case is not None else ""
        parts.append(f"{score.n_failed:,} failed{worst}")
    if score.n_unscored:
        parts.append(f"{score.n_unscored:,} unscored")
    return f"* {' and '.join(parts)}, not in the value"


def resolution(scores: Sequence[Score]) -> str:
    """Say what difference a test set of this size can find, judged by the first score that has an interval; empty: none has.

    The standard error is read off the interval; two systems that are compared on the same samples resolve less than this,
    because what is hard for one is mostly hard for the other.
    """
    score = next((s for s in scores if s.low is not None and s.high is not None and not s.condition and not s.subgroup), None)
    if score is None or score.low is None or score.high is None or score.note.startswith("rough"):
        return ""
    error = (score.high - score.low) / (2 * normal_quantile((1 + score.level) / 2))
    least = minimum_detectable(math.sqrt(2) * error, score.n_groups, level=score.level)
    points = f"{number(least, score.unit)}{' points' if score.unit == 'fraction' else ''}"
    return f"resolves about {points} of {score.name} between two such systems, less where they are paired (80 % power)"
