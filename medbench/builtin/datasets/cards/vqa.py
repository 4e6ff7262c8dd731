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
    ReaderCard(
        name="slake",
        load="medbench.builtin.datasets.slake:Slake",
        title="SLAKE: 14,028 questions in English and Chinese about 642 radiology images",
        access="open",
        licence="CC BY 4.0",
        obtain="med-vqa.com/slake (Slake1.0.zip), or Hugging Face BoKelvin/SLAKE: the three JSON files, and imgs.zip unpacked beside them",
        terms="no registration",
        redistribute=True,
        group="image",
        expects=("Slake1.0/train.json, validate.json (or validation.json), test.json", "Slake1.0/imgs/xmlab<N>/source.jpg"),
        splits=("train", "val", "test"),
        variants=("en", "zh", "both"),
        citation="Liu B, Zhan LM, Xu L, Ma L, Yang Y, Wu XM. SLAKE: a semantically-labeled knowledge-enhanced dataset for medical visual "
        "question answering. ISBI 2021, 1650-1654. doi:10.1109/ISBI48211.2021.9434010",
        source="arXiv 2102.09542",
    ),
    ReaderCard(
        name="pathvqa",
        load="medbench.builtin.datasets.pathvqa:PathVqa",
        title="PathVQA: 32,799 questions about 4,998 pathology images of textbooks",
        access="click-through",
        licence="MIT for the questions; the images stay with their publishers",
        obtain="github.com/UCSD-AI4H/PathVQA (pvqa/), or Hugging Face flaviagiammarino/path-vqa (parquet)",
        terms="the images may not be handed on",
        group="image",
        expects=("pvqa/qas/<split>/<split>_qa.pkl", "pvqa/images/{train,val,test}/*.jpg", "or, variant parquet: data/<split>-*.parquet"),
        splits=("train", "val", "test"),
        variants=("original", "parquet"),
        citation="He X, Zhang Y, Mou L, Xing E, Xie P. PathVQA: 30000+ questions for medical visual question answering. "
        "arXiv 2003.10286 (2020)",
        source="arXiv 2003.10286",
    ),
)
