"""Batched generation: windows of requests become left-padded batches of like length, and answers that no batch has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from medbench.errors import InputError, OutOfMemory
from medbench.types import Failed, Generate, Text
from medbench_torch.devices import memory_guard
from medbench_torch.features import FeatureCache, Key, key_of
from medbench_torch.images import decoded
from medbench_torch.option_scoring import OptionScorer
from medbench_torch.row_rules import RowLimits, RowStops, SeededNoise, cut_at

Answer = tuple[int, Text | Failed]

SMALL = 100_000_000
"""Parameters up to which a model's batches are bound by overhead, on a CPU too."""


class Speaker(Protocol):
    """What generation needs to know of a family of models: how a request becomes tokens, and tokens and features its inputs."""

    model: Any
    """A transformers model with `generate`, in eval mode."""
    tokenizer: Any
    end_ids: tuple[int, ...]
    """Tokens that end an answer."""
    pad_id: int
    context_length: int
    """Tokens of prompt and answer together."""
    shares_prompt: bool
    """Positions are counted by the attention mask alone, so that options can go on from the cached prompt."""

    fixed_length: bool
    """Every picture has the same number of tokens: `prompt_ids` needs no features."""

    def prepare(self, picture: Any) -> Any:
        """Return what the tower takes of one RGB picture. Called in threads."""
        ...

    def encode_images(self, pictures: Sequence[Any]) -> list[Any]:
        """Return the features of prepared pictures, before the projector where there is one, on the device."""
        ...

    def prompt_ids(self, request: Generate, features: Sequence[Any] | None = None) -> list[int]:
        """Return the prompt as tokens, image places expanded; without features where their number varies, about as many.

        Raises:
            InputError: the request cannot be put.
        """
        ...

    def inputs(self, requests: Sequence[Generate], ids: Sequence[list[int]], features: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Return what `model.generate` takes: left-padded ids or embeddings, attention mask, what goes with the images."""
        ...


def left_padded(ids: Sequence[Sequence[int]], pad_id: int, device: torch.device | str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and attention mask, both int64 of shape (rows, longest): padding stands on the left, answers begin together."""
    longest = max(map(len, ids))
    rows = [[pad_id] * (longest - len(row)) + list(row) for row in ids]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in ids]
    return torch.tensor(rows, device=device), torch.tensor(mask, device=device)


def fitting_batch(model: Any) -> int:
    """Return a batch size to begin with: 8 for a large model on a CPU, 32 on an accelerator, 64 for a small one; halved if need be."""
    if sum(parameter.numel() for parameter in model.parameters()) <= SMALL:
        return 64
    return 8 if model.device.type == "cpu" else 32


class Generator:
    """Answers windows of `Generate` requests with a speaker's model.

    Greedy answers are the same tokens whatever the batch (in fp32), sampled ones too. What fits is learnt: a batch that runs out
    of memory is halved, and the size that fitted is kept.

    Args:
        speaker: The family's side of it.
        batch_size: Requests that go through the model together.
        workers: Threads that decode pictures ahead; 0: one for each core, at most 8.
        cache: Features of recent images; None: one that suits the device.
        opaque: A picture that is transparent anywhere is a failed request, rather than laid on black.
    """

    def __init__(
        self, speaker: Speaker, *, batch_size: int = 8, workers: int = 0, cache: FeatureCache | None = None, opaque: bool = False
    ) -> None:
        self.speaker = speaker
        self.batch_size = max(1, batch_size)
        self._workers = workers
        self._opaque = opaque
        self._device = speaker.model.device
        self._score = OptionScorer(speaker)
        self.cache = FeatureCache.on(self._device) if cache is None else cache
        # a published generation_config may sample or penalise repetition: what is asked for stands in the request
        speaker.model.generation_config = GenerationConfig(
            do_sample=False, num_beams=1, use_cache=True, eos_token_id=list(speaker.end_ids) or None, pad_token_id=speaker.pad_id
        )

    def __call__(self, requests: Sequence[Generate]) -> Iterator[Answer]:
        """Yield (index, answer) as batches are ready, in any order; what cannot be put is `Failed`."""
        ids: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            try:
                ids[index] = self.speaker.prompt_ids(request)
            except InputError as error:
                yield index, Failed(kind="input", error=str(error))
        # longest first: what does not fit shows at once
        order = sorted(ids, key=lambda index: (bool(requests[index].images), bool(requests[index].options), -len(ids[index]), index))
        pictures = _Pictures(self, [requests[index] for index in order])
        while order:
            kind = bool(requests[order[0]].images)
            batch = [index for index in order[: self.batch_size] if bool(requests[index].images) == kind]
            order = order[len(batch) :]
            yield from self._answered(requests, ids if self.speaker.fixed_length else {}, batch, pictures)

    def _answered(
        self, requests: Sequence[Generate], ids: Mapping[int, list[int]], batch: list[int], pictures: _Pictures
    ) -> Iterator[Answer]:
        queue = [batch]
        while queue:
            part = queue.pop(0)
            try:
                answers = self._batch([requests[index] for index in part], [ids.get(index) for index in part], pictures)
            except OutOfMemory as error:
                self.cache.clear()
                if len(part) == 1:
                    answers = [Failed(kind="model", error=f"out of memory with a batch of one ({error})")]
                else:
                    self.batch_size = max(1, len(part) // 2)
                    queue[:0] = [part[: self.batch_size], part[self.batch_size :]]
                    continue
            pictures.used([requests[index] for index in part])
            yield from zip(part, answers, strict=True)

    @torch.inference_mode()
    def _batch(self, requests: list[Generate], ids: list[list[int] | None], pictures: _Pictures) -> list[Text | Failed]:
        """Return one answer per request, in order.

        Raises:
            OutOfMemory: the batch does not fit.
        """
        with memory_guard():
            found = pictures.features(requests)
            rows = [self._row(*parts) for parts in zip(requests, ids, found, strict=True)]
            open_ = [row for row in rows if isinstance(row, _Row)]
            texts = iter(self._written(open_) if open_ else [])
            return [next(texts) if isinstance(row, _Row) else row for row in rows]

    def _row(self, request: Generate, ids: list[int] | None, features: list[Any] | InputError) -> _Row | Failed:
        try:
            if isinstance(features, InputError):
                raise features
            ids = ids or self.speaker.prompt_ids(request, features)
        except InputError as error:
            return Failed(kind="input", error=str(error))
        room = self.speaker.context_length - len(ids)
        if room < 1:
            return Failed(kind="input", error=f"a prompt of {len(ids)} tokens; the model's context is {self.speaker.context_length}")
        return _Row(request=request, ids=ids, features=features, limit=max(1, min(request.max_new_tokens, room)))

    def _written(self, rows: Sequence[_Row]) -> list[Text]:
        speaker, requests = self.speaker, [row.request for row in rows]
        longest = max(row.limit for row in rows)
        inputs = speaker.inputs(requests, [row.ids for row in rows], [row.features for row in rows])
        noise = [SeededNoise(requests, longest, self._device)] if any(request.temperature for request in requests) else []
        stops = [RowStops(requests, speaker.tokenizer)] if any(request.stop for request in requests) else []
        made = speaker.model.generate(
            **inputs,
            max_new_tokens=longest,
            logits_processor=LogitsProcessorList(noise),
            stopping_criteria=StoppingCriteriaList([RowLimits([row.limit for row in rows], self._device), *stops]),
        )
        start = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
        texts = [self._read(row, tokens) for row, tokens in zip(rows, made[:, start:].tolist(), strict=True)]
        return self._scored(rows, texts)

    def _read(self, row: _Row, tokens: list[int]) -> Text:
        kept = tokens[: row.limit]
        end = next((place for place, token in enumerate(kept) if token in self.speaker.end_ids), -1)
        kept = kept if end < 0 else kept[:end]
        said = self.speaker.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        said, stopped = cut_at(said, row.request.stop)
        return Text(
            text=said.strip(),
            finish_reason="stop" if end >= 0 or stopped else "length",
            usage={"input_tokens": len(row.ids), "output_tokens": len(kept) + (end >= 0)},
        )

    def _scored(self, rows: Sequence[_Row], texts: list[Text]) -> list[Text]:
        asked = [place for place, row in enumerate(rows) if row.request.options]
        if not asked:
            return texts
        chosen = [rows[place] for place in asked]
        scores = self._score([row.request for row in chosen], [row.ids for row in chosen], [row.features for row in chosen])
        for place, (logprobs, covered) in zip(asked, scores, strict=True):
            texts[place] = msgspec.structs.replace(texts[place], option_logprobs=logprobs, covered=covered)
        return texts


class _Row(msgspec.Struct, frozen=True):
    """A request that can be put: its tokens, the features of its images, and how long its answer may be."""

    request: Generate
    ids: list[int]
    features: list[Any]
    limit: int


class _Pictures:
    """The images of one window: each decoded once, ahead of the model, encoded once, and held until its last request is answered.

    Args:
        generator: Whose speaker encodes, and whose cache is looked into first.
        requests: In the order in which they will be answered.
    """

    def __init__(self, generator: Generator, requests: Sequence[Generate]) -> None:
        self._generator = generator
        self._uses = Counter(key_of(image) for request in requests for image in request.images)
        self._held: dict[Key, Any] = {}
        for key in self._uses:
            if (kept := generator.cache.get(key)) is not None:
                self._held[key] = kept
        wanted = {key_of(image): image for request in requests for image in request.images}
        self._coming = [key for key in wanted if key not in self._held]
        files = (wanted[key] for key in self._coming)
        self._stream = decoded(files, generator._workers, generator.speaker.prepare, opaque=generator._opaque)  # noqa: SLF001 - its other half
        self._waiting: dict[Key, Any] = {}
        self._next = 0

    def features(self, requests: Sequence[Generate]) -> list[list[Any] | InputError]:
        """Return the features of each request's images, or why one of them cannot be read."""
        keys = dict.fromkeys(key_of(image) for request in requests for image in request.images)
        self._decode(key for key in keys if key not in self._held)
        self._encode([key for key in keys if key not in self._held])
        return [self._of(request) for request in requests]

    def used(self, requests: Sequence[Generate]) -> None:
        """Count requests as answered; what none of the window needs again is the cache's alone."""
        for request in requests:
            for image in request.images:
                key = key_of(image)
                self._uses[key] -= 1
                if not self._uses[key]:
                    self._held.pop(key, None)

    def _decode(self, keys: Iterable[Key]) -> None:
        for key in keys:
            while key not in self._waiting:
                self._waiting[self._coming[self._next]] = next(self._stream)
                self._next += 1

    def _encode(self, keys: Sequence[Key]) -> None:
        good = []
        for key in keys:
            if isinstance(self._waiting[key], InputError):
                self._held[key] = self._waiting.pop(key)
            else:
                good.append(key)
        size = self._generator.batch_size
        for start in range(0, len(good), size):
            part = good[start : start + size]
            made = self._generator.speaker.encode_images([self._waiting[key] for key in part])
            for key, features in zip(part, made, strict=True):
                del self._waiting[key]
                self._held[key] = features
                self._generator.cache.put(key, features)

    def _of(self, request: Generate) -> list[Any] | InputError:
        found = [self._held[key_of(image)] for image in request.images]
        return next((features for features in found if isinstance(features, InputError)), found)
