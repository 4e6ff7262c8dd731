"""METEOR's synonyms, cut down to the words at hand: the same matches, from sets small enough to compare quickly.

The jar compares the synonym sets of every word of a prediction with those of every word of its reference, and loads 150,000 words
for it. What can make a difference is far less: a set that only one of the words at hand reaches matches nothing.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator

from medbench_lexical.java import METEOR, bundled

_SUFFIXES = "s: ses:s xes:x zes:z ches:ch shes:sh men:man ies:y s: ies: es:e es: ed:e ed: ing:e ing: er: est: er:e est:e"
_ENDINGS = tuple((old.encode(), new.encode()) for old, _, new in (rule.partition(":") for rule in _SUFFIXES.split()))
"""How the jar takes endings off (WordNet's rules); it takes the first that leaves a known word, here all count as possible."""


def files(words: set[bytes]) -> dict[str, bytes]:
    """Return the files of a synonym directory (name -> content) with which the jar matches these words as with its own.

    Every word that the jar may look up keeps its place, if only with an empty line: whether it is there decides which ending
    the jar takes off another one.
    """
    with zipfile.ZipFile(bundled(METEOR)) as jar:
        exceptions, synsets = (jar.read(f"synonym/english.{name}") for name in ("exceptions", "synsets"))
    table = synsets.splitlines()
    reached = _reached(words, exceptions.splitlines(), dict(zip(table[::2], table[1::2], strict=True)))
    sets: dict[bytes, list[int]] = {entry: [] for entry, _, _ in reached}
    for number, group in enumerate(_telling(reached), 1):
        for entry in group:
            sets[entry].append(number)
    lines = (b"%s\n%s\n" % (entry, " ".join(map(str, own)).encode()) for entry, own in sorted(sets.items()))
    return {"english.exceptions": exceptions, "english.synsets": b"".join(lines)}


_Reached = tuple[bytes, bytes, int]
"""A word of the dictionary, its synonym sets, and by how many of the words at hand it may be looked up."""


def _reached(words: set[bytes], exceptions: list[bytes], known: dict[bytes, bytes]) -> list[_Reached]:
    bases: dict[bytes, list[bytes]] = {}
    for base, forms in zip(exceptions[::2], exceptions[1::2], strict=True):
        for form in forms.split():
            bases.setdefault(form, []).append(base)
    times: dict[bytes, int] = {}
    for word in words:
        for entry in {word, *bases.get(word, ()), *_without_ending(word)} & known.keys():
            times[entry] = times.get(entry, 0) + 1
    return [(entry, known[entry], count) for entry, count in times.items()]


def _without_ending(word: bytes) -> Iterator[bytes]:
    return (word.removesuffix(old) + new for old, new in _ENDINGS if word.endswith(old))


def _telling(reached: Iterable[_Reached]) -> list[tuple[bytes, ...]]:
    """Return the synonym sets that can make a match, each as the words that it holds.

    Sets of the very same words say the same thing, and one within another says nothing of its own.
    """
    holders: dict[bytes, list[bytes]] = {}
    several = set()
    for entry, sets, count in reached:
        if count > 1:
            several.add(entry)
        for number in sets.split():
            holders.setdefault(number, []).append(entry)
    groups = {frozenset(entries) for entries in holders.values() if len(entries) > 1 or entries[0] in several}
    of_entry: dict[bytes, list[frozenset[bytes]]] = {}
    for group in groups:
        for entry in group:
            of_entry.setdefault(entry, []).append(group)
    fewest = (min((of_entry[entry] for entry in group), key=len) for group in groups)
    kept = (group for group, others in zip(groups, fewest, strict=True) if not any(group < other for other in others))
    return sorted(tuple(sorted(group)) for group in kept)
