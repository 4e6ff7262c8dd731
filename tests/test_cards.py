"""Cards: plain data, with the facts about families of scores."""

from __future__ import annotations

import msgspec
import pytest

from medbench.cards import KINDS, MetricCard, ScoreFacts

CARD = MetricCard(
    name="m",
    load="a:B",
    takes=("text",),
    scores={
        "type:special": ScoreFacts(label="special"),
        "type:*": ScoreFacts(label="family"),
        "overall": ScoreFacts(label="all", primary=True),
    },
)


@pytest.mark.parametrize(("name", "label"), [("overall", "all"), ("type:x", "family"), ("type:special", "special"), ("type:", "family")])
def test_a_score_has_its_own_facts_or_its_familys(name, label):
    assert CARD.facts(name).label == label


def test_nothing_is_claimed_about_a_score_that_nobody_declared():
    facts = CARD.facts("other")
    assert (facts.unit, facts.higher_is_better, facts.low, facts.high, facts.worst) == ("", None, None, None, None)


def test_every_card_of_medbench_and_the_kit_survives_a_journey(registry):
    for kind in KINDS.values():
        for entry in registry.entries(kind):
            assert msgspec.json.decode(msgspec.json.encode(entry.card), type=kind) == entry.card
