"""Lexical metrics as a medbench plugin: their cards, and nothing that is slow to import."""

from __future__ import annotations

from medbench.cards import AnyCard, MetricCard, ScoreFacts
from medbench.hookspecs import hookimpl

TEXT_CONVENTIONS = (
    "coco-ptb@1",
    "r2gen-iu@1",
    "r2gen-mimic@1",
    "r2gen-iu+vocab@1",
    "r2gen-mimic+vocab@1",
    "lower-split@1",
    "raw-split@1",
)
"""How a report becomes tokens, the default first."""
TRAIN_CONVENTIONS = ("r2gen-iu+vocab@1", "r2gen-mimic+vocab@1")

_INSTALL = "pip install medbench-lexical"
_COCO = "https://github.com/salaniz/pycocoevalcap 1.2"


def _rate(label: str, *, primary: bool = False) -> ScoreFacts:
    return ScoreFacts(unit="fraction", worst=0.0, label=label, primary=primary)


def _first(name: str) -> dict[str, tuple[str, ...]]:
    return {"text": (f"{name}@1", *(known for known in (*TEXT_CONVENTIONS, "lower-period@1") if known != f"{name}@1"))}


COCO = (
    MetricCard(
        name="bleu",
        load="medbench_lexical.bleu:Bleu",
        title="corpus BLEU-1 to BLEU-4 as COCOEvalCap computes them",
        takes=("text",),
        scores={
            "bleu-1": _rate("BLEU-1"),
            "bleu-2": _rate("BLEU-2"),
            "bleu-3": _rate("BLEU-3"),
            "bleu-4": _rate("BLEU-4", primary=True),
        },
        conventions={"text": TEXT_CONVENTIONS},
        train_conventions=TRAIN_CONVENTIONS,
        needs=("pycocoevalcap",),
        install=_INSTALL,
        source=f"Papineni et al., ACL 2002; {_COCO}",
    ),
    MetricCard(
        name="rouge-l",
        load="medbench_lexical.rouge_l:RougeL",
        title="ROUGE-L as COCOEvalCap computes it (beta 1.2)",
        takes=("text",),
        scores={"rouge-l": _rate("ROUGE-L", primary=True)},
        conventions={"text": TEXT_CONVENTIONS},
        train_conventions=TRAIN_CONVENTIONS,
        needs=("rapidfuzz", "pycocoevalcap"),
        install=_INSTALL,
        source=f"Lin, ACL 2004 workshop; {_COCO}",
    ),
    MetricCard(
        name="cider",
        load="medbench_lexical.cider:Cider",
        title="CIDEr as COCOEvalCap computes it, with the IDF of the references of the evaluated set",
        takes=("text",),
        scores={"cider": ScoreFacts(unit="score", high=10.0, worst=0.0, label="CIDEr", primary=True)},
        conventions={"text": TEXT_CONVENTIONS},
        train_conventions=TRAIN_CONVENTIONS,
        needs=("pycocoevalcap",),
        install=_INSTALL,
        source=f"Vedantam et al., CVPR 2015; {_COCO}",
    ),
    MetricCard(
        name="meteor",
        load="medbench_lexical.meteor:Meteor",
        title="METEOR 1.5 (English, with paraphrases), from the jar that COCOEvalCap uses",
        takes=("text",),
        scores={"meteor": _rate("METEOR", primary=True)},
        conventions={"text": TEXT_CONVENTIONS},
        train_conventions=TRAIN_CONVENTIONS,
        needs=("pycocoevalcap",),
        install=_INSTALL,
        source=f"Denkowski and Lavie, WMT 2014; {_COCO}",
    ),
)

OTHERS = (
    MetricCard(
        name="sentence-bleu",
        load="medbench_lexical.sentence_bleu:SentenceBleu",
        title="mean of unsmoothed sentence BLEU: another metric than corpus BLEU",
        takes=("text",),
        scores={f"sentence-bleu-{n}": _rate(f"sentence BLEU-{n}", primary=n == 2) for n in (1, 2, 3, 4)},
        conventions=_first("lower-period"),
        train_conventions=TRAIN_CONVENTIONS,
        install=_INSTALL,
        source="MedEvalKit; CXR-Report-Metric (BLEU-2), doi:10.1016/j.patter.2023.100802",
    ),
    MetricCard(
        name="exact-match",
        load="medbench_lexical.short_answers:ExactMatch",
        title="share of texts equal to one of their references, token by token",
        takes=("text",),
        scores={"exact-match": _rate("exact match", primary=True)},
        conventions=_first("lower-split"),
        train_conventions=TRAIN_CONVENTIONS,
        install=_INSTALL,
    ),
    MetricCard(
        name="token-f1",
        load="medbench_lexical.short_answers:TokenF1",
        title="bag-of-tokens F1, precision and recall against the best reference",
        takes=("text",),
        scores={"f1": _rate("token F1", primary=True), "precision": _rate("token precision"), "recall": _rate("token recall")},
        conventions=_first("lower-split"),
        train_conventions=TRAIN_CONVENTIONS,
        install=_INSTALL,
        source="Rajpurkar et al., EMNLP 2016 (without its normalisation, which the convention stands for)",
    ),
    MetricCard(
        name="rouge-score",
        load="medbench_lexical.rouge_score:RougeScore",
        title="ROUGE-1, -2, -L and -Lsum F1 as the rouge-score package computes them",
        takes=("text",),
        scores={
            "rouge1": _rate("ROUGE-1 F1"),
            "rouge2": _rate("ROUGE-2 F1"),
            "rougeL": _rate("ROUGE-L F1", primary=True),
            "rougeLsum": _rate("ROUGE-Lsum F1"),
        },
        needs=("rapidfuzz",),
        install=_INSTALL,
        source="Lin, ACL 2004 workshop; the package rouge-score 0.1.2",
    ),
    MetricCard(
        name="sacrebleu",
        load="medbench_lexical.sacrebleu:SacreBleu",
        title="corpus BLEU on the 13a tokens of the raw text, with exponential smoothing",
        takes=("text",),
        scores={"sacrebleu": _rate("sacreBLEU", primary=True)},
        install=_INSTALL,
        source="Post, WMT 2018; the package sacrebleu 2.6.0",
    ),
    MetricCard(
        name="chrf",
        load="medbench_lexical.chrf:Chrf",
        title="chrF2 and chrF2++: F-score of character n-grams, and of words with them",
        takes=("text",),
        scores={"chrf": _rate("chrF2", primary=True), "chrf++": _rate("chrF2++")},
        install=_INSTALL,
        source="Popović, WMT 2015 and 2017; the package sacrebleu 2.6.0",
    ),
    MetricCard(
        name="deltableu",
        load="medbench_lexical.deltableu:DeltaBleu",
        title="BLEU against weighted references, as MEDIQA-M3G 2024 scored it",
        takes=("text",),
        scores={"deltableu": _rate("deltaBLEU", primary=True)},
        install=_INSTALL,
        source="Galley et al., ACL 2015; https://github.com/wyim/MEDIQA-M3G-2024",
    ),
    MetricCard(
        name="hf-evaluate",
        load="medbench_lexical.hf_evaluate:HfEvaluate",
        title="a metric of Hugging Face's evaluate library: hf-evaluate:NAME, or hf-evaluate:FOLDER",
        takes=("text",),
        scores={"*": ScoreFacts(unit="", higher_is_better=None, low=None, high=None)},
        needs=("evaluate",),
        install="pip install 'medbench-lexical[hf]'",
        weighted=False,
        source="https://huggingface.co/docs/evaluate",
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of all lexical metrics."""
    return COCO + OTHERS
