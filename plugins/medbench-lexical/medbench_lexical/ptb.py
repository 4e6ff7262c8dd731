"""Tokens as COCOEvalCap's PTB tokenizer gives them, from Java only where plain text does not settle them.

COCOEvalCap runs Stanford CoreNLP 3.4.1 (`PTBTokenizer -preserveLines -lowerCase`) and then drops punctuation tokens. Two of its
habits are not followed: there a stray line separator shifts every later text by one, and the first word of the next text decides
whether an abbreviation at the end of this one (`see no.`) keeps its full stop. Here every text is tokenized as if it stood alone.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from medbench.errors import PluginError
from medbench_lexical.java import bundled, run
from medbench_lexical.memory import Memory

JAR = "tokenizer/stanford-corenlp-3.4.1.jar"

DROPPED = frozenset(("", "''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"))
"""What COCOEvalCap removes after tokenizing. Lower-cased brackets (`-lrb-`) are not in it, and stay."""

SPLIT_WORDS = frozenset(("cannot", "gimme", "gonna", "gotta", "lemme", "wanna"))
"""Words of letters only that become two tokens."""

_ABBREVIATED = (
    "a adj adm adv al ala alex apr ariz ark art assn assoc assocs asst attys atty aug ave az b bhd bldg blvd brig bros c ca calif "
    "capt cf cie cmdr co col colo comdr conn corp cos cpl ct d dak dec del dept det dr drs e elec ens esq est etc ext f feb fig "
    "figs fla fri ft g ga gen gov govs h hon i ill inc ind insp intl invt j jan jos jr jul jun k kan kans ky l la lieut lt ltd m "
    "maj mar mass md messrs mfg mich minn miss mlle mme mo mon mont mr mrs ms msgr mt mtg n natl neb nev no nos nov o oct okla op "
    "ore p pa penn pfc ph plc pp ppte pptes ppty pptys pres prof profs prop pte ptes pty ptys pvt q r rd rep reps rev rt s sen "
    "sens sep sept seq sfc sgt spc sq sr st ste supt supts sys t tel tenn tex thu thurs treas tue tues u univ v va vs vt w wash "
    "wed wis wisc wm wyo x y z"
)
ABBREVIATIONS = frozenset(_ABBREVIATED.split())
"""Words whose final full stop may stay with them. Found by running the jar on every word of up to five letters and on the longer
ones of METEOR's paraphrase table, in three spellings and before ten kinds of following text."""

_SEPARATORS = re.compile("[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
_CHUNK = re.compile(
    r"""(?P<open>\(?)
        (?:(?P<word>[A-Za-z]+)
          |(?P<hyphenated>[A-Za-z]{2,}(?:-[A-Za-z]{2,})+)
          |(?P<owner>[A-Za-z]{2,})'s
          |(?P<number>[0-9]+(?:\.[0-9]+)?)
          |(?P<blank>_+))
        (?P<close>\)?)
        (?P<stop>[.,;:?]?)""",
    re.VERBOSE,
)
_ALONE = re.compile("[.,;:?]")


class _Chunk(NamedTuple):
    """What a piece of text between spaces becomes, and how it bears on its neighbours."""

    tokens: tuple[str, ...]
    numeric: bool
    """Two numbers side by side may be one telephone number."""
    stopped: bool
    """It ends in a full stop: spaced-out stops may be one ellipsis."""


_texts: Memory[str, str] = Memory(65_536)
_chunks: Memory[str, _Chunk | None] = Memory(262_144)


def one_line(text: str) -> str:
    r"""Return the text with a space for every character that some program takes for the end of a line.

    >>> one_line("no effusion.\r\nheart\u2028normal")
    'no effusion.  heart normal'
    """
    return _SEPARATORS.sub(" ", text)


def tokenize(texts: Sequence[str]) -> list[str]:
    """Return the tokens of each text, joined by spaces.

    Texts of plain words, numbers and unambiguous punctuation are split here; all others go through the jar, in one call.

    Raises:
        UsageError: some text needs the jar and there is no Java.

    >>> tokenize(["The heart's size is normal (4.5 cm). No effusion.", ""])
    ["the heart 's size is normal -lrb- 4.5 cm -rrb- no effusion", '']
    """
    known = _texts.take(texts)
    slow = []
    for text in dict.fromkeys(texts):
        if text not in known:
            tokens = plain_tokens(text)
            if tokens is None:
                slow.append(text)
            else:
                known[text] = tokens
    known.update(zip(slow, jar_tokens(slow), strict=True))
    _texts.keep(known)
    return [known[text] for text in texts]


def plain_tokens(text: str) -> str | None:
    """Return the tokens of a text whose every piece is tokenized alike in any context, None for any other text.

    >>> plain_tokens("Left-sided effusion, unchanged.")
    'left-sided effusion unchanged'
    >>> plain_tokens("Dr. Smith at 5 p.m.") is None
    True
    """
    tokens: list[str] = []
    numeric = stopped = False
    for piece in one_line(text).split(" "):
        if not piece:
            continue
        chunk = _chunks.get(piece, _recognise)
        if chunk is None or (numeric and chunk.numeric) or (stopped and not chunk.tokens):
            return None
        tokens += chunk.tokens
        numeric, stopped = chunk.numeric, chunk.stopped
    return " ".join(tokens)


def _recognise(piece: str) -> _Chunk | None:
    if _ALONE.fullmatch(piece):
        return _Chunk((), numeric=False, stopped=True)
    found = _CHUNK.fullmatch(piece)
    if not found:
        return None
    last = piece.rstrip(".").rpartition("-")[2].lower()
    word = (found["word"] or found["owner"] or "").lower()
    if word in SPLIT_WORDS or (found["stop"] == "." and not found["close"] and last.lstrip("(") in ABBREVIATIONS):
        return None
    core = (found["owner"] and (word, "'s")) or ((found["word"] or found["hyphenated"] or found["number"] or found["blank"]).lower(),)
    tokens = (*(("-lrb-",) if found["open"] else ()), *core, *(("-rrb-",) if found["close"] else ()))
    return _Chunk(tokens, numeric=found["number"] is not None, stopped=found["stop"] == ".")


def jar_tokens(texts: Sequence[str]) -> list[str]:
    """Return the tokens of each text from the jar: one process for all, whatever characters the texts hold.

    Raises:
        UsageError: there is no Java.
        PluginError: the jar did not give one line for each text.
    """
    if not texts:
        return []
    # The tokenizer looks past the end of a line; a line of its own after each text keeps the texts apart.
    lines = "".join(f"{one_line(text)}\nx\n" for text in texts)
    with tempfile.TemporaryDirectory(prefix="medbench-ptb-") as folder:
        source = Path(folder) / "texts"
        source.write_bytes(lines.encode("utf-8", "replace"))
        jar = str(bundled(JAR))
        command = ("-cp", jar, "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", str(source))
        made = run("the text convention coco-ptb", command).split("\n")
    if len(made) != 2 * len(texts) + 1 or any(line != "x" for line in made[1::2]):
        raise PluginError(
            f"coco-ptb: the tokenizer gave {len(made) // 2} lines for {len(texts)} texts",
            hint="is this pycocoevalcap 1.2? please report the characters of the text that does it",
        )
    return [" ".join(token for token in line.rstrip().split(" ") if token not in DROPPED) for line in made[::2][: len(texts)]]
