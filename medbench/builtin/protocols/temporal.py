"""Change between two images: improving, stable or worsening, by the prompts nearest to the vector of the pair."""

from __future__ import annotations

import msgspec

from medbench.builtin.protocols.embedding import Views
from medbench.builtin.protocols.zero_shot import Several, ZeroShot, ZeroShotParams

IMPROVING = ("{question} is improving", "improved {question}", "{question} has decreased", "{question} is better than before")
STABLE = ("{question} is stable", "unchanged {question}", "{question} has not changed", "{question} is the same as before")
WORSENING = ("{question} is worsening", "worsened {question}", "{question} has increased", "{question} is worse than before")
CHANGES = {"improving": IMPROVING, "stable": STABLE, "worsening": WORSENING}


class TemporalParams(ZeroShotParams):
    """What a task or a run may set; `{question}` in a prompt stands for the finding that a sample asks about."""

    prompts: Several = msgspec.field(default_factory=lambda: {name: said[:1] for name, said in CHANGES.items()})
    ensemble: Several = msgspec.field(default_factory=lambda: dict(CHANGES))
    views: Views = "together"


class Temporal(ZeroShot):
    """Zero-shot classification of a pair of images in one request, the current one first and the prior one second."""

    Params = TemporalParams
