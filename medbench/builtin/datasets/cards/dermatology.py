"""Cards of the datasets about skin."""

from __future__ import annotations

from medbench.cards import ReaderCard

CARDS = (
    ReaderCard(
        name="mediqa-m3g",
        load="medbench.builtin.datasets.mediqa_m3g:MediqaM3g",
        title="MEDIQA-M3G 2024: 998 questions to dermatologists with pictures and several answers, in English, Chinese and Spanish",
        access="click-through",
        licence="not stated; for research within the challenge's terms",
        obtain="codabench.org/competitions/1632 and github.com/wyim/MEDIQA-M3G-2024",
        terms="registration for the challenge",
        group="encounter",
        expects=("{train,valid,test}.json", "images_{train,valid,test}/IMG_<encounter>_<number>.*", "df_userinfo.csv"),
        splits=("train", "val", "test"),
        variants=("en", "zh", "es"),
        citation="Yim W, Ben Abacha A, Fu Y, Sun Z, Xia F, Yetisgen M, Krallinger M. Overview of the MEDIQA-M3G 2024 shared task on "
        "multilingual multimodal medical answer generation. ClinicalNLP 2024",
        source="github.com/wyim/MEDIQA-M3G-2024",
    ),
)
