"""Metrics of drawn pictures as a medbench plugin: their cards, and nothing that is slow to import."""

from __future__ import annotations

from medbench.cards import AnyCard, MetricCard, ScoreFacts
from medbench.hookspecs import hookimpl

_INSTALL = "pip install medbench-imagegen"


def _distance(label: str, *, primary: bool = False, low: float | None = 0.0) -> ScoreFacts:
    return ScoreFacts(unit="score", higher_is_better=False, low=low, high=None, label=label, primary=primary)


def _share(label: str, *, higher: bool = True, high: float | None = 1.0, primary: bool = False) -> ScoreFacts:
    return ScoreFacts(unit="fraction", higher_is_better=higher, high=high, label=label, primary=primary)


_KID = {"kid-*": _distance("KID", low=None, primary=True)}
_INCEPTION = {
    "MEDBENCH_INCEPTION": "inception-2015-12-05.pt, the TorchScript of Inception v3 from the StyleGAN2-ADA metrics "
    "(features=legacy: pt_inception-2015-12-05-6726825d.pth of pytorch-fid beside it)"
}
_KERAS = {"MEDBENCH_KERAS_INCEPTION": "the ImageNet Inception v3 of Keras with top, as TorchScript"}
_SETS = {"takes": ("picture",), "weighted": False, "needs": ("torch",), "install": _INSTALL, "paths": ("weights",), "version": "2"}

CARDS: tuple[AnyCard, ...] = (
    MetricCard(
        name="fid",
        files=_INCEPTION,
        load="medbench_imagegen.distances:Fid",
        title="Frechet distance of features of the drawn and the real pictures, its extrapolation to infinite n, and KID",
        scores={
            "fid-inf-*": _distance("FID extrapolated", low=None),
            **_KID,
            "fid-clean": _distance("FID (clean)", primary=True),
            "fid-small-v1": _distance("FID (small network)", primary=True),
            "fid-*": _distance("FID"),
        },
        source="Heusel et al., NeurIPS 2017; Parmar et al., CVPR 2022 (clean-fid 0.1.35); Chong & Forsyth, CVPR 2020",
        **_SETS,
    ),
    MetricCard(
        name="kid",
        files=_INCEPTION,
        load="medbench_imagegen.distances:Kid",
        title="kernel distance of features of the drawn and the real pictures: unbiased at every n",
        scores=_KID,
        source="Binkowski et al., ICLR 2018; clean-fid 0.1.35",
        **_SETS,
    ),
    MetricCard(
        name="prdc",
        files=_INCEPTION,
        load="medbench_imagegen.manifolds:Prdc",
        title="precision and recall, density and coverage of the drawn pictures among the real ones",
        scores={
            "precision-*": _share("precision"),
            "recall-*": _share("recall"),
            "density-*": _share("density", high=None),
            "coverage-*": _share("coverage", primary=True),
        },
        source="Kynkaanniemi et al., NeurIPS 2019 (k = 3); Naeem et al., ICML 2020 (k = 5)",
        **_SETS,
    ),
    MetricCard(
        name="copies",
        files=_INCEPTION,
        load="medbench_imagegen.manifolds:Copies",
        title="drawn pictures that lie closer to a train picture than real ones do",
        scores={
            "copies-*": _share("copies of train", higher=False, primary=True),
            "nearer-*": _share("nearer to train", higher=False),
        },
        source="nearest neighbours among features, as Carlini et al., USENIX Security 2023; Meehan et al., AISTATS 2020",
        **_SETS,
    ),
    MetricCard(
        name="is",
        files=_INCEPTION,
        load="medbench_imagegen.classes:InceptionScore",
        title="Inception Score: how sure a classifier of photographs is of each picture, and how varied its classes are",
        scores={"is": ScoreFacts(unit="score", low=1.0, high=None, label="Inception Score", primary=True)},
        source="Salimans et al., NeurIPS 2016; 10 splits",
        **_SETS,
    ),
    MetricCard(
        name="fid-medvqagi2024",
        load="medbench_imagegen.classes:MedvqaGi2024",
        files=_KERAS,
        title="the number of the MEDVQA-GI 2024 organisers: a Frechet distance of class probabilities, which is no FID",
        scores={
            "fid-medvqagi2024": _distance("organisers' FID", primary=True),
            "is-medvqagi2024": ScoreFacts(unit="score", low=1.0, high=None, label="organisers' IS"),
        },
        source="github.com/simula/ImageCLEFmed-MEDVQA-GI-2024, evaluate_task_1.py",
        **_SETS,
    ),
    MetricCard(
        name="clip-score",
        load="medbench_imagegen.agreement:ClipScore",
        title="agreement of a drawn picture with its prompt, as an encoder of both sees it (named with --judge)",
        takes=("picture",),
        asks=("encoder",),
        scores={
            "cosine": ScoreFacts(unit="score", low=-1.0, high=1.0, label="cosine"),
            "clip-score": ScoreFacts(unit="score", low=0.0, high=2.5, label="CLIP-score", primary=True),
        },
        install=_INSTALL,
        version="2",
        source="Hessel et al., EMNLP 2021 (w = 2.5)",
    ),
    MetricCard(
        name="fid-encoder",
        load="medbench_imagegen.distances:EncoderFid",
        title="Frechet distance and KID on the embeddings of any model that can embed (named with --judge)",
        asks=("encoder",),
        scores={"fid-inf-*": _distance("FID extrapolated", low=None), **_KID, "fid-*": _distance("FID", primary=True)},
        source="Heusel et al., NeurIPS 2017, on another network",
        **_SETS,
    ),
)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the cards of this plugin."""
    return CARDS
