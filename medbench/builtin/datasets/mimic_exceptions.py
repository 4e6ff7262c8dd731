"""Facts for reading MIMIC-CXR's reports: aliases of section names, and the 54 studies that no rule sections.

Source: `txt/section_parser.py` of github.com/MIT-LCP/mimic-cxr (MIT licence), at revision 3190146. Study numbers and character
positions only; no text of any report.
"""

from __future__ import annotations

ALIASES: dict[str, str] = {
    alias: name
    for name, aliases in {
        "preamble": ("preamble",),
        "impression": (
            *("impression", "conclusion", "findings and impression", "findings/impression", "findings/ impression", "ndication"),
            *("impresson", "imprression", "imoression", "impressoin", "imprssion", "impresion", "imperssion", "mpression", "impession"),
        ),
        "findings": (
            *("findings", "chest, two views", "finding", "findins", "findindgs", "findgings", "findngs", "findnings", "finidngs"),
            "reference findings",
        ),
        "comparison": (
            *("comparison", "comparisons", "reference exam", "comparison exam", "comparison film"),
            *("comparision", "comparsion", "comparrison", "comparisions"),
        ),
        "indication": ("indication", "reason for examination", "reason for exam", "clinical indication", "idication"),
        "history": ("history", "clinical history", "clinical information", "patient history", "pfi"),
        "examination": ("examination", "exam", "type of examination"),
        "recommendations": ("recommendations", "recommendation(s)", "recommendation"),
        "technique": ("technique",),
        "notification": ("notification",),
        "addendum": ("addendum",),
        "date": ("date",),
        "comment": ("comment",),
        "wet read": ("wet read", "wetread"),
    }.items()
    for alias in aliases
}
"""Section name in lower case -> its usual name; `ndication` stands for an impression in the one report that has it."""

VIEW_WORDS = (
    *("chest", "portable", "pa and lateral", "lateral and pa", "ap and lateral", "lateral and ap", "frontal and", "two views"),
    *("frontal view", "pa view", "ap view", "one view", "lateral view", "bone window", "frontal upright", "frontal semi-upright"),
    *("ribs", "pa and lat"),
)
"""A section whose name holds one of these describes the study, and counts as findings."""

STAND_INS: dict[str, str] = {
    "50913680": "recommendations", "59363654": "examination", "59279892": "technique", "59768032": "recommendations",
    "57936451": "indication", "50058765": "indication", "53356173": "examination", "53202765": "technique",
    "50808053": "technique", "51966317": "indication", "50743547": "examination", "56451190": "note",
    "59067458": "recommendations", "59215320": "examination", "55124749": "indication", "54365831": "indication",
    "59087630": "recommendations", "58157373": "recommendations", "56482935": "recommendations", "58375018": "recommendations",
    "54654948": "indication", "55157853": "examination", "51491012": "history",
}  # fmt: skip
"""Study -> the section under which its conclusion stands."""

SLICES: dict[str, tuple[int, int]] = {
    "50525523": (201, 349), "57564132": (233, 554), "59982525": (313, 717), "53488209": (149, 475), "54875119": (234, 988),
    "50196495": (59, 399), "56579911": (59, 218), "52648681": (292, 631), "59889364": (172, 453), "53514462": (73, 377),
    "59505494": (59, 450), "53182247": (59, 412), "51410602": (47, 320), "56412866": (522, 822), "54986978": (59, 306),
    "59003148": (262, 505), "57150433": (61, 394), "56760320": (219, 457), "59562049": (158, 348), "52674888": (145, 296),
    "55258338": (192, 568), "59330497": (140, 655), "52119491": (179, 454),
    **dict.fromkeys(
        ("58235663", "50798377", "54168089", "53071062", "56724958", "54231141", "53607029", "52035334"), (0, 0)
    ),
}  # fmt: skip
"""Study -> the characters of its report that hold the conclusion; (0, 0): it has none."""
