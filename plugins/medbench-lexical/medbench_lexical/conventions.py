"""The named ways in which a report becomes tokens.

Each rule reproduces what the named projects do, quirks included: BLEU-4 of one set of reports differs twofold between them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from medbench.errors import DataError, UsageError, suggestion
from medbench.types import Pair
from medbench_lexical.ptb import tokenize

UNKNOWN = "<unk>"

_QUOTES = str.maketrans("", "", "\"'/\\")
_MARKS = str.maketrans("", "", ".,?;*!%^&_+()]{}" + "".join(map(chr, range(ord(":"), ord("[") + 1))))
"""R2Gen writes `:-\\[` in a character class, which is a range: it takes `<=>?@` too, and hyphens stay."""

Rule = Callable[[Sequence[str]], list[str]]


class Texts(NamedTuple):
    """Tokenized texts (tokens joined by spaces), sample by sample."""

    hypotheses: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]


class _Vocabulary(NamedTuple):
    clean: Callable[[str], str]
    minimum: int
    """How often a token must occur in the train references."""
    longest: int
    """Tokens of a reference that are scored: the published limit counts one leading special token."""


def r2gen_iu(text: str) -> str:
    """Return a report as R2Gen's cleaner for IU X-ray leaves it.

    >>> r2gen_iu("1. Tip 3.5 cm above carina. 2. No pneumothorax..")
    'tip 35 cm above carina . no pneumothorax .'
    """
    return _sentences(_collapse(text, ("..", ".", 3)))


def r2gen_mimic(text: str) -> str:
    r"""Return a report as R2Gen's cleaner for MIMIC-CXR leaves it.

    >>> r2gen_mimic("Comparison: ____.\nNo change.")
    'comparison  . no change .'
    """
    return _sentences(_collapse(text.replace("\n", " "), ("__", "_", 7), ("  ", " ", 6), ("..", ".", 8)))


def _collapse(text: str, *runs: tuple[str, str, int]) -> str:
    for double, single, times in runs:
        for _ in range(times):
            text = text.replace(double, single)
    return text


def _sentences(text: str) -> str:
    """Drop list numbers, split at full stops, strip marks from each sentence. Sentences left empty stay: so do the originals'."""
    text = text.replace("1. ", "")
    for before in (". ", " "):
        for number in "2345":
            text = text.replace(f"{before}{number}. ", ". ")
    parts = text.strip().lower().split(". ")
    return " . ".join(part.translate(_QUOTES).strip().lower().translate(_MARKS) for part in parts) + " ."


def lower_period(text: str) -> str:
    """Return a report in lower case with its full stops set apart, split at spaces only.

    >>> lower_period("No  effusion. Normal.")
    'no effusion . normal .'
    """
    return " ".join(token for token in text.lower().replace(".", " .").split(" ") if token)


def _each(clean: Callable[[str], str]) -> Rule:
    return lambda texts: [clean(text) for text in texts]


RULES: dict[str, Rule] = {
    "coco-ptb": tokenize,
    "r2gen-iu": _each(r2gen_iu),
    "r2gen-mimic": _each(r2gen_mimic),
    "lower-split": _each(lambda text: " ".join(text.lower().split())),
    "raw-split": _each(lambda text: " ".join(text.split())),
    "lower-period": _each(lower_period),
}

VOCABULARIES = {
    "r2gen-iu+vocab": _Vocabulary(r2gen_iu, minimum=3, longest=59),
    "r2gen-mimic+vocab": _Vocabulary(r2gen_mimic, minimum=10, longest=99),
}


def chosen(convention: Mapping[str, str], default: str) -> str:
    """Return the bare name of the text convention asked for: `coco-ptb` of `{"text": "coco-ptb@1"}`.

    Raises:
        UsageError: it is not one of the conventions of this plugin, or not in this version.
    """
    name, _, version = convention.get("text", default).partition("@")
    if (name not in RULES and name not in VOCABULARIES) or version not in ("", "1"):
        asked = convention.get("text", default)
        raise UsageError(f"no text convention {asked}", hint=suggestion(name, (f"{n}@1" for n in (*RULES, *VOCABULARIES))))
    return name


def needs_train(convention: Mapping[str, str]) -> bool:
    """Return whether the text convention is made from the references of the train split.

    >>> needs_train({"text": "r2gen-iu+vocab@1"}), needs_train({"text": "coco-ptb@1"})
    (True, False)
    """
    return convention.get("text", "").partition("@")[0] in VOCABULARIES


def texts_of(pairs: Sequence[Pair], name: str, train_references: Sequence[str] | None = None) -> Texts:
    """Return the tokens of predictions and references under the text convention of that name.

    Args:
        pairs: Samples with at least one reference each, and the texts predicted for them.
        name: A bare name, as `chosen` returns it.
        train_references: The references of the task's train split as the reader gives them, for the `+vocab` conventions.

    Raises:
        DataError: a sample has no reference.
        UsageError: a `+vocab` convention without train references.
    """
    hypotheses, references = raw_texts(pairs)
    flat = [text for texts in references for text in texts]
    if name in VOCABULARIES:
        made = [*map(_spaced, hypotheses), *_in_vocabulary(flat, name, train_references)]
    else:
        made = RULES[name]([*hypotheses, *flat])
    rest = iter(made[len(hypotheses) :])
    return Texts(tuple(made[: len(hypotheses)]), tuple(tuple(next(rest) for _ in texts) for texts in references))


def raw_texts(pairs: Sequence[Pair]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return predictions and references as they are.

    Raises:
        DataError: a sample has no reference.
    """
    for pair in pairs:
        if not pair.sample.references:
            raise DataError(f"sample {pair.sample.id} has no reference text", hint="text metrics need one: is it the right task?")
    return [pair.value.text for pair in pairs], [pair.sample.references for pair in pairs]  # type: ignore[union-attr]


def _in_vocabulary(references: Sequence[str], name: str, train_references: Sequence[str] | None) -> list[str]:
    if not train_references:
        bare = name.partition("+")[0]
        raise UsageError(f"text={name} needs the references of the train split", hint=f"score a task with a train split, or take {bare}")
    clean, minimum, longest = VOCABULARIES[name]
    counts = Counter(token for text in train_references for token in clean(text).split())
    known = {token for token, count in counts.items() if count >= minimum}
    cut = (clean(text).split()[:longest] for text in references)
    return [_spaced(" ".join(token if token in known else UNKNOWN for token in tokens)) for tokens in cut]


def _spaced(text: str) -> str:
    """Set full stops apart, as the scorers of the published tables do to both sides."""
    return re.sub(" +", " ", text.replace(".", " ."))
