"""How fast the lexical metrics are, each against its reference implementation in the same process on the same reports."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from medbench_lexical import conventions, ngrams
from medbench_lexical.bleu import Bleu
from medbench_lexical.cider import Cider
from medbench_lexical.meteor import Meteor
from medbench_lexical.paraphrases import filtered, vocabulary
from medbench_lexical.rouge_l import RougeL
from medbench_lexical.synthetic import pairs_of, reports
from pycocoevalcap.bleu.bleu import Bleu as ReferenceBleu
from pycocoevalcap.cider.cider import Cider as ReferenceCider
from pycocoevalcap.meteor.meteor import Meteor as ReferenceMeteor
from pycocoevalcap.rouge.rouge import Rouge as ReferenceRouge

from medbench.types import Pair

SEED = 7
RESAMPLES = 1_000
REDONE = 5
"""Resamples that the reference really recomputes; the rest is extrapolated from them."""


class Figure(NamedTuple):
    """One measured figure and the bar it is held to."""

    name: str
    value: float
    unit: str
    against: str
    bar: float
    ok: bool


class _Corpus(NamedTuple):
    pairs: list[Pair]
    references: dict[int, list[str]]
    predictions: dict[int, list[str]]


def figures() -> Iterator[Figure]:
    """Yield each figure as it is measured; all of it takes two to four minutes."""
    large = _corpus(10_000)
    yield _three_scorers(large)
    filtered(vocabulary(["the index of the paraphrases is built once, and not timed"]))
    yield _meteor(_head(large, 300), bar=4.0, times=2)
    yield _meteor(large, bar=1.5, times=1)
    yield from _bootstrap(_head(large, 3_000))


def _corpus(n: int) -> _Corpus:
    pairs = pairs_of(*reports(n, SEED))
    texts = conventions.texts_of(pairs, "coco-ptb")
    return _Corpus(pairs, {i: list(t) for i, t in enumerate(texts.references)}, {i: [t] for i, t in enumerate(texts.hypotheses)})


def _head(corpus: _Corpus, n: int) -> _Corpus:
    return _Corpus(corpus.pairs[:n], *({i: side[i] for i in range(n)} for side in corpus[1:]))


def _best(run: Callable[[], Any], times: int) -> tuple[Any, float]:
    """Return the result and the shortest of several wall times, in seconds."""
    best, made = float("inf"), None
    for _ in range(times):
        ngrams.count.cache_clear()
        start = time.perf_counter()
        made = run()
        best = min(best, time.perf_counter() - start)
    return made, best


def _reference(corpus: _Corpus) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, _ = ReferenceBleu(4).compute_score(corpus.references, corpus.predictions, verbose=0)
        rouge, _ = ReferenceRouge().compute_score(corpus.references, corpus.predictions)
        cider, _ = ReferenceCider().compute_score(corpus.references, corpus.predictions)
    return [*bleu, float(rouge), float(cider)]


def _values(metrics: Sequence[Any], rows: Sequence[Any], weights: Any) -> list[Any]:
    return [values for metric, own in zip(metrics, rows, strict=True) for values, _ in metric.reduce(own, weights).values()]


def _three_scorers(corpus: _Corpus) -> Figure:
    def ours() -> list[float]:
        metrics = (Bleu(), RougeL(), Cider())
        rows = [metric.measure(corpus.pairs) for metric in metrics]
        return [float(values[0]) for values in _values(metrics, rows, np.ones((1, len(corpus.pairs))))]

    made, fast = _best(ours, 5)
    wanted, slow = _best(lambda: _reference(corpus), 1)
    same = made[:5] == wanted[:5] and abs(made[5] - wanted[5]) <= 1e-12
    return _ratio("BLEU + ROUGE-L + CIDEr, 10,000 reports", slow / fast, bar=15.0, same=same)


def _meteor(corpus: _Corpus, *, bar: float, times: int) -> Figure:
    metric = Meteor()
    rows, fast = _best(lambda: metric.measure(corpus.pairs), times)
    (wanted, _), slow = _best(lambda: ReferenceMeteor().compute_score(corpus.references, corpus.predictions), times)
    value = float(metric.reduce(rows, np.ones((1, len(rows))))["meteor"][0][0])
    return _ratio(f"METEOR, {len(rows):,} reports", slow / fast, bar=bar, same=abs(value - wanted) <= 1e-12)


def _ratio(name: str, value: float, *, bar: float, same: bool) -> Figure:
    return Figure(name, value, "times as fast", "pycocoevalcap 1.2", bar, value >= bar and same)


def _bootstrap(corpus: _Corpus) -> Iterator[Figure]:
    n = len(corpus.pairs)
    metrics = (Bleu(), RougeL(), Cider(), Meteor())
    rows = [metric.measure(corpus.pairs) for metric in metrics]
    drawn = np.random.default_rng(SEED).integers(0, n, (RESAMPLES, n))
    weights = np.stack([np.bincount(draw, minlength=n) for draw in drawn]).astype(np.float64)
    values, fast = _best(lambda: _values(metrics, rows, weights), 3)
    redone, seconds = _best(lambda: [_again(corpus, draw) for draw in drawn[:REDONE]], 1)
    # CIDEr keeps its IDF over resamples, a recomputation does not: it is left out of the comparison.
    same = all(abs(values[k][b] - one[k]) <= 1e-12 for b, one in enumerate(redone) for k in (0, 1, 2, 3, 4, 6))
    name = f"bootstrap of BLEU, ROUGE-L, CIDEr, METEOR, n = {n:,}, {RESAMPLES:,} resamples"
    yield Figure(name, fast, "s", "", 0.1, fast <= 0.1 and same)
    ratio = seconds / REDONE * RESAMPLES / fast
    yield Figure(name, ratio, "times as fast", f"pycocoevalcap, extrapolated from {REDONE}", 10_000.0, ratio >= 10_000 and same)


def _again(corpus: _Corpus, draw: Any) -> list[float]:
    drawn = _Corpus([], *({k: side[int(i)] for k, i in enumerate(draw)} for side in corpus[1:]))
    meteor, _ = ReferenceMeteor().compute_score(drawn.references, drawn.predictions)
    return [*_reference(drawn), float(meteor)]


def main() -> None:
    """Print every figure."""
    for figure in figures():
        mark = "ok  " if figure.ok else "MISS"
        print(f"{mark} {figure.name}: {figure.value:,.3g} {figure.unit} (bar {figure.bar:,g}; {figure.against})", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
