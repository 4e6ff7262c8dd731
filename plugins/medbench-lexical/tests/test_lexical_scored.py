"""The metrics as a run scores them: failures, subgroups, the order of things, the language of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import medbench_lexical
import msgspec
import numpy as np
import pytest
from medbench_lexical import paraphrases
from medbench_lexical.synthetic import reports

from medbench.metric_plans import MetricPlan
from medbench.registry import load
from medbench.scoring import Scored, score
from medbench.types import Failed, Pair, Prediction, Sample, Text

N, FAILING = 40, (0, 7, 21)
REFERENCES, PREDICTED = reports(N, seed=12)
SAMPLES = [
    Sample(id=f"s{i:02d}", group=f"p{i // 2}", split="test", references=(text,), meta={"site": "east" if i % 4 else "west"})
    for i, text in enumerate(REFERENCES)
]
CARDS = {card.name: card for card in medbench_lexical.medbench_cards() if card.name != "hf-evaluate"}
OFFLINE = sorted(CARDS.keys() - {"meteor"})
NAMES = [*OFFLINE, pytest.param("meteor", marks=pytest.mark.skipif(shutil.which("java") is None, reason="no Java on the PATH"))]


@pytest.fixture(autouse=True)
def _few_paraphrases(monkeypatch):
    monkeypatch.setattr(paraphrases, "filtered", lambda *_: b"0.5\nclear\nnormal\n")


def plan(name):
    return MetricPlan(card=CARDS[name], convention={"text": "lower-split@1"} if CARDS[name].conventions else {})


def predictions(failing=FAILING):
    failed = Failed(kind="model", error="e")
    return [Prediction(sample=one.id, value=failed if i in failing else Text(text=PREDICTED[i])) for i, one in enumerate(SAMPLES)]


def scored(name, given, folder, samples=SAMPLES, by=("site",)):
    *_, last = score(samples, given, [plan(name)], folder, seed=1, salt=str(len(list(folder.glob("*")))), by=by)
    assert isinstance(last, Scored)
    assert last.not_computed == {}
    return last


def nearly(row):
    """Return the fields of a row, its numbers to within rounding."""
    fields = msgspec.structs.asdict(row)
    return {name: pytest.approx(value, abs=1e-12) if isinstance(value, float) else value for name, value in fields.items()}


@pytest.mark.parametrize("name", NAMES)
def test_failed_samples_are_counted_left_out_and_shown_at_their_worst(name, tmp_path):
    metric = load(CARDS[name])(convention=plan(name).convention)
    rows = metric.measure([Pair(one, Text(text="" if i in FAILING else PREDICTED[i])) for i, one in enumerate(SAMPLES)])
    answered = np.array([[float(i not in FAILING) for i in range(N)]])
    points, worst = metric.reduce(rows, answered), metric.reduce(rows, np.ones((1, N)))
    made = {one.name: one for one in scored(name, predictions(), tmp_path).scores if not one.subgroup}
    assert set(made) == set(CARDS[name].scores)
    for one in made.values():
        assert (one.n, one.n_failed, one.n_groups) == (N - 3, 3, 20)
        assert one.coverage == pytest.approx((N - 3) / N)
        assert one.value == pytest.approx(points[one.name][0][0], rel=1e-12)
        assert one.worst_case == pytest.approx(worst[one.name][0][0], rel=1e-12)
        assert one.worst_case < one.value or one.value == 0
        assert one.low <= one.value <= one.high


@pytest.mark.parametrize("name", NAMES)
def test_subgroups_and_their_difference_are_scored(name, tmp_path):
    made = scored(name, predictions(), tmp_path)
    sites = {(one.name, one.subgroup["site"]): one for one in made.scores if one.subgroup}
    assert len(sites) == 2 * len(CARDS[name].scores)
    assert {(site, one.n, one.n_failed) for (_, site), one in sites.items()} == {("east", 28, 2), ("west", 9, 1)}
    assert {one.note for (_, site), one in sites.items() if site == "west"} <= {"rough interval: only 9 groups"}
    primary = [score for score, facts in CARDS[name].scores.items() if facts.primary]
    assert [(one.name, one.one, one.other) for one in made.contrasts] == [(score, "site=east", "site=west") for score in primary]
    for one in made.contrasts:
        assert one.difference == pytest.approx(sites[one.name, "east"].value - sites[one.name, "west"].value)
        assert one.low <= one.difference <= one.high


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_samples_changes_no_value(name, tmp_path):
    order = np.random.default_rng(0).permutation(N)
    given = predictions()
    one = scored(name, given, tmp_path)
    other = scored(name, [given[i] for i in order], tmp_path, [SAMPLES[i] for i in order[::-1]])
    for mine, theirs in zip((*one.scores, *one.contrasts), (*other.scores, *other.contrasts), strict=True):
        assert msgspec.structs.asdict(mine) == nearly(theirs)
    assert one.signatures == other.signatures


_ROWS = """
import hashlib, sys
import numpy as np, medbench_lexical
from medbench.registry import load
from medbench_lexical.synthetic import pairs_of, reports
known, said = reports(20, seed=4)
pairs = pairs_of([*known, "INFILTRATE \\u0130N ISTANBUL", "1,5 mm"], [*said, "infiltrate in istanbul", "1.5 MM"])
for card in medbench_lexical.medbench_cards():
    if card.name not in ("hf-evaluate", "meteor"):
        rows = load(card)(convention={"text": sys.argv[1]}).measure(pairs)
        print(card.name, hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest())
"""


@pytest.mark.parametrize(
    "convention", ["lower-split@1", pytest.param("coco-ptb@1", marks=pytest.mark.skipif(shutil.which("java") is None, reason="no Java"))]
)
def test_the_language_of_the_machine_and_the_seed_of_hashes_change_nothing(convention):
    surroundings = [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": "1"},
        {
            "LC_ALL": "tr_TR.UTF-8",
            "LANG": "tr_TR.UTF-8",
            "PYTHONHASHSEED": "2",
            "JAVA_TOOL_OPTIONS": "-Duser.language=tr -Duser.country=TR",
        },
    ]
    said = [
        subprocess.run(
            [sys.executable, "-c", _ROWS, convention], env={**os.environ, **one}, capture_output=True, text=True, check=True
        ).stdout
        for one in surroundings
    ]
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == len(OFFLINE)
