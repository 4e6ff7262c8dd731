"""Cards of the datasets of chest radiographs and mammograms with labels, boxes or reports."""

from __future__ import annotations

from medbench.cards import ReaderCard

_NO_SHARING = "no sharing with anybody without the same agreement, online services that keep data included"

CARDS = (
    ReaderCard(
        name="mimic-cxr",
        load="medbench.builtin.datasets.mimic_cxr:MimicCxr",
        title="MIMIC-CXR with MIMIC-CXR-JPG: 377,110 chest X-rays of 227,835 studies, their reports and labels",
        access="credentialed",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        obtain="PhysioNet: mimic-cxr-jpg (tables, JPG) and mimic-cxr (mimic-cxr-reports.zip, DICOM); R2Gen's mimic_cxr.zip; "
        "llava-rad-mimic-cxr-annotation",
        terms=f"credentialed PhysioNet account, CITI training, signed agreement; {_NO_SHARING}",
        external_api="zero-retention-only",
        expects=(
            "mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-{split,metadata,chexpert,negbio}.csv.gz and files/, or all of it in one folder",
            "mimic-cxr/2.1.0/mimic-cxr-reports.zip",
            "mimic_cxr/annotation.json (variant r2gen)",
            "chat_{train,dev,test}_MIMIC_CXR_all_gpt4extract_rulebased_v1.json (variant llavarad)",
        ),
        splits=("train", "val", "test"),
        variants=("frontal", "chexpert", "negbio", "radiologist", "r2gen", "llavarad"),
        citation="Johnson AEW, Pollard TJ, Berkowitz SJ, et al. MIMIC-CXR, a de-identified publicly available database of chest radiographs "
        "with free-text reports. Scientific Data 6:317 (2019). doi:10.1038/s41597-019-0322-0; Johnson et al., MIMIC-CXR-JPG, "
        "arXiv 1901.07042",
        source="doi:10.1038/s41597-019-0322-0; arXiv 1901.07042; R2Gen arXiv 2010.16056; LLaVA-Rad arXiv 2403.08002",
    ),
)
