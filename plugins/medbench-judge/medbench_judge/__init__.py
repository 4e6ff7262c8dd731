"""Judges as a medbench plugin: metrics that ask a second model. Their cards, and nothing that is slow to import."""

from __future__ import annotations

from medbench.cards import AnyCard, MetricCard, ScoreFacts
from medbench.hookspecs import hookimpl

_INSTALL = "pip install medbench-judge"


def _count(label: str) -> ScoreFacts:
    return ScoreFacts(unit="count", higher_is_better=None, high=None, label=label)


def _share(label: str, *, primary: bool = False, higher: bool | None = True) -> ScoreFacts:
    return ScoreFacts(unit="fraction", higher_is_better=higher, label=label, primary=primary)


def _score(label: str, low: float | None, high: float | None, *, primary: bool = False, higher: bool | None = True) -> ScoreFacts:
    return ScoreFacts(unit="score", higher_is_better=higher, low=low, high=high, label=label, primary=primary)


ASKED = {
    "parsed": _count("parsed"),
    "unparsable": _count("unparsable"),
    "refused": _count("refused"),
    "failed": _count("calls failed"),
}
"""What came of asking: separate counts, beside every mean."""

CONTROLS = {
    "length-correlation": _score("control: length", -1.0, 1.0, higher=None),
    "canary": _share("control: plea", higher=False),
    "repeat-agreement": _share("control: repeated"),
}


def _bounds(low: float | None, high: float | None) -> dict[str, ScoreFacts]:
    return {
        "at-worst": _score("unscored at worst", low, high),
        "at-best": _score("unscored at best", low, high),
    }


CARDS = (
    MetricCard(
        name="likert",
        load="medbench_judge.rating:Likert",
        title="five-level rating of a report against the reference by a judge (PeFoMed's rubric, our words)",
        takes=("text",),
        asks=("judge",),
        asked_tokens=(800, 400),
        conventions={"judge": ("likert@1",)},
        scores={
            "average": _score("average, 0 to 4", 0.0, 4.0, primary=True),
            "average-1-5": _score("average, 1 to 5", 1.0, 5.0),
            "expected": _score("by probabilities", 0.0, 4.0),
            "covered": _share("probability covered"),
            **{f"level-{level}": _share(f"level {level}", higher=None) for level in (4, 3, 2, 1, 0)},
            **ASKED,
            **_bounds(0.0, 4.0),
            **CONTROLS,
            "shuffled": _score("control: shuffled", 0.0, 4.0, higher=False),
        },
        install=_INSTALL,
        source="rubric: Liu et al., arXiv 2401.02797",
    ),
    MetricCard(
        name="vqa-judge",
        load="medbench_judge.vqa:VqaJudge",
        title="correctness of short answers by a judge: overall, closed, open, by question type",
        takes=("text",),
        asks=("judge",),
        asked_tokens=(600, 200),
        conventions={"judge": ("vqa-judge@1",)},
        scores={
            "overall": _share("overall accuracy", primary=True),
            "closed": _share("closed"),
            "open": _share("open"),
            "type:*": _share("*"),
            "average-*": _score("mean", None, None),
            "expected": _share("by probabilities"),
            "covered": _share("probability covered"),
            **ASKED,
            **_bounds(0.0, 1.0),
            **CONTROLS,
            "shuffled": _share("control: shuffled", higher=False),
        },
        install=_INSTALL,
        source="Liu et al., arXiv 2401.02797 (task); prompt and parser ours",
    ),
    MetricCard(
        name="chexprompt",
        load="medbench_judge.chexprompt:CheXprompt",
        title="errors of a chest X-ray report by six types, clinically significant or not, counted by a judge",
        takes=("text",),
        asks=("judge",),
        asked_tokens=(1_100, 900),
        conventions={"judge": ("chexprompt@1",)},
        scores={
            "weighted": _score("errors per report, weighted", 0.0, None, primary=True, higher=False),
            "errors": _score("errors per report", 0.0, None, higher=False),
            "significant": _score("significant errors per report", 0.0, None, higher=False),
            "insignificant": _score("insignificant errors per report", 0.0, None, higher=False),
            "error-free": _share("reports without a significant error"),
            "significant:*": _score("significant: *", 0.0, None, higher=False),
            "insignificant:*": _score("insignificant: *", 0.0, None, higher=False),
            **ASKED,
            **CONTROLS,
            "shuffled": _score("control: shuffled", 0.0, None, higher=None),
        },
        install=_INSTALL,
        source="error types: Zambrano Chaves et al., arXiv 2403.08002 (CheXprompt); Yu et al., doi:10.1016/j.patter.2023.100802",
    ),
    MetricCard(
        name="pairwise",
        load="medbench_judge.pairwise:Pairwise",
        title="preference of a judge between two runs, asked in both orders",
        takes=("text",),
        asks=("judge",),
        paths=("against", "runs"),
        calls=2,
        asked_tokens=(1_000, 300),
        conventions={"judge": ("pairwise@1",)},
        scores={
            "win-rate": _share("win rate, ties half", primary=True),
            "wins": _share("wins"),
            "ties": _share("ties", higher=None),
            "losses": _share("losses", higher=False),
            "consistent": _share("same preference in both orders"),
            "position-bias": _score("position bias", -1.0, 1.0, higher=None),
            **ASKED,
            "length-correlation": CONTROLS["length-correlation"],
        },
        install=_INSTALL,
        source="both orders: Zheng et al., arXiv 2306.05685",
    ),
    MetricCard(
        name="rubric",
        load="medbench_judge.rating:RubricJudge",
        title="a scale of your own, as a TOML file: levels, prompt, how the reply is read",
        takes=("text",),
        asks=("judge",),
        paths=("file",),
        asked_tokens=(800, 300),
        scores={
            "average": _score("mean level", None, None, primary=True, higher=None),
            "average-*": _score("mean level, rescaled", None, None, higher=None),
            "expected": _score("by probabilities", None, None, higher=None),
            "covered": _share("probability covered"),
            "level-*": _share("level", higher=None),
            **ASKED,
            **_bounds(None, None),
            **CONTROLS,
            "shuffled": _score("control: shuffled", None, None, higher=None),
        },
        install=_INSTALL,
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of all judges."""
    return CARDS
