"""Writes `coco.json`: what pycocoevalcap 1.2 makes of made-up reports, plain ones and awkward ones. Needs Java."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

from medbench_lexical.synthetic import reports
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

AWKWARD = [
    ("Mild atelectasis (left > right); 4.5 cm, 2.3x1.8 cm.", ["Atelectasis, left greater than right."]),
    ("", ["No acute process."]),
    ("No acute process.", ["No acute process."]),
    ("no acute process no acute process", ["No acute process.", "Nothing acute."]),
    ("Seen by Dr. Smith at 5 p.m. vs. yesterday", ["Dr. Smith saw it at 5:30 PM.", "vs. yesterday's study", "unchanged"]),
    ("Temp. 39 °C – naïve “quoted” text … ½", ["39 °C, naïve quoted text"]),
    ("cannot exclude pneumonia and/or aspiration", ["Can not rule out pneumonia or aspiration"]),
    ("!!! ??? --", ["..."]),
    ("12 345 6789 and 555-1234", ["12 345 6789"]),
    ("XXXX year-old; XXXX.", ["___ year old, ___."]),
]


def main() -> None:
    """Compute everything and write the file beside this script."""
    references, predictions = reports(40, seed=11)
    cases = [*AWKWARD, *((said, [known]) for known, said in zip(references, predictions, strict=True))]
    # A line between any two texts: the tokenizer looks past the end of a line.
    texts = [text for said, known in cases for text in (said, *known)]
    apart = PTBTokenizer().tokenize({i: [{"caption": text}, {"caption": "x"}] for i, text in enumerate(texts)})
    tokens = iter(apart[i][0] for i in range(len(texts)))
    ours = [(next(tokens), [next(tokens) for _ in known]) for _, known in cases]
    gts = {i: known for i, (_, known) in enumerate(ours)}
    res = {i: [said] for i, (said, _) in enumerate(ours)}
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, bleu_each = Bleu(4).compute_score(gts, res, verbose=0)
        rouge, rouge_each = Rouge().compute_score(gts, res)
        cider, cider_each = Cider().compute_score(gts, res)
    meteor, meteor_each = Meteor().compute_score(gts, res)
    made = {
        "source": "pycocoevalcap 1.2; texts are made up",
        "texts": cases,
        "tokens": ours,
        "bleu": {"corpus": bleu, "samples": bleu_each},
        "rouge-l": {"corpus": float(rouge), "samples": rouge_each.tolist()},
        "cider": {"corpus": float(cider), "samples": cider_each.tolist()},
        "meteor": {"corpus": meteor, "samples": meteor_each},
    }
    Path(__file__).with_name("coco.json").write_text(json.dumps(made, indent=1, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
