"""METEOR 1.5 from the jar that COCOEvalCap ships: statistics once per sample, scores from them.

Equal to COCOEvalCap (`-l en -norm`) to within rounding, corpus and samples alike. The jar is LGPL and is run, not linked.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import PluginError
from medbench.types import Pair
from medbench_lexical import paraphrases, synonyms
from medbench_lexical.conventions import Texts, chosen, texts_of
from medbench_lexical.java import METEOR, bundled, java, run
from medbench_lexical.ptb import one_line
from medbench_lexical.weighting import Array, Reduced, sums

STATISTICS = 23

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
"""METEOR's English parameters: weight of recall, shape and size of the penalty, weight of content words."""
MODULES = (1.0, 0.6, 0.8, 0.6)
"""What a match counts: exact, stem, synonym, paraphrase."""

SMALLEST_PART = 1_500
"""Samples that one Java gets at least, where there are several."""
LONG_PART = 3_000
"""Samples from which on Java compiles thoroughly."""
MOST_PROCESSES = 4
"""Each takes 300 MB."""

_CHUNKS = 20
_Sample = tuple[str, tuple[str, ...]]


class Meteor:
    """METEOR of the corpus: precision, recall and fragmentation from statistics summed over samples.

    That is not the mean of the samples' own scores, which `per_sample` gives. With several references the jar takes the one
    that scores best. The statistics of "no effusion" against "no pleural effusion" (two words of three, in two pieces):

    >>> row = [2, 3, 1, 1, 1, 1, 1, 1, *[0] * 12, 2, 2, 2]
    >>> round(float(Meteor().reduce([row], [[1]])["meteor"][0][0]), 15)
    0.244274809160305
    """

    def __init__(self, *, convention: Mapping[str, str] | None = None, train_references: Sequence[str] | None = None) -> None:
        self._convention = chosen(convention or {}, "coco-ptb@1")
        self._train_references = train_references

    def measure(self, pairs: Sequence[Pair]) -> Array:
        """Return the jar's 23 statistics per pair, shape (pairs, 23).

        Raises:
            UsageError: there is no Java.
        """
        java("meteor")
        return statistics(texts_of(pairs, self._convention, self._train_references))

    def reduce(self, rows: Any, weights: Any) -> Reduced:
        """Return the corpus score per resample, a fraction 0..1; NaN for a resample without samples."""
        rows = np.asarray(rows, dtype=np.float64)
        counted = rows.copy()
        # The jar does not add the chunk of a segment that is matched whole.
        counted[_whole(rows), _CHUNKS] = 0
        totals, samples = sums(counted, weights)
        return {"meteor": (np.where(samples > 0, scores(totals), np.nan), np.ones(len(rows), dtype=bool))}

    def per_sample(self, rows: Any) -> dict[str, Array]:
        """Return the score of each sample."""
        return {"meteor": scores(np.asarray(rows, dtype=np.float64))}

    def signature(self) -> dict[str, str]:
        """Return what defines the number beside its convention."""
        return {"meteor": "METEOR-1.5|en|norm|modules:exact,stem,synonym,paraphrase|corpus|as:pycocoevalcap-1.2"}


def statistics(texts: Texts) -> Array:
    """Return the jar's statistics for each sample, shape (samples, 23).

    Equal samples are measured once. The jar reads files with as many references for every line, so each number of references
    has runs of its own; large ones are shared among processors. Where a run loads the whole table, which takes longer than its
    samples, there is one for all: repeated references change no best match.
    """
    samples = list(zip(texts.hypotheses, texts.references, strict=True))
    if not samples:
        return np.zeros((0, STATISTICS))
    by_size: dict[int, list[_Sample]] = {}
    with _tables(texts) as options:
        whole = "-a" not in options
        for sample in dict.fromkeys(samples):
            by_size.setdefault(0 if whole else len(sample[1]), []).append(sample)
        # With the whole table each process takes 2 GB.
        processes = 1 if whole else min(MOST_PROCESSES, _cores())
        parts = [part for members in by_size.values() for part in _parts(members, processes)]
        with ThreadPoolExecutor(processes) as pool:
            made = list(pool.map(lambda part: _run(part, options), parts))
    row = {sample: rows[i] for part, rows in zip(parts, made, strict=True) for i, sample in enumerate(part)}
    return np.stack([row[sample] for sample in samples])


def _cores() -> int:
    """Return how many processors this process may use, which in a container are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _parts(members: Sequence[_Sample], most: int) -> list[Sequence[_Sample]]:
    """Cut a run where it is long enough to outweigh the start of another Java."""
    n = max(1, min(most, len(members) // SMALLEST_PART))
    return [members[i::n] for i in range(n)]


@contextmanager
def _tables(texts: Texts) -> Iterator[list[str]]:
    """Write what can match in these texts, and give the options that make the jar use it.

    Without an index of the paraphrases the jar loads all of them.
    """
    words = paraphrases.vocabulary([*texts.hypotheses, *(text for references in texts.references for text in references)])
    phrases = paraphrases.filtered(words, len(texts.hypotheses))
    with tempfile.TemporaryDirectory(prefix="medbench-meteor-") as name:
        folder = Path(name)
        for file, content in synonyms.files(words).items():
            (folder / file).write_bytes(content)
        options = ["-d", str(folder)]
        if phrases is not None:
            (folder / "paraphrases.gz").write_bytes(gzip.compress(phrases, compresslevel=1, mtime=0))
            options += ["-a", str(folder / "paraphrases.gz")]
        yield options


def _run(samples: Sequence[_Sample], options: Sequence[str]) -> Array:
    """Run the jar on files."""
    with tempfile.TemporaryDirectory(prefix="medbench-meteor-") as folder:
        ours, theirs = (Path(folder) / name for name in ("hypotheses", "references"))
        n = max(len(references) for _, references in samples)
        # COCOEvalCap takes its own separator out of predictions, and halves double spaces once.
        _write(ours, [text.replace("|||", "").replace("  ", " ") for text, _ in samples])
        _write(theirs, [text for _, references in samples for text in (*references, *references[-1:] * (n - len(references)))])
        whole = "-a" not in options
        arguments = [
            "-Xmx2g" if whole else "-Xmx300m",
            "-jar",
            str(bundled(METEOR)),
            str(ours),
            str(theirs),
            "-l",
            "en",
            "-norm",
            "-ssOut",
            *options,
        ]
        said = run("meteor", [*arguments, "-r", str(n)], long=whole or len(samples) >= LONG_PART)
    rows = [line for line in map(str.split, said.splitlines()) if len(line) == STATISTICS]
    if len(rows) != len(samples):
        raise PluginError(f"meteor: the jar gave {len(rows)} rows for {len(samples)} texts", hint="is this pycocoevalcap 1.2?")
    return np.array(rows, dtype=np.float64)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_bytes("".join(f"{one_line(line)}\n" for line in lines).encode("utf-8", "replace"))


def _matched(rows: Array) -> tuple[Array, Array]:
    """Return how many words of prediction and reference are matched, by any module."""
    matches = rows[:, 4:20].reshape(-1, len(MODULES), 4)
    return matches[:, :, [0, 2]].sum(axis=(1, 2)), matches[:, :, [1, 3]].sum(axis=(1, 2))


def _whole(rows: Array) -> Any:
    ours, theirs = _matched(rows)
    return (ours == rows[:, 0]) & (theirs == rows[:, 1]) & (rows[:, _CHUNKS] == 1)


def scores(rows: Array) -> Array:
    """Return METEOR for rows of statistics: length, matches (content and function words by module), chunks."""
    ours, theirs, our_function, their_function = rows[:, :4].T
    matches = rows[:, 4:20].reshape(-1, len(MODULES), 4) * np.array(MODULES)[:, None]
    our_match = (matches[:, :, 0] * DELTA + matches[:, :, 2] * (1 - DELTA)).sum(axis=1)
    their_match = (matches[:, :, 1] * DELTA + matches[:, :, 3] * (1 - DELTA)).sum(axis=1)
    words = (rows[:, 21] + rows[:, 22]) / 2
    scored = (our_match > 0) & (their_match > 0) & (words > 0)
    if not scored.any():
        return np.zeros(len(rows))
    made = np.zeros(len(rows))
    precision = our_match[scored] / (DELTA * (ours - our_function) + (1 - DELTA) * our_function)[scored]
    recall = their_match[scored] / (DELTA * (theirs - their_function) + (1 - DELTA) * their_function)[scored]
    mean = 1 / ((1 - ALPHA) / precision + ALPHA / recall)
    pieces = np.where(_whole(rows), 0.0, rows[:, _CHUNKS])[scored] / words[scored]
    made[scored] = np.maximum(mean * (1 - GAMMA * pieces**BETA), 0.0)
    return made
