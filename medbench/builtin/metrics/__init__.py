"""The metrics that medbench brings: their cards."""

from __future__ import annotations

from medbench.cards import MetricCard, ScoreFacts


def _rate(label: str, *, primary: bool = False) -> ScoreFacts:
    return ScoreFacts(unit="fraction", higher_is_better=True, low=0.0, high=1.0, worst=0.0, label=label, primary=primary)


CARDS = (
    MetricCard(
        name="vqa",
        load="medbench.builtin.metrics.vqa:VqaAccuracy",
        title="accuracy of short answers, overall, closed, open and by question type, under a named rule",
        takes=("text",),
        source="the evaluation code of VQA-v2, PeFoMed, LLaVA-Med, MultiMedEval and MedEvalKit",
        conventions={
            "vqa": ("medbench@1", "pefomed@1", "llava-med@1", "multimedeval@1", "medevalkit@1", "exact@1"),
        },
        scores={
            "overall": _rate("overall accuracy", primary=True),
            "closed": _rate("closed"),
            "closed-yes-no": _rate("closed (yes/no)"),
            "closed-choice": _rate("closed (choice)"),
            "open": _rate("open"),
            "open-recall": _rate("open, token recall"),
            "open-f1": _rate("open, token F1"),
            "open-precision": _rate("open, words of the answer that are right"),
            "type:*": _rate(""),
        },
    ),
)
