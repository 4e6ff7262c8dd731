"""How likely each of a closed set of answers is, as a whole string, next to everything else that the model might say."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import DynamicCache

from medbench.types import Generate

if TYPE_CHECKING:
    from medbench_torch.generation import Speaker

Scores = tuple[dict[str, float], float]
"""Log-probability of each option, and the share of the probability mass (0 to 1) that all of them cover."""

FLOOR = 1e-300
"""Smallest probability that is told apart from none, so that a logarithm is a number."""


class Wording(NamedTuple):
    """One way of writing an option, as tokens."""

    option: str
    ids: tuple[int, ...]


class OptionScorer:
    """Scores the options of requests with a speaker's model.

    The probability of an option is that of answering with it as a whole word or words: its tokens, then the end of the answer or
    a token that does not go on with the word ("no" is not the beginning of "normal"). Ways of writing it (case, leading space)
    are added up; where one option begins another ("left", "left lung") the longer one's share is taken off the shorter one's, so
    the options exclude each other and cover at most 1.

    Args:
        speaker: Whose model is asked.
    """

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    @cached_property
    def starts(self) -> torch.Tensor:
        """Which tokens (bool, size of the vocabulary) end a word or an answer: they do not go on with the word before them."""
        return _word_starts(self._speaker)

    def __call__(self, requests: Sequence[Generate], ids: Sequence[list[int]], features: Sequence[Sequence[Any]]) -> list[Scores]:
        """Return the scores of each request's options; none (`{}, 0.0`) where prompt and option do not fit the context together.

        Args:
            requests: Each with options.
            ids: Their prompts as tokens.
            features: Features of their images.
        """
        speaker = self._speaker
        wordings = [wordings_of(speaker.tokenizer, request.options) for request in requests]
        fitting = [
            place
            for place, ways in enumerate(wordings)
            if ways and len(ids[place]) + max(len(way.ids) for way in ways) < speaker.context_length
        ]
        scores: list[Scores] = [({}, 0.0)] * len(requests)
        if not fitting:
            return scores
        route = _after_cached_prompt if speaker.shares_prompt else _with_whole_prompt
        asked = ([row[place] for place in fitting] for row in (requests, ids, features, wordings))
        for place, rows in zip(fitting, route(speaker, *asked), strict=True):
            scores[place] = _summed(requests[place].options, wordings[place], rows, self.starts)
        return scores


def wordings_of(tokenizer: Any, options: Sequence[str]) -> list[Wording]:
    """Return the distinct token sequences of the options: as given, in lower, capitalised and upper case, with a space before or not.

    A sequence that two options share belongs to the first one.
    """
    made: dict[tuple[int, ...], str] = {}
    for option in options:
        said = option.strip()
        cases = dict.fromkeys((said, said.lower(), said[:1].upper() + said[1:], said[:1].upper() + said[1:].lower(), said.upper()))
        for text in (before + case for case in cases for before in ("", " ")):
            ids = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
            if ids:
                made.setdefault(ids, option)
    return [Wording(option, ids) for ids, option in made.items()]


def _word_starts(speaker: Speaker) -> torch.Tensor:
    tokenizer = speaker.tokenizer
    anchor = tokenizer("a", add_special_tokens=False)["input_ids"]
    said = tokenizer.decode(anchor, clean_up_tokenization_spaces=False)
    count = len(tokenizer)
    # a token alone may lose its leading space: it is read behind a letter
    texts = tokenizer.batch_decode([[*anchor, token] for token in range(count)], clean_up_tokenization_spaces=False)
    found = torch.zeros(max(count, speaker.model.config.get_text_config().vocab_size), dtype=torch.bool)
    found[:count] = torch.tensor([not _goes_on(text[len(said) :]) for text in texts])
    found[list(speaker.end_ids)] = True
    return found.to(speaker.model.device)


def _goes_on(text: str) -> bool:
    """Say whether text continues a word: a letter, a digit, or a piece of a character of several bytes."""
    return bool(text) and (text[0].isalnum() or text[0] in "_\N{REPLACEMENT CHARACTER}")


def _after_cached_prompt(
    speaker: Speaker,
    requests: Sequence[Generate],
    ids: Sequence[list[int]],
    features: Sequence[Sequence[Any]],
    wordings: Sequence[list[Wording]],
) -> list[list[torch.Tensor]]:
    """Return logits (tokens + 1, vocabulary) for each wording of each request; all wordings of one go on from its cached prompt."""
    inputs = speaker.inputs(requests, ids, features)
    mask = inputs["attention_mask"]
    inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    prompt = speaker.model(**inputs, use_cache=True, logits_to_keep=1)
    made = []
    for row, ways in enumerate(wordings):
        tokens, own = _right_padded([way.ids for way in ways], speaker.pad_id, mask.device)
        start = int(mask.shape[1] - len(ids[row]))
        cache = _row_of(prompt.past_key_values, row, start, len(ways))
        places = len(ids[row]) + torch.arange(tokens.shape[1], device=mask.device).expand_as(tokens)
        seen = torch.cat([torch.ones(len(ways), len(ids[row]), dtype=mask.dtype, device=mask.device), own], dim=1)
        after = speaker.model(input_ids=tokens, attention_mask=seen, position_ids=places, past_key_values=cache, use_cache=True).logits
        first = prompt.logits[row, -1:]
        made.append([torch.cat([first, after[place, : len(way.ids)]]) for place, way in enumerate(ways)])
    return made


def _with_whole_prompt(
    speaker: Speaker,
    requests: Sequence[Generate],
    ids: Sequence[list[int]],
    features: Sequence[Sequence[Any]],
    wordings: Sequence[list[Wording]],
) -> list[list[torch.Tensor]]:
    """Return the same for any model: each wording goes through it behind the whole prompt."""
    keeps = "logits_to_keep" in inspect.signature(speaker.model.forward).parameters
    made = []
    for request, prompt, own, ways in zip(requests, ids, features, wordings, strict=True):
        kept = max(len(way.ids) for way in ways) + 1
        inputs = speaker.inputs([request] * len(ways), [[*prompt, *way.ids] for way in ways], [own] * len(ways))
        logits = speaker.model(**inputs, **({"logits_to_keep": kept} if keeps else {})).logits
        made.append([logits[place, -len(way.ids) - 1 :] for place, way in enumerate(ways)])
    return made


def _row_of(cache: Any, row: int, start: int, times: int) -> DynamicCache:
    """Return the keys and values of one row of a batch, without its padding, once for each of several continuations."""
    made = DynamicCache()
    for number, layer in enumerate(cache.layers):
        keys, values = (part[row : row + 1, :, start:].expand(times, -1, -1, -1) for part in (layer.keys, layer.values))
        made.update(keys, values, number)
    return made


def _right_padded(ids: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, ids))
    tokens = [[*row, *[pad_id] * (longest - len(row))] for row in ids]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in ids]
    return torch.tensor(tokens, device=device), torch.tensor(mask, device=device)


def _summed(options: Sequence[str], wordings: Sequence[Wording], rows: Sequence[torch.Tensor], starts: torch.Tensor) -> Scores:
    """Return the scores of one request from the logits of its wordings."""
    whole = {way.ids: _whole(way.ids, logits, starts) for way, logits in zip(wordings, rows, strict=True)}
    alone = {ids: share - sum(whole[longer] for longer in _next_longer(ids, list(whole), starts)) for ids, share in whole.items()}
    shares = dict.fromkeys(options, 0.0)
    for way in wordings:
        shares[way.option] += max(alone[way.ids], 0.0)
    return {option: math.log(max(share, FLOOR)) for option, share in shares.items()}, min(1.0, sum(shares.values()))


def _whole(ids: Sequence[int], logits: torch.Tensor, starts: torch.Tensor) -> float:
    """Return the probability of the tokens followed by the end of the word."""
    logs = torch.log_softmax(logits.float(), dim=-1)
    steps = logs[torch.arange(len(ids), device=logs.device), torch.tensor(ids, device=logs.device)]
    closed = logs[-1][starts[: logs.shape[-1]]].logsumexp(dim=-1)
    return math.exp(float(steps.double().sum() + closed.double()))


def _next_longer(ids: tuple[int, ...], all_ids: Sequence[tuple[int, ...]], starts: torch.Tensor) -> list[tuple[int, ...]]:
    """Return the sequences that are this one and another word, leaving out those that go on from another of them."""
    longer = [other for other in all_ids if len(other) > len(ids) and other[: len(ids)] == ids and starts[other[len(ids)]]]
    return [other for other in longer if not any(len(mid) < len(other) and other[: len(mid)] == mid for mid in longer)]
