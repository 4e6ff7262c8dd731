"""Image synthesis: a prompt in, a picture out; the real picture of a sample is never shown to the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from medbench.figures import Figure, Pictures, Strip, Tile
from medbench.identity import hash_order, sample_seed
from medbench.interfaces import Example, OutputView
from medbench.types import Image, Picture, Prediction, Sample, Struct, Synthesize

SHEET_ROWS, SHEET_COLUMNS = 4, 8


class TextToImageParams(Struct):
    """What a task or a run may set."""

    width: int = 0
    """Pixels; 0: the model's own."""
    height: int = 0
    per_prompt: int = 1
    """Pictures drawn for each prompt, each from a seed of its own: condition `draw=` where it is more than one."""
    role: str = "target"
    """Role of the real picture, which a model is fitted on and compared with."""
    seed: int = 0
    """The run's seed; every picture gets its own from it and the sample's id."""


class TextToImage:
    """One `Synthesize` per prompt and draw; the prediction is the picture."""

    Params = TextToImageParams

    def requests(self, samples: Sequence[Sample], params: TextToImageParams) -> Iterator[Synthesize]:
        """Yield one request per sample and draw, in order."""
        return (self._request(sample, draw, params) for sample in samples for draw in range(params.per_prompt))

    def predictions(self, samples: Sequence[Sample], outputs: OutputView, params: TextToImageParams) -> Iterator[Prediction]:
        """Yield one prediction per sample and draw, in order."""
        for sample in samples:
            for draw in range(params.per_prompt):
                condition: dict[str, str | int | float] = {"draw": draw} if params.per_prompt > 1 else {}
                yield Prediction(sample=sample.id, value=outputs[self._request(sample, draw, params)], condition=condition)

    def examples(self, samples: Sequence[Sample], params: TextToImageParams) -> Iterator[Example]:
        """Yield the very requests that would be asked, each with the real picture (a file) as target."""
        for sample in samples:
            for image in self._real(sample, params):
                yield self._request(sample, 0, params), Picture(path=image.path, digest=image.digest)

    def figures(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], outputs: OutputView, params: TextToImageParams
    ) -> Iterator[Figure]:
        """Yield a contact sheet: drawn pictures with their prompts, and real ones beside them."""
        del outputs
        drawn = {p.sample: p.value for p in predictions if isinstance(p.value, Picture) and p.condition.get("draw", 0) == 0}
        by_id = {sample.id: sample for sample in samples}
        chosen = [by_id[name] for name in hash_order(drawn)[: SHEET_ROWS * SHEET_COLUMNS]]
        if not chosen:
            return
        strips: list[Strip] = []
        for start in range(0, len(chosen), SHEET_COLUMNS):
            row = chosen[start : start + SHEET_COLUMNS]
            tiles = tuple(Tile(path=drawn[sample.id].path, caption=sample.prompt) for sample in row)
            real = tuple(Tile(path=image.path, preset=image.preset) for sample in row for image in self._real(sample, params)[:1])
            strips += [Strip(heading="drawn", tiles=tiles), *([Strip(heading="real", tiles=real)] if real else [])]
        repeated = sum(count - 1 for count in Counter(sample.prompt for sample in by_id.values()).values())
        note = f"{len(chosen)} of {len(drawn):,} pictures, chosen by hash of the id; {repeated:,} prompts repeat another"
        yield Pictures(name="contact-sheet", title="Drawn pictures and real ones", strips=tuple(strips), note=note)

    def _request(self, sample: Sample, draw: int, params: TextToImageParams) -> Synthesize:
        name = f"{sample.id}\0{draw}" if draw else sample.id
        return Synthesize(prompt=sample.prompt, seed=sample_seed(params.seed, name), width=params.width, height=params.height)

    def _real(self, sample: Sample, params: TextToImageParams) -> list[Image]:
        return [msgspec.structs.replace(image, role="image") for image in sample.images if image.role == params.role and not image.fault]
