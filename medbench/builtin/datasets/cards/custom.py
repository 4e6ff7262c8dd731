"""The card of users' own data."""

from __future__ import annotations

from medbench.cards import ReaderCard

CARDS = (
    ReaderCard(
        name="custom",
        load="medbench.builtin.datasets.custom:Custom",
        title="your own data: a CSV, TSV or JSONL manifest, LLaVA instruction JSON, or COCO captions, beside the pictures",
        access="restricted",
        licence="yours",
        obtain="a folder of your own; --param reader.image=NAME, reader.reference=NAME … name the columns",
        terms="treated as restricted: nothing is sent to another machine unless you state your permission",
        external_api="deny",
        group="patient",
        expects=("a .csv, .tsv, .jsonl or .json file", "pictures, by paths relative to the folder"),
        splits=("train", "val", "test"),
    ),
)
