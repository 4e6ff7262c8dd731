"""Cards of the endoscopy datasets."""

from __future__ import annotations

from medbench.cards import ReaderCard

_HICKS = (
    "Hicks SA, Storås A, Halvorsen P, de Lange T, Riegler MA, Thambawita V. Overview of ImageCLEFmedical 2023 - medical visual question "
    "answering for gastrointestinal tract. CLEF 2023 working notes, CEUR-WS 3497"
)

CARDS = (
    ReaderCard(
        name="medvqa-gi",
        load="medbench.builtin.datasets.medvqa_gi:MedvqaGi",
        title="MEDVQA-GI 2023: 18 fixed questions about each of 2,000 endoscopic images",
        access="open",
        licence="not stated; the images are of HyperKvasir (CC BY 4.0)",
        obtain="github.com/simula/ImageCLEFmed-MEDVQA-GI-2023: the development set; the test set comes without answers",
        terms="no registration",
        group="image",
        expects=("gt.json", "images/<ImageID>.jpg"),
        splits=("train", "val", "test"),
        citation=_HICKS,
        source="github.com/simula/ImageCLEFmed-MEDVQA-GI-2023",
    ),
    ReaderCard(
        name="medvqa-gi-2024",
        load="medbench.builtin.datasets.medvqa_gi_2024:MedvqaGi2024",
        title="MEDVQA-GI 2024: prompts and the 2,000 endoscopic images that they describe",
        access="open",
        licence="not stated; the images are of HyperKvasir (CC BY 4.0)",
        obtain="github.com/simula/ImageCLEFmed-MEDVQA-GI-2024: the development set; the test set is prompts alone",
        terms="no registration",
        group="image",
        expects=("Dev-Dataset/prompt-gt.csv", "Dev-Dataset/images/<Filename>", "Dev-Dataset/centres.csv, if you know them"),
        version="2",
        splits=("train", "val", "test"),
        citation="Hicks SA, Storås A, Halvorsen P, Riegler MA, Thambawita V. Overview of ImageCLEFmedical 2024 - medical visual question "
        "answering for gastrointestinal tract. CLEF 2024 working notes, CEUR-WS 3740, paper 131",
        source="github.com/simula/ImageCLEFmed-MEDVQA-GI-2024",
    ),
    ReaderCard(
        name="kvasir-vqa",
        load="medbench.builtin.datasets.kvasir_vqa:KvasirVqa",
        title="Kvasir-VQA: 58,849 questions about 6,500 endoscopic images",
        access="open",
        licence="CC BY-NC 4.0",
        obtain="Hugging Face SimulaMet-HOST/Kvasir-VQA: the parquet files, or metadata.csv and images/ as its notebook writes them",
        terms="no registration; no commercial use",
        group="image",
        expects=("metadata.csv", "images/<img_id>.jpg", "or data/*.parquet"),
        splits=("train", "val", "test"),
        citation="Gautam S, Storås AM, Midoglu C, et al. Kvasir-VQA: a text-image pair GI tract dataset. VLM4Bio 2024. "
        "doi:10.1145/3689096.3689458",
        source="arXiv 2409.01437",
    ),
)
