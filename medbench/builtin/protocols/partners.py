"""Images and their captions as partners: what is asked about them, which captions are equal, and pictures of what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, NoReturn

import numpy as np

from medbench.builtin.protocols.embedding import Array, Vectors, Views, image_requests, text_request, unit, vectors_of
from medbench.errors import DataError
from medbench.figures import Pictures, Strip, Tile
from medbench.interfaces import Example, OutputView
from medbench.types import Embed, Failed, Prediction, Ranking, Sample, Text

DIRECTIONS = ("image-to-text", "text-to-image")
CAPTION_LENGTH = 160


class Partners(NamedTuple):
    """Unit vectors of images and captions, one row per sample; rows that could not be had are zero."""

    images: Vectors
    texts: Vectors
    codes: Array
    """Equal captions have equal codes, int64 (samples,)."""

    def sides(self, direction: str) -> tuple[Vectors, Vectors]:
        """Return (queries, candidates)."""
        return (self.images, self.texts) if direction == DIRECTIONS[0] else (self.texts, self.images)

    def failure(self, at: int) -> Failed | None:
        """Return why a sample has no partner to find or to be found by."""
        return self.images.failed.get(at) or self.texts.failed.get(at)


def partner_requests(samples: Sequence[Sample], views: Views) -> Iterator[Embed]:
    """Yield what is asked: the images, then the caption of each sample.

    Raises:
        DataError: a sample has no image or no caption.
    """
    for sample in samples:
        yield from image_requests(sample, views) if sample.images else _lacks(sample, "image")
        yield text_request(caption_of(sample))


def partner_examples(samples: Sequence[Sample], views: Views) -> Iterator[Example]:
    """Yield what is asked about the images of each sample, with its caption as the target: what contrastive training learns from.

    A sample without an image or without a caption is no example.
    """
    for sample in samples:
        if sample.images and sample.references and sample.references[0].strip():
            yield from ((request, Text(text=sample.references[0])) for request in image_requests(sample, views))


def read_partners(samples: Sequence[Sample], outputs: OutputView, views: Views) -> Partners:
    """Return the vectors of images and captions; raises as `partner_requests` does."""
    images = vectors_of([image_requests(sample, views) for sample in samples], outputs)
    texts = vectors_of([(text_request(caption_of(sample)),) for sample in samples], outputs)
    if images.matrix.shape[1] != texts.matrix.shape[1] and images.there.any() and texts.there.any():
        widths = f"{images.matrix.shape[1]} numbers of an image and {texts.matrix.shape[1]} of a text"
        raise DataError(f"the model's vectors cannot be compared: {widths}", hint="its image and text vectors must share one space")
    places: dict[str, int] = {}
    codes = [places.setdefault(" ".join(caption_of(sample).split()), len(places)) for sample in samples]
    unit_images, unit_texts = (Vectors(unit(side.matrix), side.failed) for side in (images, texts))
    return Partners(unit_images, unit_texts, np.array(codes, dtype=np.int64))


def caption_of(sample: Sample) -> str:
    """Return the caption of a sample.

    Raises:
        DataError: it has none.
    """
    return sample.references[0] if sample.references else _lacks(sample, "caption")


def likely_images(samples: Sequence[Sample], predictions: Sequence[Prediction], chosen: Sequence[str], count: int = 4) -> Pictures | None:
    """Return a strip of the images most likely for each of a few captions, the right ones framed as right.

    Args:
        samples: Those among which images were looked for.
        predictions: What was predicted; only those from text to image are shown.
        chosen: Ids of the samples whose captions are shown.
        count: How many images stand in a strip.
    """
    by_id = {sample.id: sample for sample in samples}
    found = {p.sample: p.value for p in predictions if p.condition.get("direction") == DIRECTIONS[1] and isinstance(p.value, Ranking)}
    strips = tuple(
        Strip(heading=_short(caption_of(by_id[name])), tiles=tuple(_tiles(by_id, by_id[name], found[name], count)))
        for name in chosen
        if name in found
    )
    if not strips:
        return None
    note = "A picture with the very same caption counts as right."
    return Pictures(name="likely-images", title=f"The {count} most likely images of a caption", strips=strips, note=note)


def _tiles(by_id: dict[str, Sample], query: Sample, value: Ranking, count: int) -> Iterator[Tile]:
    right = " ".join(caption_of(query).split())
    for place, name in enumerate(value.top[:count], 1):
        shown = by_id[name]
        image = shown.images[0]
        good = " ".join(caption_of(shown).split()) == right
        yield Tile(path=image.path, preset=image.preset, caption=f"{place}. {name}", good=good)


def _short(text: str) -> str:
    return text if len(text) <= CAPTION_LENGTH else f"{text[: CAPTION_LENGTH - 1]}…"


def _lacks(sample: Sample, what: str) -> NoReturn:
    raise DataError(f"sample {sample.id} has no {what}", hint="a task of this protocol needs images with captions")
