from __future__ import annotations

import numpy as np
import pytest

from medbench.builtin.metrics import CARDS
from medbench.builtin.metrics.twin_findings import TwinFindings
from medbench.builtin.twins.chest import Chest, Spot, draw_chest
from medbench.builtin.twins.mimic_reports import findings_text, folded
from medbench.builtin.twins.reports import report_of
from medbench.builtin.twins.said import FINDINGS, findings_of, places, sentences, vocabulary
from medbench.errors import DataError
from medbench.testing import check_metric
from medbench.types import Pair, Sample, Text

CLEAR = "The lungs are clear."
BIG = "The heart is mildly enlarged."
WET = "Small effusion on the right."


def pair(reference, answer, name="a"):
    return Pair(Sample(id=name, group=name, split="test", references=(reference,)), Text(text=answer))


def values(*pairs):
    metric = TwinFindings()
    scores = metric.reduce(metric.measure(pairs), np.ones((1, len(pairs))))
    return {name: float(value[0]) for name, (value, _) in scores.items()}


@pytest.mark.parametrize("word", [report_of, lambda chest, rng: folded(findings_text(chest, rng))])
def test_a_report_states_exactly_what_was_drawn(word):
    rng = np.random.default_rng(0)
    for _ in range(400):
        chest = draw_chest(rng)
        said = sentences(word(chest, rng))
        assert said
        assert frozenset().union(*(vocabulary()[sentence] for sentence in said)) == findings_of(chest)


def test_the_findings_of_a_chest_have_their_places():
    chest = Chest(ratio=0.6, effusions={"left": 0.3}, nodule=Spot(side="right", zone="mid"), device="pacemaker")
    assert findings_of(chest) == {"enlarged heart", "effusion, left", "nodule, right mid zone", "pacemaker"}
    assert findings_of(Chest()) == frozenset()
    assert len(places()) == 21
    assert {place.partition(",")[0] for place in places()} == set(FINDINGS)


def test_f1_by_hand():
    got = values(
        pair(f"{BIG} {CLEAR} {WET}", f"{BIG} {CLEAR}"),
        pair(f"{CLEAR}", f"{CLEAR} Small effusion on the left."),
        pair(f"{CLEAR} {WET}", f"{CLEAR} Small effusion on the left."),
    )
    assert got["micro"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert got["finding:effusion"] == pytest.approx(2 * 1 / (2 * 1 + 1 + 1))
    assert got["finding:enlarged heart"] == 1.0
    assert got["macro"] == pytest.approx((1.0 + 0.5) / 2)
    assert got["located"] == pytest.approx(2 * 1 / (2 * 1 + 2 + 2))
    assert np.isnan(got["finding:nodule"])
    assert got["known"] == 1.0


def test_case_breaks_and_what_was_removed_do_not_matter():
    got = values(
        pair("A nodule of 12 +/- 1 mm projects over the left\n upper zone.  Left chest wall pacemaker with lead in the right ventricle.",
             "a nodule of 12 ± 1 mm projects over the left upper zone.\nA left-sided pacemaker is in XXXX."),
    )  # fmt: skip
    assert got["located"] == 1.0


def test_strange_sentences_state_nothing_and_are_counted():
    got = values(pair(f"{BIG} {WET}", f"{BIG} An effusion, small, on the right side."), pair(CLEAR, ""))
    assert got["micro"] == pytest.approx(2 / 3)
    assert got["known"] == 0.5


def test_real_reports_are_refused_without_quoting_them():
    with pytest.raises(DataError, match="reference of a is no report of a twin") as caught:
        TwinFindings().measure([pair("Interval placement of a chest tube.", CLEAR)])
    assert "chest tube" not in caught.value.message + caught.value.hint


def test_it_keeps_what_a_metric_promises():
    card = next(card for card in CARDS if card.name == "twin-findings")
    pairs = [pair(f"{BIG} {CLEAR} {WET}", f"{BIG} {CLEAR}"), pair(CLEAR, f"{CLEAR} {WET}", "b"), pair(f"{CLEAR} {WET}", WET, "c")]
    assert check_metric(card, pairs)["micro"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
