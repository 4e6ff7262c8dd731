"""MIMIC-CXR as two systems packaged it: R2Gen's `annotation.json` and LLaVA-Rad's chat files, one sample for each picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medbench.builtin.datasets.json_stream import stream_objects
from medbench.builtin.datasets.mimic_layout import require_part
from medbench.builtin.datasets.strict import inner_path, required_field, text_field
from medbench.builtin.datasets.tables import SPLITS, refuse
from medbench.types import Image, Sample, Split

ANNOTATION = "annotation.json"
R2GEN = "R2Gen's mimic_cxr.zip"
LLAVARAD = "LLaVA-Rad's annotations"

WITH_REASON = "Provide a description of the findings in the radiology image given the following indication: {reason}"
WITHOUT_REASON = "Provide a description of the findings in the radiology image."

METHODS = ("rule-based", "gpt4")
"""How LLaVA-Rad took the findings out of a report, the one it is evaluated on first."""

_PART = {"train": "train", "val": "dev", "test": "test"}
_SUBJECT = re.compile(r"(?:^|/)p(\d{8})/")
_STUDY = re.compile(r"(?:^|/)s(\d{8})(?:/|$)")


def chat_file(split: str) -> str:
    """Return the name of LLaVA-Rad's file for a split."""
    return f"chat_{_PART[split]}_MIMIC_CXR_all_gpt4extract_rulebased_v1.json"


def r2gen_samples(root: Path, split: str, base: tuple[str, str]) -> Iterator[Sample]:
    """Yield R2Gen's samples: of each item the first picture, and the report as the file has it.

    Raises:
        DataError: the file is missing or torn, or an item cannot be used.
    """
    path = require_part(root, ANNOTATION, R2GEN)
    for key, line, item in stream_objects(path):
        where = f"line {line}"
        named = text_field(path, item, "split", where) or key
        part = SPLITS.get(named.strip().lower())
        if part is None:
            refuse(path, line, f"unknown split {named!r}", "one of train, val, test")
        if part == split:
            yield _r2gen_sample(path, line, item, part, base)


def _r2gen_sample(path: Path, line: int, item: dict[str, Any], split: Split, base: tuple[str, str]) -> Sample:
    where = f"line {line}"
    listed, report = item.get("image_path"), item.get("report")
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], str):
        refuse(path, line, "image_path is no list of paths")
    if not isinstance(report, str):
        refuse(path, line, "report is no text")
    inner = inner_path(path, listed[0], where)
    return Sample(
        id=_stem(inner),
        group=text_field(path, item, "subject_id", where) or _matched(_SUBJECT, inner) or _stem(inner),
        split=split,
        images=(_image(inner, base),),
        references=(report,),
        aliases={"r2gen-id": required_field(path, item, "id", where)},
        meta={"study": text_field(path, item, "study_id", where) or _matched(_STUDY, inner)},
    )


def llavarad_samples(root: Path, split: str, base: tuple[str, str], method: str) -> Iterator[Sample]:
    """Yield LLaVA-Rad's samples: frontal pictures whose findings were taken out of the report by `method`.

    Raises:
        DataError: the file is missing or torn, or an item cannot be used.
    """
    path = require_part(root, chat_file(split), LLAVARAD)
    for _, line, item in stream_objects(path, nan=True):
        findings = _findings(path, line, item)
        if findings and item.get("generate_method") == method and item.get("view") in ("AP", "PA", None):
            yield _llavarad_sample(path, line, item, split, base, findings)  # type: ignore[arg-type]


def _llavarad_sample(path: Path, line: int, item: dict[str, Any], split: Split, base: tuple[str, str], findings: str) -> Sample:
    where = f"line {line}"
    inner = inner_path(path, required_field(path, item, "image", where), where).removeprefix("mimic/")
    name = required_field(path, item, "id", where)
    reason = item.get("reason")
    asked = WITH_REASON.replace("{reason}", reason) if isinstance(reason, str) and reason else WITHOUT_REASON
    return Sample(
        id=_stem(inner),
        group=_matched(_SUBJECT, inner) or name.partition("_")[0],
        split=split,
        images=(_image(inner, base),),
        prompt=asked,
        references=(findings,),
        aliases={"llavarad-id": name},
        meta={
            "instruction": asked,
            "view": text_field(path, item, "view", where),
            "study": _matched(_STUDY, inner) or name.partition("_")[2],
            "reason_given": "yes" if asked != WITHOUT_REASON else "no",
        },
    )


def _findings(path: Path, line: int, item: dict[str, Any]) -> str:
    """Return what the file has the model say; empty: null or NaN, a report without findings."""
    turns = item.get("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        refuse(path, line, "conversations is no list of objects")
    said = next((turn.get("value") for turn in turns if turn.get("from") == "gpt"), None)
    return said if isinstance(said, str) and said.strip() else ""


def _image(inner: str, base: tuple[str, str]) -> Image:
    folder, suffix = base
    inner = inner.removeprefix("files/")
    return Image(path=f"{folder}{inner.removesuffix('.jpg')}{suffix}" if inner.endswith(".jpg") else f"{folder}{inner}")


def _stem(inner: str) -> str:
    return inner.rpartition("/")[2].rpartition(".")[0] or inner


def _matched(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
