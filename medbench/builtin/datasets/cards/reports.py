"""Cards of the datasets of radiology reports."""

from __future__ import annotations

from medbench.cards import ReaderCard

CARDS = (
    ReaderCard(
        name="iu-xray",
        load="medbench.builtin.datasets.iu_xray:IuXray",
        title="Indiana University chest X-rays (Open-I): 3,955 reports, 7,470 images",
        access="open",
        licence="CC BY-NC-ND 4.0",
        obtain="Open-I (openi.nlm.nih.gov): NLMCXR_png and NLMCXR_reports; R2Gen's iu_xray.zip for the annotation.json layout",
        terms="no registration; no redistribution of modified text",
        group="study",
        expects=(
            "R2Gen: annotation.json and images/<study>/0.png, 1.png",
            "Open-I: ecgen-radiology/*.xml (or NLMCXR_reports.tgz) and NLMCXR_png/*.png",
            "Kaggle: indiana_reports.csv, indiana_projections.csv and images/images_normalized/",
        ),
        splits=("train", "val", "test"),
        variants=("r2gen", "findings", "findings-impression", "all"),
        citation="Demner-Fushman D, Kohli MD, Rosenman MB, et al. Preparing a collection of radiology examinations for distribution and "
        "retrieval. JAMIA 23(2):304-310 (2016). doi:10.1093/jamia/ocv080",
        source="doi:10.1093/jamia/ocv080; split: Chen et al., R2Gen, arXiv 2010.16056",
    ),
    ReaderCard(
        name="radnli",
        load="medbench.builtin.datasets.radnli:RadNli",
        title="RadNLI: 960 pairs of sentences of chest X-ray reports, and whether the second follows from the first",
        access="credentialed",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        obtain="PhysioNet: radnli-report-inference/1.0.0",
        terms="credentialed PhysioNet account, CITI training, signed agreement; nothing of it to third parties",
        external_api="zero-retention-only",
        group="sentence",
        expects=("radnli-report-inference/1.0.0/radnli_dev_v1.jsonl, radnli_test_v1.jsonl",),
        splits=("val", "test"),
        citation="Miura Y, Zhang Y, Tsai E, Langlotz C, Jurafsky D. Improving factual completeness and consistency of image-to-text "
        "radiology report generation. NAACL 2021. arXiv 2010.10042",
        source="arXiv 2010.10042",
    ),
)
