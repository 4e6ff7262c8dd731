"""Accuracy of short answers under a named rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medbench.builtin.metrics.vqa_rules import NUMBERS, Item, Rule, Subset, Verdict, annotated_closed, find_rule, missed
from medbench.errors import DataError, PluginError
from medbench.types import Pair, Sample, Text

LONGEST_TYPE = 256
"""Rows hold the question type in a field of fixed width, so a paragraph in that column would be paid for in every row."""


class VqaAccuracy:
    """Accuracy of short answers: overall, closed, open and by question type, as the rule reports it.

    The truth is a sample's first reference; `meta["answer_type"]` (CLOSED or OPEN) and `meta["question_type"]` are used
    where they are there. A blank answer is wrong under every rule, whatever the truth. See `vqa_rules.RULES` for the rules.

    Question types are reported as `type:NAME`. Under `medbench` a joined type (`POS, PRES`) counts for each of its parts,
    and names are upper-cased, because `Other` and `OTHER` are one code; misspelt codes (`PRSE`) stay types of their own.
    Under `pefomed` a type is what is written, case and comma included.

    Args:
        convention: `{"vqa": "medbench@1"}`; the version may be left out, other families are not looked at.

    Raises:
        UsageError: the convention is not known.

    >>> sample = Sample(id="1", group="1", split="test", references=("No",), meta={"answer_type": "CLOSED"})
    >>> pairs = [Pair(sample, Text(text=answer)) for answer in ("no, none seen", "normal")]
    >>> for name in ("medbench", "llava-med", "exact"):
    ...     metric = VqaAccuracy(convention={"vqa": name})
    ...     values, used = metric.reduce(metric.measure(pairs), np.ones((1, 2)))["closed"]
    ...     print(name, float(values[0]), int(used.sum()))
    medbench 0.5 2
    llava-med 1.0 2
    exact 0.0 2
    """

    def __init__(self, convention: Mapping[str, str] | None = None) -> None:
        self.convention, self._rule = find_rule((convention or {}).get("vqa", "medbench"))

    def measure(self, pairs: Sequence[Pair]) -> np.ndarray[Any, Any]:
        """Return one record per pair, in order: the rule's verdict and the question type as written.

        Returns:
            Structured array of shape (pairs,): `closed`, `yes_no`, `unparsable` (booleans), `right`, `recall`,
            `precision`, `f1` (float64 in 0..1, NaN where the rule has no such number) and `question_type` (text).

        Raises:
            DataError: a sample has no reference, or a question type longer than 256 characters.
            PluginError: a prediction is not a text.
        """
        judged: dict[Item, Verdict] = {}
        verdicts = [_verdict(pair, self._rule, judged) for pair in pairs]
        types = [_question_type(pair.sample) for pair in pairs]
        rows = np.zeros(len(pairs), dtype=_row_type(max(map(len, types), default=0)))
        if verdicts:
            for name, column in zip(Verdict._fields, zip(*verdicts, strict=True), strict=True):
                rows[name] = column
            rows["question_type"] = types
        return rows

    def reduce(self, rows: Any, weights: Any) -> dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
        """Return score name -> (weighted means of shape (resamples,), boolean mask of the rows that enter).

        A mean over no rows, or over rows of no weight, is NaN.

        Args:
            rows: What `measure` returned, shape (rows,).
            weights: Integer counts of shape (resamples, rows).
        """
        terms = {**self._scores(rows), **self._type_scores(rows)}
        counts = np.asarray(weights, dtype=np.float64)
        masks = np.stack([mask for _, mask in terms.values()], axis=1)
        values = np.stack([np.where(mask, column, 0.0) for column, mask in terms.values()], axis=1)
        totals, present = counts @ values, counts @ masks.astype(np.float64)
        means = np.full(totals.shape, np.nan)
        np.divide(totals, present, out=means, where=present > 0)
        return {name: (means[:, at], masks[:, at]) for at, name in enumerate(terms)}

    def per_sample(self, rows: Any) -> dict[str, np.ndarray[Any, Any]]:
        """Return score name -> value of each row, NaN where the row does not enter; question types are a column already."""
        return {name: np.where(mask, column, np.nan) for name, (column, mask) in self._scores(rows).items()}

    def flags(self, rows: Any) -> dict[str, np.ndarray[Any, Any]]:
        """Return `unparsable`: rows of a closed question whose answer, though not blank, names no option the rule can find."""
        return {"unparsable": rows["unparsable"].astype(bool)}

    def signature(self) -> dict[str, str]:
        """Return the convention, its normaliser and its closed set, in words."""
        return {"vqa": self.convention, "normaliser": self._rule.normaliser, "closed": self._rule.closed_set}

    def _scores(self, rows: Any) -> dict[str, tuple[Any, Any]]:
        subsets = _subsets(rows)
        return {name: (rows[field], subsets[subset]) for name, (field, subset) in self._rule.scores.items()}

    def _type_scores(self, rows: Any) -> dict[str, tuple[Any, Any]]:
        if not self._rule.types:
            return {}
        written, which = np.unique(rows["question_type"], return_inverse=True)
        names = [_type_names(str(text), self._rule.types) for text in written]
        known = sorted(set().union(*names))
        return {
            f"type:{name}": (rows["right"], np.array([name in those for those in names], dtype=bool)[which.reshape(-1)]) for name in known
        }


def _verdict(pair: Pair, rule: Rule, judged: dict[Item, Verdict]) -> Verdict:
    sample, value = pair.sample, pair.value
    if not isinstance(value, Text):
        raise PluginError(
            f"metric vqa measures text; the prediction for sample {sample.id} is a {type(value).__name__}",
            hint="a protocol whose card gives `text` must yield Text, or Failed, which is not measured",
        )
    if not sample.references:
        raise DataError(f"sample {sample.id} has no reference answer", hint="metric vqa compares with the first reference")
    truth = sample.references[0]
    item = Item(truth, value.text, annotated_closed(sample.meta.get("answer_type", ""), truth), sample.prompt)
    if item not in judged:
        judged[item] = rule.judge(item) if item.answer.strip() else missed(item, rule)
    return judged[item]


def _question_type(sample: Sample) -> str:
    written = sample.meta.get("question_type", "").strip()
    if len(written) > LONGEST_TYPE:
        raise DataError(
            f"sample {sample.id} has a question_type of {len(written)} characters (at most {LONGEST_TYPE}): {written[:40]!r}…",
            hint="question_type is a short code such as PRES, or several joined by commas",
        )
    return written


def _row_type(width: int) -> np.dtype[Any]:
    flags = [(name, np.bool_) for name in ("closed", "yes_no", "unparsable")]
    return np.dtype([*flags, *((name, np.float64) for name in NUMBERS), ("question_type", f"<U{max(width, 1)}")])


def _subsets(rows: Any) -> dict[Subset, Any]:
    closed, yes_no = rows["closed"], rows["yes_no"]
    return {
        "all": np.ones(len(rows), dtype=bool),
        "closed": closed,
        "yes-no": closed & yes_no,
        "choice": closed & ~yes_no,
        "open": ~closed,
    }


def _type_names(written: str, types: str) -> set[str]:
    if types == "as-written":
        return {written} - {""}
    return {part.strip().upper() for part in written.split(",")} - {""}
