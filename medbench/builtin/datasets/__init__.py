"""The datasets that medbench reads: their cards. Each reader stands in a module of its own."""

from __future__ import annotations

from medbench.cards import ReaderCard

CARDS = (
    ReaderCard(
        name="vqa-rad",
        load="medbench.builtin.datasets.vqa_rad:VqaRad",
        title="VQA-RAD: 2,248 question-answer pairs that clinicians wrote about 314 radiology images",
        access="open",
        licence="CC0-1.0",
        obtain="OSF project 89kps: 'VQA_RAD Dataset Public.json' and 'VQA_RAD Image Folder/'",
        terms="no registration",
        redistribute=True,
        group="image",
        expects=("VQA_RAD Dataset Public.json", "VQA_RAD Image Folder/synpic*.jpg", "or, MEVF packaging: trainset.json and testset.json"),
        splits=("train", "test"),
        variants=("official", "mevf"),
        citation="Lau JJ, Gayen S, Ben Abacha A, Demner-Fushman D. A dataset of clinically generated visual questions and answers "
        "about radiology images. Scientific Data 5:180251 (2018). doi:10.1038/sdata.2018.251",
        source="doi:10.1038/sdata.2018.251",
        alias_families=(("qid", "mevf-qid"),),
    ),
    ReaderCard(
        name="iu-xray",
        load="medbench.builtin.datasets.iu_xray:IuXray",
        title="Indiana University chest X-rays (Open-I): 3,955 reports, 7,470 images",
        access="open",
        licence="CC BY-NC-ND 4.0",
        obtain="Open-I (openi.nlm.nih.gov): NLMCXR_png and NLMCXR_reports; R2Gen's iu_xray.zip for the annotation.json layout",
        terms="no registration; no redistribution of modified text",
        group="study",
        expects=("annotation.json", "images/<study>/0.png, 1.png"),
        splits=("train", "val", "test"),
        variants=("r2gen",),
        citation="Demner-Fushman D, Kohli MD, Rosenman MB, et al. Preparing a collection of radiology examinations for distribution and "
        "retrieval. JAMIA 23(2):304-310 (2016). doi:10.1093/jamia/ocv080",
        source="doi:10.1093/jamia/ocv080; split: Chen et al., R2Gen, arXiv 2010.16056",
    ),
)
