"""The files of IU X-ray as Open-I and Kaggle lay them out, from reports that are made."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from medbench.builtin.datasets.iu_reports import NORMALIZED, PNG, PROJECTIONS, REPORTS, XML_FOLDERS
from medbench.builtin.twins.writing import write_png
from medbench.types import Struct

CAPTION = "Xray Chest PA and Lateral"


class FullReport(Struct):
    """A report with all its sections and films."""

    uid: int
    names: tuple[str, ...]
    """Image ids: `CXR9001_IM-0000-1001`."""
    films: tuple[Any, ...]
    """Grey pictures, shape (height, width), uint8: frontal, lateral, then further frontal ones."""
    findings: str
    impression: str
    indication: str
    comparison: str
    terms: tuple[str, ...]
    """Major terms: `Cardiomegaly/mild`."""

    def without_impression(self) -> FullReport:
        """Return the report with its impression left empty."""
        return msgspec.structs.replace(self, impression="")


def write_original(folder: Path, reports: Sequence[FullReport]) -> None:
    """Write one XML a report, and all pictures in one folder."""
    (folder / XML_FOLDERS[0]).mkdir()
    (folder / PNG).mkdir()
    for report in reports:
        (folder / XML_FOLDERS[0] / f"{report.uid}.xml").write_text(_xml(report), encoding="utf-8", newline="\n")
        for name, film in zip(report.names, report.films, strict=True):
            write_png(folder / PNG / f"{name}.png", film)


def write_kaggle(folder: Path, reports: Sequence[FullReport]) -> None:
    """Write the two tables, and all pictures in one folder."""
    pictures = folder / NORMALIZED[0]
    pictures.mkdir(parents=True)
    rows, projections = [], []
    for report in reports:
        problems = dict.fromkeys(term.partition("/")[0] for term in report.terms)
        sections = (report.indication, report.comparison, report.findings, report.impression)
        rows.append([report.uid, ";".join(report.terms), ";".join(problems), CAPTION, *sections])
        for number, (name, film) in enumerate(zip(report.names, report.films, strict=True)):
            file = f"{name.removeprefix('CXR')}.dcm.png"
            write_png(pictures / file, film)
            projections.append([report.uid, file, "Lateral" if number == 1 else "Frontal"])
    _write_csv(folder / REPORTS, ["uid", "MeSH", "Problems", "image", "indication", "comparison", "findings", "impression"], rows)
    _write_csv(folder / PROJECTIONS, ["uid", "filename", "projection"], projections)


def _write_csv(path: Path, header: list[str], rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    path.write_text(text.getvalue(), encoding="utf-8", newline="\n")


def _xml(report: FullReport) -> str:
    sections = {
        "COMPARISON": report.comparison,
        "INDICATION": report.indication,
        "FINDINGS": report.findings,
        "IMPRESSION": report.impression,
    }
    abstract = "".join(f'<AbstractText Label="{label}">{escape(text)}</AbstractText>\n' for label, text in sections.items())
    terms = "".join(f"<major>{escape(term)}</major>\n" for term in report.terms)
    images = "".join(_parent_image(name) for name in report.names)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<eCitation>
<meta type="rr"/>
<uId id="CXR{report.uid}"/>
<IUXRId id="{report.uid}"/>
<licenseType>open-access</licenseType>
<licenseURL>http://creativecommons.org/licenses/by-nc-nd/4.0/</licenseURL>
<MedlineCitation Owner="synthetic" Status="not real">
<Article PubModel="Electronic">
<ArticleTitle>Synthetic chest film</ArticleTitle>
<Abstract>
{abstract}</Abstract>
</Article>
</MedlineCitation>
<MeSH>
{terms}</MeSH>
{images}</eCitation>
"""


def _parent_image(name: str) -> str:
    return f"""<parentImage id="{name}">
<figureId>F1</figureId>
<caption>{CAPTION} – synthétique</caption>
<panel type="single">
<url>/hadoop/storage/radiology/extract/{name}.jpg</url>
</panel>
</parentImage>
"""
