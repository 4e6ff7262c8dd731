"""Cards of the datasets of questions about images."""

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
)
