"""The sections of a MIMIC-CXR report, found as the dataset's own authors find them.

The rules, the aliases and the list of exceptions are those of `txt/section_parser.py` and `txt/create_section_files.py` of
github.com/MIT-LCP/mimic-cxr (MIT licence), at revision 3190146.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from medbench.builtin.datasets.mimic_exceptions import ALIASES, SLICES, STAND_INS, VIEW_WORDS

CONCLUSION = ("impression", "findings", "last_paragraph", "comparison")
"""The sections that may stand for what a report concludes, in order of preference."""

Section = tuple[str, str]
"""Normal name and raw text, line breaks and all."""

_HEADER = re.compile(r"\n ([A-Z ()/,-]+):\s")
_MAIN = ("impression", "findings", "history", "comparison", "addendum")
_VIEWS = re.compile("|".join(map(re.escape, VIEW_WORDS)))
_PARAGRAPH = "\n \n"


def sections_of(text: str) -> list[Section]:
    r"""Return the sections in their order; names may recur, empty findings and impressions are left out.

    What precedes the first header is `preamble`; a report without headers is one section `full report`. Where there are neither
    findings nor an impression, all but the first paragraph of the last section becomes `last_paragraph`.

    >>> sections_of(" FINAL REPORT\n FINDINGS:  Clear lungs.\n")[1]
    ('findings', ' Clear lungs.\n')
    """
    found = [(normal_name(name), body) for name, body in _cut(text)]
    kept = [(name, body) for name, body in found if name not in ("impression", "findings") or body.strip()]
    if not _has(kept, "impression", "findings") and kept and _PARAGRAPH in kept[-1][1]:
        name, body = kept.pop()
        head, _, rest = body.partition(_PARAGRAPH)
        kept += [(name, head), ("last_paragraph", rest)]
    return kept


def last_section(sections: Iterable[Section], name: str) -> str:
    """Return the stripped text of the last section of that name; empty: there is none."""
    return next((body.strip() for found, body in reversed(list(sections)) if found == name), "")


def section(study: str, text: str, name: str) -> str:
    """Return one section of a study's report; empty for the 54 exceptions, which the published tables of sections leave out.

    Args:
        study: the study's number, without the `s`.
        text: the report.
        name: `findings`, `impression` …, or `conclusion` for what stands for the conclusion, the exceptions included.
    """
    if name == "conclusion":
        return conclusion(study, text)
    return "" if study in SLICES or study in STAND_INS else last_section(sections_of(text), name)


def conclusion(study: str, text: str) -> str:
    """Return what a report concludes: of the first of `CONCLUSION` that it has, the last; empty: it has none."""
    if study in SLICES:
        start, end = SLICES[study]
        return text[start:end].strip()
    sections = sections_of(text)
    if study in STAND_INS:
        return last_section(sections, STAND_INS[study])
    return next((last_section(sections, name) for name in CONCLUSION if _has(sections, name)), "")


def normal_name(name: str) -> str:
    """Return the usual name of a section.

    >>> normal_name("FINDINGS AND IMPRESSION"), normal_name("PORTABLE AP CHEST")
    ('impression', 'findings')
    """
    name = name.lower().strip()
    if name in ALIASES:
        return ALIASES[name]
    main = next((known for known in _MAIN if known in name), "")
    if main:
        return main
    return "findings" if _VIEWS.search(name) else name


def _cut(text: str) -> list[Section]:
    header = _HEADER.search(text)
    if header is None:
        return [("full report", text)]
    cut = [("preamble", text[: header.start(1)])]
    while header is not None:
        start = header.end()
        # a capitalised line right after a header is its text, not another header
        following = _HEADER.search(text, max(start, text.find("\n", start)))
        cut.append((header[1], text[start : following.start() if following else len(text)]))
        header = following
    return cut


def _has(sections: Iterable[Section], *names: str) -> bool:
    return any(name in names for name, _ in sections)
