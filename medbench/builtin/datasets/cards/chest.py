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
        citation="Irvin J, Rajpurkar P, Ko M, et al. CheXpert: a large chest radiograph dataset with uncertainty labels and expert "
        "comparison. AAAI 33:590-597 (2019). arXiv 1901.07031",
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
    ReaderCard(
        name="rsna-pneumonia",
        load="medbench.builtin.datasets.rsna:Rsna",
        title="RSNA Pneumonia Detection Challenge: 26,684 labelled chest X-rays as DICOM, 9,555 boxes around opacities",
        access="click-through",
        licence="rules of the challenge; the images are NIH ChestX-ray14's",
        obtain="Kaggle: rsna-pneumonia-detection-challenge",
        terms="Kaggle account, rules of the challenge",
        group="image",
        expects=("stage_2_train_labels.csv, stage_2_detailed_class_info.csv", "stage_2_train_images/<patientId>.dcm"),
        splits=("train", "val", "test"),
        citation="Shih G, Wu CC, Halabi SS, et al. Augmenting the National Institutes of Health chest radiograph dataset with expert "
        "annotations of possible pneumonia. Radiology: Artificial Intelligence 1(1):e180041 (2019). doi:10.1148/ryai.2019180041",
        source="doi:10.1148/ryai.2019180041",
    ),
    ReaderCard(
        name="ms-cxr",
        load="medbench.builtin.datasets.ms_cxr:MsCxr",
        title="MS-CXR: 1,162 phrases of chest X-ray reports, with boxes that radiologists drew",
        access="credentialed",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        obtain="PhysioNet: ms-cxr/1.1.0 and mimic-cxr-jpg (pictures)",
        terms=f"credentialed PhysioNet account, CITI training, signed agreement; {_NO_SHARING}",
        external_api="zero-retention-only",
        expects=("ms-cxr/1.1.0/MS_CXR_Local_Alignment_v1.1.0.csv", "mimic-cxr-jpg/2.1.0/files/p10/…/<dicom_id>.jpg"),
        splits=("train", "val", "test"),
        citation="Boecking B, Usuyama N, Bannur S, et al. Making the most of text semantics to improve biomedical vision-language "
        "processing. ECCV 2022. arXiv 2204.09817",
        source="arXiv 2204.09817",
    ),
    ReaderCard(
        name="ms-cxr-t",
        load="medbench.builtin.datasets.ms_cxr_t:MsCxrT",
        title="MS-CXR-T: 1,326 labels of how five findings changed between two chest X-rays",
        access="credentialed",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        obtain="PhysioNet: ms-cxr-t/1.0.0 and mimic-cxr-jpg (pictures)",
        terms=f"credentialed PhysioNet account, CITI training, signed agreement; {_NO_SHARING}",
        external_api="zero-retention-only",
        expects=("ms-cxr-t/1.0.0/MS_CXR_T_temporal_image_classification_v1.0.0.csv", "mimic-cxr-jpg/2.1.0/files/p10/…/<dicom_id>.jpg"),
        splits=("test",),
        citation="Bannur S, Hyland S, Liu Q, et al. Learning to exploit temporal structure for biomedical vision-language processing. "
        "CVPR 2023. arXiv 2301.04558",
        source="arXiv 2301.04558",
    ),
    ReaderCard(
        name="padchest",
        load="medbench.builtin.datasets.padchest:PadChest",
        title="PadChest: 160,000 chest X-rays of 67,000 patients with labels; the 14 that ChestX-ray14 has too are read",
        access="restricted",
        licence="BIMCV research use agreement",
        obtain="BIMCV (bimcv.cipf.es): PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz and 0.zip … 54.zip",
        terms="registration and research use agreement",
        external_api="deny",
        expects=("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv[.gz]", "<ImageDir>/<ImageID>, images/<ImageID> or <ImageID>"),
        splits=("train", "val", "test"),
        citation="Bustos A, Pertusa A, Salinas JM, de la Iglesia-Vaya M. PadChest: a large chest x-ray image dataset with multi-label "
        "annotated reports. Medical Image Analysis 66:101797 (2020). arXiv 1901.07441",
        source="arXiv 1901.07441",
    ),
    ReaderCard(
        name="vindr-mammo",
        load="medbench.builtin.datasets.vindr_mammo:VinDrMammo",
        title="VinDr-Mammo: 5,000 mammography examinations of four views as DICOM, with BI-RADS and density",
        access="restricted",
        licence="PhysioNet Restricted Health Data License 1.5.0",
        obtain="PhysioNet: vindr-mammo/1.0.0",
        terms=f"PhysioNet account, signed agreement; {_NO_SHARING}",
        external_api="zero-retention-only",
        group="examination",
        expects=("breast-level_annotations.csv, finding_annotations.csv", "images/<study_id>/<image_id>.dicom"),
        citation="Nguyen HT, Nguyen HQ, Pham HH, et al. VinDr-Mammo: a large-scale benchmark dataset for computer-aided diagnosis in "
        "full-field digital mammography. Scientific Data 10:277 (2023). doi:10.1038/s41597-023-02100-7",
        source="doi:10.1038/s41597-023-02100-7",
    ),
)
