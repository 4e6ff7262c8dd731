"""The named rules for scoring short answers: which questions are closed, what is right, what each rule reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from medbench.builtin.metrics.vqa_text import bare_words, plain, vqa_v2
from medbench.errors import UsageError, suggestion

YES_NO = frozenset({"yes", "no"})
UNDEFINED = float("nan")
NUMBERS = ("right", "recall", "precision", "f1")
"""The fields of a verdict that can be averaged."""

Subset = Literal["all", "closed", "yes-no", "choice", "open"]
Types = Literal["", "parts", "as-written"]


class Item(NamedTuple):
    """One question as a rule sees it."""

    truth: str
    answer: str
    """Never blank: a blank answer is wrong before any rule is asked."""
    closed: bool
    """As annotated; without an annotation, whether the truth is yes or no."""
    question: str = ""


class Verdict(NamedTuple):
    """What a rule makes of one item; all numbers in 0..1, NaN where the rule has no such number."""

    closed: bool
    yes_no: bool
    right: float
    recall: float = UNDEFINED
    precision: float = UNDEFINED
    f1: float = UNDEFINED
    unparsable: bool = False


class Rule(NamedTuple):
    """A rule and what is reported under it."""

    version: str
    judge: Callable[[Item], Verdict]
    scores: Mapping[str, tuple[str, Subset]]
    """Score name -> (field of the verdict that is averaged, the items it is averaged over)."""
    types: Types
    """How a comma-joined question type is reported: each part by itself, as a type of its own, or not at all."""
    normaliser: str
    closed_set: str


def annotated_closed(answer_type: str, truth: str) -> bool:
    """Return whether a question is closed by its annotation, in any case; without a known one, whether the truth is yes or no.

    >>> annotated_closed("CLOSED ", "left"), annotated_closed("open", "yes"), annotated_closed("", "Yes.")
    (True, False, True)
    """
    kind = answer_type.strip().upper()
    return kind == "CLOSED" if kind in {"CLOSED", "OPEN"} else plain(truth) in YES_NO


def missed(item: Item, rule: Rule) -> Verdict:
    """Return the verdict on a blank answer: wrong under every rule, and in the rule's own closed or open set."""
    verdict = rule.judge(item)
    # Times zero, so that what the rule leaves undefined stays undefined.
    numbers = {name: getattr(verdict, name) * 0.0 for name in NUMBERS}
    return verdict._replace(unparsable=False, **numbers)


def word_overlap(truth: str, answer: str) -> tuple[float, float, float]:
    """Return recall, precision and F1 of the answer's words: each word of the truth counts as often as both sides have it.

    Words are what white space separates, as in the SQuAD evaluation; a side without words scores 0.

    >>> word_overlap("left lower lobe", "left left lobe")
    (0.6666666666666666, 0.6666666666666666, 0.6666666666666666)
    """
    wanted, given = truth.split(), answer.split()
    if set(wanted).isdisjoint(given):
        return 0.0, 0.0, 0.0
    common = (Counter(wanted) & Counter(given)).total()
    return common / len(wanted), common / len(given), 2 * common / (len(wanted) + len(given))


def _medbench(item: Item) -> Verdict:
    """Exact match after `plain`; a closed question also takes an answer that *begins* with the right option.

    So `no, none seen` is right for `no`, and `right lung` for `right`. A one-word answer also stands for a longer
    option that begins with it, if the question offers that word just once (`right` for `right side`). A closed answer
    that begins with no option is unparsable; the options of a choice are the words of a question that has an `or`.
    """
    truth, answer = plain(item.truth), plain(item.answer)
    exact = truth == answer
    if not item.closed:
        recall, precision, f1 = word_overlap(truth, answer)
        return Verdict(False, False, float(exact), recall, precision, f1)
    option, said = bare_words(truth), bare_words(answer)
    begins = exact or (option != [] and said[: len(option)] == option)
    if truth in YES_NO:
        return Verdict(True, True, float(begins), unparsable=YES_NO.isdisjoint(said[:1]))
    if begins:
        return Verdict(True, False, 1.0)
    offered = bare_words(plain(item.question))
    shortened = len(said) == 1 and said == option[:1] and offered.count(said[0]) == 1
    return Verdict(True, False, float(shortened), unparsable="or" in offered and not (said and said[0] in offered))


def _pefomed(item: Item) -> Verdict:
    """Equality after VQA-v2 normalisation, open and closed alike; `x ray` becomes `xray`, within words too."""
    truth, answer = (vqa_v2(text).replace("x ray", "xray") for text in (item.truth, item.answer))
    return Verdict(item.closed, item.closed and truth in YES_NO, float(truth == answer))


def _llava_med(item: Item) -> Verdict:
    """Substrings for closed questions (`no` is in `normal`), word counts of the *answer* for open ones.

    Open answers are normalised a second time, as there. Commas left after that are removed there; none can be left.
    """
    truth, answer = vqa_v2(item.truth.lower()), vqa_v2(item.answer.lower())
    if item.closed:
        said = "yes" in answer or "no" in answer
        return Verdict(True, truth in YES_NO, float(said and truth in answer), unparsable=not said)
    wanted, given = Counter(vqa_v2(truth).split()), Counter(vqa_v2(answer).split())
    found = sum(count for word, count in given.items() if word in wanted)
    if not found:
        return Verdict(False, False, UNDEFINED, recall=0.0, precision=0.0)
    lacking = sum(count for word, count in wanted.items() if word not in given)
    return Verdict(
        False, False, UNDEFINED, recall=found / (found + lacking), precision=sum(word in given for word in wanted) / given.total()
    )


def _multimedeval(item: Item) -> Verdict:
    """Recall of word sets: 0.4 is right for a closed question, whose truth `no` also takes `not`; 0.75 for an open one."""
    truth, answer = vqa_v2(item.truth.lower().strip()), vqa_v2(item.answer.lower())
    wanted, given = set(truth.split()), set(answer.split())
    if truth in YES_NO:
        wanted |= {"not"} if truth == "no" else set()
        return Verdict(True, True, float(len(wanted & given) / len(wanted) >= 0.4))
    recall = len(wanted & given) / len(wanted) if wanted else 0.0
    return Verdict(False, False, float(recall >= 0.75), recall)


def _medevalkit(item: Item) -> Verdict:
    """Substrings for yes/no questions, exactly one of the two; equality for all others. The truth keeps its full stops."""
    truth = item.truth.lower().strip()
    answer = item.answer.lower().strip().replace("\n", "").replace(".", "")
    if truth not in YES_NO:
        return Verdict(False, False, float(truth == answer))
    yes, no = "yes" in answer, "no" in answer
    return Verdict(True, True, float(yes != no and truth in answer), unparsable=not (yes or no))


def _exact(item: Item) -> Verdict:
    """Equality but for case and outer white space."""
    truth, answer = item.truth.lower().strip(), item.answer.lower().strip()
    return Verdict(item.closed, item.closed and truth in YES_NO, float(truth == answer))


_ACCURACIES: dict[str, tuple[str, Subset]] = {"overall": ("right", "all"), "closed": ("right", "closed"), "open": ("right", "open")}
_VQA_V2 = "vqa-v2, with its quirks"
_ANNOTATED = "annotated"
_TRUTH = "the truth is yes or no"

RULES: dict[str, Rule] = {
    "medbench": Rule(
        "1",
        _medbench,
        {
            "overall": ("right", "all"),
            "closed": ("right", "closed"),
            "closed-yes-no": ("right", "yes-no"),
            "closed-choice": ("right", "choice"),
            "open": ("right", "open"),
            "open-recall": ("recall", "open"),
            "open-f1": ("f1", "open"),
        },
        "parts",
        "vqa-v2, without its quirks",
        _ANNOTATED,
    ),
    "pefomed": Rule("1", _pefomed, _ACCURACIES, "as-written", f"{_VQA_V2}, x ray = xray", _ANNOTATED),
    "llava-med": Rule(
        "1",
        _llava_med,
        {"closed": ("right", "closed"), "open": ("recall", "open"), "open-precision": ("precision", "open")},
        "",
        _VQA_V2,
        _ANNOTATED,
    ),
    "multimedeval": Rule("1", _multimedeval, {**_ACCURACIES, "open-recall": ("recall", "open")}, "", _VQA_V2, _TRUTH),
    "medevalkit": Rule("1", _medevalkit, _ACCURACIES, "", "lower case, answer without newlines and full stops", _TRUTH),
    "exact": Rule("1", _exact, _ACCURACIES, "", "lower case, stripped", _ANNOTATED),
}
"""Convention -> its rule, the default first.

`llava-med` has no `overall`: it reports closed accuracy and open *recall*, and one mean over both would be of neither.
Its `open` is that recall. `open` is exact match under `medbench`, `pefomed`, `medevalkit` and `exact`, and recall >= 0.75
under `multimedeval`, whose `overall` (not reported there) is the share of items right by either threshold.
"""


def find_rule(convention: str) -> tuple[str, Rule]:
    """Return the full name (`medbench@1`) and the rule of a convention, given with or without its version.

    Raises:
        UsageError: there is no rule of that name, or not in that version.
    """
    name, _, version = convention.partition("@")
    rule = RULES.get(name)
    if rule is None:
        raise UsageError(f"no convention vqa={convention}", hint=suggestion(name, RULES))
    if version not in {"", rule.version}:
        raise UsageError(f"no version {version} of the convention vqa={name}", hint=f"known: {name}@{rule.version}")
    return f"{name}@{rule.version}", rule
