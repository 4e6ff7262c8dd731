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
        citation="Johnson AEW, Pollard TJ, Berkowitz SJ, et al. MIMIC-CXR, a de-identified publicly available database of chest "
        "radiographs with free-text reports. Scientific Data 6:317 (2019). doi:10.1038/s41597-019-0322-0; Johnson et al., MIMIC-CXR-JPG, "
        "arXiv 1901.07042",
        source="doi:10.1038/s41597-019-0322-0; arXiv 1901.07042; R2Gen arXiv 2010.16056; LLaVA-Rad arXiv 2403.08002",
    ),
    ReaderCard(
        name="chexpert",
        load="medbench.builtin.datasets.chexpert:CheXpert",
        title="CheXpert: 224,316 chest X-rays of 65,240 patients with 14 labels; 200 studies labelled by radiologists",
        access="restricted",
        licence="Stanford University Dataset Research Use Agreement",
        obtain="Stanford AIMI: CheXpert-v1.0-small.zip or CheXpert-v1.0.zip",
        terms="registration and research use agreement; no redistribution, no sharing with third parties",
        external_api="deny",
        expects=("CheXpert-v1.0-small/{train,valid}.csv", "CheXpert-v1.0-small/{train,valid}/patient00001/study1/view1_frontal.jpg"),
        splits=("train", "val", "test"),
        citation="Irvin J, Rajpurkar P, Ko M, et al. CheXpert: a large chest radiograph dataset with uncertainty labels and expert comparison. "
        "AAAI 33:590-597 (2019). arXiv 1901.07031",
        source="arXiv 1901.07031",
    ),
    ReaderCard(
        name="nih-cxr14",
        load="medbench.builtin.datasets.nih_cxr14:NihCxr14",
        title="NIH ChestX-ray14: 112,120 frontal chest X-rays of 30,805 patients, 14 labels mined from reports",
        access="open",
        licence="free use with attribution to the NIH Clinical Center",
        obtain="NIH Clinical Center Box folder (nihcc.app.box.com/v/ChestXray-NIHCC)",
        terms="no registration; cite the paper and name the NIH Clinical Center as provider",
        redistribute=True,
        expects=(
            "Data_Entry_2017_v2020.csv, train_val_list.txt, test_list.txt, BBox_List_2017.csv",
            "images/*.png or images_001/images/*.png … images_012",
            "or labels.csv (image, one column per label) and images/ (variant subset)",
        ),
        splits=("train", "test"),
        variants=("official", "subset"),
        citation="Wang X, Peng Y, Lu L, et al. ChestX-ray8: hospital-scale chest X-ray database and benchmarks on weakly-supervised "
        "classification and localization of common thorax diseases. CVPR 2017, 3462-3471. doi:10.1109/CVPR.2017.369",
        source="doi:10.1109/CVPR.2017.369; arXiv 1705.02315",
    ),
)
