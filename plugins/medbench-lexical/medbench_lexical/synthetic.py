"""Made-up chest reports and what a middling model would write for them: text for tests and benches, about no patient."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from medbench.types import Pair, Sample, Text

SENTENCES = (
    "The heart size is normal.",
    "The heart is mildly enlarged.",
    "Cardiac and mediastinal contours are within normal limits.",
    "There is no focal consolidation, pleural effusion or pneumothorax.",
    "No pleural effusion or pneumothorax is seen.",
    "The lungs are clear.",
    "Lung volumes are low with crowding of the bronchovascular structures.",
    "The lungs are hyperinflated, consistent with emphysema.",
    "There is a small left-sided pleural effusion with adjacent atelectasis.",
    "Bibasilar opacities likely represent atelectasis (left greater than right).",
    "A right internal jugular line ends in the mid superior vena cava.",
    "The endotracheal tube ends 4.5 cm above the carina.",
    "The enteric tube courses below the diaphragm, its tip is not seen.",
    "A nodule of 12 mm is noted in the right upper lobe.",
    "Mild pulmonary vascular congestion is unchanged.",
    "Compared with the study of ___, the opacity at the left base has increased.",
    "The patient's left chest port is in unchanged position.",
    "Findings are concerning for pneumonia; follow-up is recommended.",
    "No acute osseous abnormality is identified.",
    "Degenerative changes of the thoracic spine are present.",
    "Old rib fractures are noted on the right.",
    "The aorta is tortuous and calcified.",
    "Surgical clips project over the upper abdomen.",
    "There is no evidence of free air.",
    "Impression: no acute cardiopulmonary process.",
    "Interstitial edema has improved since the prior examination.",
    "Pneumonia and/or aspiration cannot be excluded.",
    "These findings were discussed with Dr. ___ at 5:30 p.m. by telephone.",
)
_SYLLABLES = "ra di lu cen pul mo na ry bron chi al tho cic me as ti num fi bro sis ate lec ta ple u ri cal ci ep nod ule"


def reports(n: int, seed: int = 0, vocabulary: int = 4_000) -> tuple[list[str], list[str]]:
    """Return n references and n predictions of about 60 words, the same for the same seed.

    Words are replaced by rarer made-up ones, so that the vocabulary grows with the corpus as that of real reports does.
    """
    rng = random.Random(seed)  # noqa: S311 - text for tests
    words = ["".join(rng.choices(_SYLLABLES.split(), k=rng.randint(2, 4))) for _ in range(vocabulary)]
    commonness = [1 / rank for rank in range(1, vocabulary + 1)]
    rare = iter(rng.choices(words, commonness, k=20 * n + 100))
    likely = [1 / rank**0.6 for rank in range(1, len(SENTENCES) + 1)]
    references, predictions = [], []
    for _ in range(n):
        wanted = list(dict.fromkeys(rng.choices(range(len(SENTENCES)), likely, k=rng.randint(7, 11))))
        said = [sentence for sentence in wanted if rng.random() > 0.25] or wanted[:1]
        said += rng.choices(range(len(SENTENCES)), likely, k=rng.randint(0, 3))
        if rng.random() < 0.5:
            rng.shuffle(said)
        references.append(" ".join(_noisy(SENTENCES[sentence], 0.06, rng, rare) for sentence in wanted))
        predictions.append(" ".join(_noisy(SENTENCES[sentence], 0.1, rng, rare) for sentence in said))
    return references, predictions


def _noisy(sentence: str, rate: float, rng: random.Random, rare: Iterator[str]) -> str:
    return re.sub(r"[a-z]{4,}", lambda found: next(rare, found[0]) if rng.random() < rate else found[0], sentence)


def pairs_of(references: Sequence[str | Sequence[str]], predictions: Sequence[str]) -> list[Pair]:
    """Return samples with these references (one, or several each) and what was predicted for them."""
    made = []
    for number, (known, said) in enumerate(zip(references, predictions, strict=True)):
        texts = (known,) if isinstance(known, str) else tuple(known)
        made.append(Pair(Sample(id=f"{number}", group=f"{number}", split="test", references=texts), Text(text=said)))
    return made
