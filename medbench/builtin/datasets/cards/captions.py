"""Cards of the datasets of pictures with captions."""

from __future__ import annotations

from medbench.cards import ReaderCard

CARDS = (
    ReaderCard(
        name="roco",
        load="medbench.builtin.datasets.roco:Roco",
        title="ROCO: 81,807 radiology figures of articles with captions and UMLS concepts; ROCOv2: 79,789",
        access="open",
        licence="each picture its own: Creative Commons for most, none for some",
        obtain="github.com/razorx89/roco-dataset (scripts/fetch.py downloads the pictures); ROCOv2: Zenodo 10821435",
        terms="no registration; the licence of each picture is in licences.txt or license_information.csv",
        group="article",
        expects=(
            "data/{train,validation,test}/radiology/captions.txt and images/ROCO_<N>.jpg",
            "or, variant v2: {train,valid,test}_captions.csv and {train,valid,test}_images/",
        ),
        splits=("train", "val", "test"),
        variants=("v1", "v2"),
        citation="Pelka O, Koitka S, Rückert J, Nensa F, Friedrich CM. Radiology Objects in COntext (ROCO): a multimodal image dataset. "
        "LABELS 2018, LNCS 11043, 180-189. doi:10.1007/978-3-030-01364-6_20. ROCOv2: Rückert J, Bloch L, Brüngel R, et al. "
        "Scientific Data 11:688 (2024). doi:10.1038/s41597-024-03496-6",
        source="doi:10.1007/978-3-030-01364-6_20",
    ),
)
