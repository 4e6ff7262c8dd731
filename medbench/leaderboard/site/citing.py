"""How boards and entries are cited."""

from __future__ import annotations

_SIGNS = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"}}


def bibtex(key: str, title: str, note: str, url: str) -> str:
    r"""Return a BibTeX entry.

    >>> print(bibtex("b-1", "A & B", "hash 12", "https://x.org/"))
    @misc{b-1,
      title = {{A \& B}},
      note = {hash 12},
      url = {https://x.org/},
    }
    """
    fields = {"title": f"{{{_escaped(title)}}}", "note": _escaped(note), "url": url.replace("{", "%7B").replace("}", "%7D")}
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key},", *lines, "}"])


def _escaped(text: str) -> str:
    return "".join(_SIGNS.get(sign, sign) for sign in " ".join(text.split()))
