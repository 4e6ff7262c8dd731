"""Cards of the datasets of labelled pictures."""

from __future__ import annotations

from medbench.cards import ReaderCard

CARDS = (
    ReaderCard(
        name="pneumonia",
        load="medbench.builtin.datasets.pneumonia:Pneumonia",
        title="Kermany's 5,856 chest X-rays of children with and without pneumonia; also as PneumoniaMNIST",
        access="open",
        licence="CC BY 4.0",
        obtain="Kaggle paultimothymooney/chest-xray-pneumonia or Mendeley rscbjbr9sj; pneumoniamnist.npz from medmnist.com",
        terms="no registration at Mendeley and MedMNIST; a Kaggle account there",
        redistribute=True,
        expects=("chest_xray/{train,val,test}/{NORMAL,PNEUMONIA}/*.jpeg", "or, variant medmnist: pneumoniamnist.npz"),
        splits=("train", "val", "test"),
        variants=("kermany", "medmnist"),
        citation="Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep learning. "
        "Cell 172(5):1122-1131 (2018). doi:10.1016/j.cell.2018.02.010. PneumoniaMNIST: Yang J, Shi R, Wei D, et al. MedMNIST v2. "
        "Scientific Data 10:41 (2023). doi:10.1038/s41597-022-01721-8",
        source="doi:10.1016/j.cell.2018.02.010",
    ),
)
