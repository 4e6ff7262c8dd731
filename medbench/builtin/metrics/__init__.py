"""The metrics that medbench brings: their cards."""

from __future__ import annotations

from medbench.cards import MetricCard, ScoreFacts


def _rate(label: str, *, primary: bool = False) -> ScoreFacts:
    return ScoreFacts(unit="fraction", higher_is_better=True, low=0.0, high=1.0, worst=0.0, label=label, primary=primary)


def _mean(label: str, *, primary: bool = True, lower: bool = False, high: float | None = 1.0) -> ScoreFacts:
    """Return the facts of a figure from 0 on that is no share of samples, printed as it is."""
    return ScoreFacts(unit="score", higher_is_better=not lower, high=high, label=label, primary=primary)


def _rank(label: str, *, primary: bool = True) -> ScoreFacts:
    return ScoreFacts(unit="score", higher_is_better=False, low=1.0, high=None, label=label, primary=primary)


def _labelwise(label: str, *, lower: bool = False, high: float | None = 1.0) -> dict[str, ScoreFacts]:
    """Return the facts of a mean over labels and of each label's own."""
    return {
        "macro": _mean(f"{label}, mean of labels", lower=lower, high=high),
        "label:*": _mean(f"{label} *", primary=False, lower=lower, high=high),
    }


CARDS = (
    MetricCard(
        name="accuracy",
        load="medbench.builtin.metrics.classification_decisions:Accuracy",
        title="share of right decisions: of classes, of whole label sets, of each label",
        takes=("probabilities",),
        source="scikit-learn's accuracy_score and balanced_accuracy_score",
        scores={
            "accuracy": ScoreFacts(label="accuracy", primary=True),
            "balanced": ScoreFacts(label="balanced accuracy"),
            "subset": ScoreFacts(label="accuracy, all labels of an image right"),
            "label": ScoreFacts(label="accuracy, mean of labels"),
            "label:*": ScoreFacts(label="accuracy *"),
        },
    ),
    MetricCard(
        name="auprc",
        load="medbench.builtin.metrics.classification_ranking:Auprc",
        title="average precision of each label and its mean over labels",
        takes=("probabilities",),
        source="scikit-learn's average_precision_score",
        scores=_labelwise("AUPRC"),
    ),
    MetricCard(
        name="auroc",
        load="medbench.builtin.metrics.classification_ranking:Auroc",
        title="area under the ROC curve of each label and its mean over labels",
        takes=("probabilities",),
        source="Hanley and McNeil, Radiology 143:29 (1982)",
        scores=_labelwise("AUROC"),
    ),
    MetricCard(
        name="brier",
        load="medbench.builtin.metrics.classification_calibration:Brier",
        title="mean squared distance of probability and truth, of each label and its mean over labels",
        takes=("probabilities",),
        source="Brier, Monthly Weather Review 78:1 (1950)",
        scores=_labelwise("Brier score", lower=True),
    ),
    MetricCard(
        name="cnr",
        load="medbench.builtin.metrics.grounding:Cnr",
        title="contrast-to-noise ratio of a map inside and outside the boxes of a phrase",
        takes=("heatmap",),
        source="Boecking et al., ECCV 2022, arXiv 2204.09817",
        scores={
            "cnr": _mean("CNR", high=None),
            "signed": ScoreFacts(unit="score", low=None, high=None, label="CNR with its sign"),
        },
    ),
    MetricCard(
        name="confusion",
        load="medbench.builtin.metrics.confusion:Confusion",
        title="which class is taken for which: recall and precision of each, the table as a picture",
        takes=("probabilities",),
        source="scikit-learn's confusion_matrix, recall_score and precision_score",
        scores={
            "recall": _mean("recall, mean of classes", primary=False),
            "recall:*": ScoreFacts(label="recall *"),
            "precision:*": ScoreFacts(label="precision *"),
        },
    ),
    MetricCard(
        name="ece",
        load="medbench.builtin.metrics.classification_calibration:Ece",
        title="expected calibration error under both definitions, with the error that chance alone would show",
        takes=("probabilities",),
        source="Naeini et al., AAAI 2015; Guo et al., ICML 2017, arXiv 1706.04599",
        scores={
            "positive": _mean("ECE of P(y = 1), mean of labels", lower=True),
            "confidence": _mean("ECE of the confidence", primary=False, lower=True),
            "label:*": _mean("ECE of P(y = 1) *", primary=False, lower=True),
        },
    ),
    MetricCard(
        name="f1",
        load="medbench.builtin.metrics.classification_decisions:F1",
        title="F1 of each label, and its macro, micro, weighted and samples averages",
        takes=("probabilities",),
        source="scikit-learn's f1_score",
        scores={
            "macro": _mean("F1, mean of labels"),
            "micro": _mean("F1, all decisions pooled", primary=False),
            "weighted": _mean("F1, mean weighted by positives", primary=False),
            "samples": _mean("F1, mean of images", primary=False),
            "label:*": _mean("F1 *", primary=False),
        },
    ),
    MetricCard(
        name="first-concept",
        load="medbench.builtin.metrics.first_label:FirstConcept",
        title="share of samples whose most probable label is their first concept",
        takes=("probabilities",),
        source="the hackathon baselines of the ROCO-CLIP report",
        scores={
            "accuracy": ScoreFacts(label="accuracy of the first concept", primary=True),
            "all": ScoreFacts(label="accuracy of the first concept, concepts without a label included"),
        },
    ),
    MetricCard(
        name="log-loss",
        load="medbench.builtin.metrics.classification_calibration:LogLoss",
        title="mean of -ln(probability of what is true), of each label and its mean over labels",
        takes=("probabilities",),
        source="Good, Journal of the Royal Statistical Society B 14:107 (1952)",
        scores=_labelwise("log loss", lower=True, high=None),
    ),
    MetricCard(
        name="matching",
        load="medbench.builtin.metrics.rankings:Matching",
        title="partners told apart in a batch: accuracy, probability of the right one, mean rank",
        takes=("ranking",),
        scores={
            "accuracy": ScoreFacts(label="accuracy", primary=True),
            "probability": _mean("probability of the right one"),
            "mean-rank": _rank("mean rank"),
            "strict-accuracy": ScoreFacts(label="accuracy, equal captions wrong"),
            "strict-probability": _mean("probability of the own partner alone", primary=False),
            "strict-mean-rank": _rank("mean rank, equal captions wrong", primary=False),
        },
    ),
    MetricCard(
        name="miou",
        load="medbench.builtin.metrics.grounding:Miou",
        title="intersection over union of the boxes of a phrase and of a map above thresholds, mean of thresholds",
        takes=("heatmap",),
        source="Boecking et al., ECCV 2022, arXiv 2204.09817",
        scores={"miou": _mean("mIoU")},
    ),
    MetricCard(
        name="pointing-game",
        load="medbench.builtin.metrics.grounding:PointingGame",
        title="share of phrases in whose boxes the highest point of the map lies",
        takes=("heatmap",),
        source="Zhang et al., ECCV 2016, arXiv 1608.00507",
        scores={"accuracy": ScoreFacts(label="pointing game", primary=True)},
    ),
    MetricCard(
        name="retrieval",
        load="medbench.builtin.metrics.rankings:Retrieval",
        title="how early the right one comes among all of the split: recall at 1, 5, 10, median rank, MRR",
        takes=("ranking",),
        scores={
            **{f"recall-at-{k}": ScoreFacts(label=f"recall at {k}", primary=True) for k in (1, 5, 10)},
            "median-rank": _rank("median rank"),
            "mrr": _mean("mean reciprocal rank"),
            **{f"strict-recall-at-{k}": ScoreFacts(label=f"recall at {k}, equal captions wrong") for k in (1, 5, 10)},
            "strict-median-rank": _rank("median rank, equal captions wrong", primary=False),
            "strict-mrr": _mean("mean reciprocal rank, equal captions wrong", primary=False),
        },
    ),
    MetricCard(
        name="sensitivity",
        load="medbench.builtin.metrics.classification_ranking:Sensitivity",
        title="highest sensitivity at a specificity of at least 0.9, of each label and its mean over labels",
        takes=("probabilities",),
        scores=_labelwise("sensitivity"),
    ),
    MetricCard(
        name="twin-findings",
        load="medbench.builtin.metrics.twin_findings:TwinFindings",
        title="F1 of the findings that a chest report on a twin states, by the twin's own sentences",
        takes=("text",),
        scores={
            "micro": _mean("findings F1"),
            "macro": _mean("findings F1, macro", primary=False),
            "located": _mean("findings F1 with place", primary=False),
            "known": ScoreFacts(higher_is_better=None, label="known sentences"),
            "finding:*": _mean("findings F1 *", primary=False),
        },
    ),
    MetricCard(
        name="closed-auc",
        load="medbench.builtin.metrics.closed_auc:ClosedAuc",
        title="AUROC of the probability of yes on yes/no questions, for models that give probabilities of answers",
        takes=("text",),
        scores={
            "auroc": ScoreFacts(unit="fraction", label="closed AUROC"),
            "covered": ScoreFacts(unit="fraction", higher_is_better=None, label="mass on yes and no"),
        },
    ),
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
            "open-precision": _rate("open, token precision"),
            "type:*": _rate(""),
        },
    ),
)
