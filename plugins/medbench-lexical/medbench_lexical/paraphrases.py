"""METEOR's paraphrase table, cut down to the words at hand: the same matches, without loading five million phrases.

A paraphrase can only match where all its words occur, so the others are left out. To find the rest quickly the table is indexed
once, in the user's cache folder, by the rarest word of each entry.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medbench_lexical.java import bundled

TABLE = "meteor/data/paraphrase-en.gz"
FEW = 1_000
"""Fewer samples than this are not worth an index the first time: the jar loads its whole table within seconds."""
_LAYOUT = 1
_PARTS = re.compile(r"\w+|[^\w\s]")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_LONGEST = 12
"""Pieces of one chunk (`a-b/c` has five) up to which all runs of pieces count as words; longer chunks are cut into windows."""


class Index(NamedTuple):
    """The table as arrays; entries are sorted by their rarest word."""

    words: Any
    """All words, the most frequent first, joined by line feeds (bytes as uint8)."""
    first: Any
    """Entry at which those begin whose rarest word is word i, shape (words + 1,)."""
    start: Any
    """Where each entry's words begin in `ids`, shape (entries + 1,)."""
    ids: Any
    split: Any
    """How many of an entry's words belong to its first phrase."""
    weight: Any
    place: Any
    """Where the entry stands in the table."""


def filtered(words: set[bytes], n: int = FEW) -> bytes | None:
    """Return the part of the table (in its own format) that can match among these words; None when there is no index to be had.

    Args:
        words: What `vocabulary` says of the texts.
        n: Samples for which it is wanted: the first time, few of them are not worth an index.
    """
    index = _index(worth=n >= FEW)
    return None if index is None else select(index, words)


def vocabulary(texts: Iterable[str]) -> set[bytes]:
    """Return every word that METEOR's normaliser can make of the texts, and more.

    The normaliser lower-cases, splits off punctuation by rules that depend on abbreviations and on neighbours, and takes the
    full stops out of acronyms; so any run of pieces of a chunk is taken for a word, with and without its full stops. A word too
    many costs nothing but an entry that does not match.

    >>> sorted(vocabulary(["It's 3-4 a.m."]) & {b"it's", b"it", b"'s", b"3-4", b"-4", b"am", b"cm"})
    [b"'s", b'-4', b'3-4', b'am', b'it', b"it's"]
    """
    words = set(_PUNCTUATION)
    for chunk in {chunk for text in texts for chunk in text.lower().split()}:
        words.add(chunk)
        pieces = _PARTS.findall(chunk)
        for start in range(len(pieces)):
            words.update("".join(pieces[start:end]) for end in range(start + 1, min(start + _LONGEST, len(pieces)) + 1))
    words.update({"n't"} | {word.removesuffix("n't") for word in words} | {word.replace(".", "") for word in words})
    return {word.encode("utf-8", "replace") for word in words}


def select(index: Index, words: set[bytes]) -> bytes:
    """Return the entries whose words are all among `words`, in the table's order and format."""
    names = index.words.tobytes().split(b"\n")
    known = np.fromiter((name in words for name in names), dtype=bool, count=len(names))
    groups = [(index.first[word], index.first[word + 1]) for word in np.flatnonzero(known).tolist()]
    entries = np.concatenate([np.arange(low, high) for low, high in groups] or [np.zeros(0, dtype=np.int64)])
    if len(entries) == 0:
        return b""
    low, high = index.start[entries], index.start[entries + 1]
    ids = np.concatenate([index.ids[index.start[a] : index.start[b]] for a, b in groups])
    offsets = np.cumsum(high - low) - (high - low)
    kept = entries[np.logical_and.reduceat(known[ids], offsets)]
    return b"".join(_entry(index, names, entry) for entry in kept[np.argsort(index.place[kept], kind="stable")].tolist())


def _entry(index: Index, names: list[bytes], entry: int) -> bytes:
    ids = index.ids[index.start[entry] : index.start[entry + 1]].tolist()
    words, split = [names[i] for i in ids], int(index.split[entry])
    return b"%s\n%s\n%s\n" % (repr(float(index.weight[entry])).encode(), b" ".join(words[:split]), b" ".join(words[split:]))


def cache_folder() -> Path:
    """Return the folder for what can be made again: $MEDBENCH_CACHE, $XDG_CACHE_HOME/medbench or ~/.cache/medbench."""
    own = os.environ.get("MEDBENCH_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "medbench"


def _index(*, worth: bool) -> Index | None:
    """Return the index, from the cache or made now; None when the cache cannot be used, or it is not `worth` it yet."""
    table = bundled(TABLE)
    with table.open("rb") as source:
        source.seek(-8, os.SEEK_END)
        # gzip ends with the checksum and the size of what it holds.
        folder = cache_folder() / f"meteor-paraphrases-{_LAYOUT}-{source.read(8).hex()}"
    try:
        return _read(folder)
    except (OSError, ValueError):
        pass  # not there, or torn: it is made anew below
    try:
        if not worth and _first_time(folder):
            return None
        _publish(table, folder)
        return _read(folder)
    except (OSError, ValueError):
        return None


def _first_time(folder: Path) -> bool:
    """Say whether nobody wanted this index before, and note that somebody does now."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.with_name(f"{folder.name}.wanted").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _read(folder: Path) -> Index:
    return Index(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in Index._fields))


def _publish(table: Path, folder: Path) -> None:
    """Build the index beside its place and rename it there, so that nobody ever reads half of one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        with gzip.open(table, "rb") as packed, BufferedReader(packed, 1 << 20) as source:
            made = build(source)
        for name, values in zip(Index._fields, made, strict=True):
            np.save(own / f"{name}.npy", values)
        if folder.exists() and not _whole(folder):
            shutil.rmtree(folder)
        with suppress(FileExistsError):
            own.rename(folder)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _whole(folder: Path) -> bool:
    try:
        _read(folder)
    except (OSError, ValueError):
        return False
    return True


def build(table: Iterable[bytes]) -> Index:
    """Return the index of a table: three lines an entry (weight, phrase, phrase)."""
    number: dict[bytes, int] = {}
    ids, lengths, splits, weights = array("i"), array("B"), array("B"), array("d")
    for weight, one, other in _triples(table):
        left, right = one.split(), other.split()
        weights.append(float(weight))
        splits.append(len(left))
        lengths.append(len(left) + len(right))
        ids.extend([number.setdefault(word, len(number)) for word in left + right])
    return _sorted(list(number), *(np.frombuffer(values, values.typecode) for values in (ids, lengths, splits, weights)))


def _triples(table: Iterable[bytes]) -> Iterator[tuple[bytes, ...]]:
    lines = iter(table)
    while len(entry := tuple(islice(lines, 3))) == 3:
        yield entry


def _sorted(words: list[bytes], ids: Any, lengths: Any, splits: Any, weights: Any) -> Index:
    small = np.uint16 if len(words) <= 1 << 16 else np.uint32
    rank = np.argsort(-np.bincount(ids, minlength=len(words)), kind="stable")
    new_number = np.empty(len(words), dtype=small)
    new_number[rank] = np.arange(len(words))
    ids = new_number[ids]
    start = np.cumsum(lengths, dtype=np.int64) - lengths
    rarest = np.maximum.reduceat(ids, start) if len(start) else ids
    place = np.argsort(rarest, kind="stable")
    moved = lengths[place]
    new_start = np.r_[0, np.cumsum(moved, dtype=np.int64)]
    source = np.repeat((start[place] - new_start[:-1]).astype(np.int32), moved)
    source += np.arange(len(ids), dtype=np.int32)
    return Index(
        words=np.frombuffer(b"\n".join(words[i] for i in rank.tolist()), dtype=np.uint8),
        first=np.searchsorted(rarest[place], np.arange(len(words) + 1)),
        start=new_start,
        ids=ids[source],
        split=splits[place],
        weight=weights[place],
        place=place.astype(np.int32),
    )
