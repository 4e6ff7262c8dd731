"""What a request says about its own row of a batch: its noise, its longest answer, its stop strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, StoppingCriteria

from medbench.types import Generate

TAIL = 24
"""Tokens at the end of a row in which a stop string is looked for; the whole answer is searched once it is there."""


class SeededNoise(LogitsProcessor):
    """Samples the rows that have a temperature, each from noise of its own seed; the other rows stay greedy.

    The n-th token of a row depends on the row's logits and on the n-th number of the row's own stream, so a sampled answer does
    not depend on who else is in the batch. One number a token suffices: the distribution function is inverted.

    Args:
        requests: One for each row.
        steps: Tokens that will be drawn at most.
        device: Where the logits are.
    """

    def __init__(self, requests: Sequence[Generate], steps: int, device: torch.device) -> None:
        drawn = np.stack([_stream(request, steps) for request in requests], axis=1)
        self._numbers = torch.from_numpy(drawn).to(device)
        self._heat = torch.tensor([[request.temperature] for request in requests], dtype=torch.float32, device=device)
        self._step = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores (rows, vocabulary) in which only the drawn token of a sampled row is left."""
        del input_ids
        number = self._numbers[self._step][:, None]
        self._step += 1
        mass = torch.softmax(scores.float() / self._heat.clamp(min=1e-6), dim=-1).cumsum(dim=-1)
        drawn = (mass <= number * mass[:, -1:]).sum(dim=-1, keepdim=True).clamp(max=scores.shape[-1] - 1)
        forced = torch.full_like(scores, float("-inf")).scatter(1, drawn, 0.0)
        return torch.where(self._heat > 0, forced, scores)


class RowLimits(StoppingCriteria):
    """Ends each row at its own number of new tokens.

    Args:
        limits: New tokens at most, one for each row.
        device: Where the tokens are.
    """

    def __init__(self, limits: Sequence[int], device: torch.device) -> None:
        self._limits = torch.tensor(limits, device=device)
        self._made = 0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return which rows (bool) have all their tokens."""
        del input_ids, scores, kwargs
        self._made += 1
        return self._limits <= self._made


class RowStops(StoppingCriteria):
    """Ends each row at its own stop strings; only batches that have some pay for looking at the text of every token.

    Args:
        requests: One for each row.
        tokenizer: What reads the tokens.
    """

    def __init__(self, requests: Sequence[Generate], tokenizer: Any) -> None:
        self._stops = [request.stop for request in requests]
        self._tokenizer = tokenizer
        self._made = 0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return which rows (bool) hold one of their stop strings."""
        del scores, kwargs
        self._made += 1
        new = input_ids[:, -min(self._made, TAIL) :].tolist()
        found = [
            any(stop in text for stop in stops)
            for stops, text in zip(self._stops, self._tokenizer.batch_decode(new, skip_special_tokens=True), strict=True)
        ]
        return torch.tensor(found, device=input_ids.device)


def cut_at(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """Return the text before the first stop string in it, and whether there was one.

    >>> cut_at("clear lungs###Human", ("###",))
    ('clear lungs', True)
    """
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def _stream(request: Generate, steps: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the row's numbers in [0, 1); a greedy row needs none."""
    if not request.temperature:
        return np.zeros(steps, dtype=np.float32)
    return np.random.default_rng([request.seed, request.repeat]).random(steps, dtype=np.float32)
