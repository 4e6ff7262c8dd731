"""A language model's last-layer embeddings of reports: computed once and kept as a matrix, or token by token when asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from medbench_torch.devices import Placement
from medbench_torch.loading import load_model
from medbench_torch.tokenizing import load_tokenizer
from medbench_torch.weights import digest, read_json

from medbench.errors import UsageError
from medbench.files import private_folder, storage
from medbench.identity import digest_of
from medbench.locks import FolderLock

Matrix = np.ndarray[Any, np.dtype[np.float32]]
ELSEWHERE = "choose another folder with text_cache="


class LanguageModel:
    """A causal language model, frozen, read at its last layer; loaded when it is first needed.

    Args:
        folder: Of its weights and tokenizer.
        placement: Where it runs, in which numbers.
        max_tokens: Tokens of a text that are read; the rest is cut.
        batch: Texts that go through it together.
        trust_pickle: Read pickled weights.
    """

    def __init__(self, folder: Path, placement: Placement, *, max_tokens: int, batch: int = 16, trust_pickle: bool = False) -> None:
        self.folder = folder
        self.digest = digest(folder)
        self.width = _width(folder)
        self.max_tokens = max_tokens
        self._placement = placement
        self._batch = batch
        self._trust_pickle = trust_pickle

    def tokens(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask of texts, padded on the right: (n, longest), (n, longest) boolean. Safe in threads."""
        made = self._tokenizer(list(texts), truncation=True, max_length=self.max_tokens, add_special_tokens=True)["input_ids"]
        longest = max(map(len, made))
        ids = torch.full((len(made), longest), self._tokenizer.pad_token_id)
        mask = torch.zeros((len(made), longest), dtype=torch.bool)
        for number, row in enumerate(made):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = True
        return ids, mask

    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the last layer's states after its norm, float32 (n, tokens, width), on the device of `ids`."""
        model = self._model
        if model.device != ids.device:
            model.to(ids.device)
        with torch.no_grad():
            made: torch.Tensor = model(input_ids=ids, attention_mask=mask.long(), use_cache=False).last_hidden_state
        return made.float()

    def means(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the mean of each text's states over its own tokens, float32 (n, width), on the CPU."""
        ids, mask = (part.to(self._placement.device) for part in self.tokens(texts))
        weights = mask.unsqueeze(-1).float()
        return ((self.states(ids, mask) * weights).sum(dim=1) / weights.sum(dim=1)).cpu()

    def matrix(self, texts: Sequence[str], cache: Path) -> Matrix:
        """Return the means of texts, (n, width), memory-mapped: computed once, shared by all who name this folder.

        Args:
            texts: Each once, in order.
            cache: Folder of matrices; private, since a vector can tell of its text.

        Raises:
            StorageError: the folder cannot be written.
        """
        key = digest_of([self.digest, self.max_tokens, str(self._placement.dtype), list(texts)])[:32]
        path = private_folder(cache) / f"{key}.npy"
        with FolderLock(cache) as lock:
            lock.wait()
            if not path.is_file():
                self._compute(texts, path)
        made: Matrix = np.load(path, mmap_mode="r")
        return made

    def release(self) -> None:
        """Let go of the weights; they are loaded again when they are needed."""
        self.__dict__.pop("_model", None)

    def _compute(self, texts: Sequence[str], path: Path) -> None:
        draft = path.with_suffix(".draft")
        with storage(draft, ELSEWHERE):
            rows = np.lib.format.open_memmap(draft, mode="w+", dtype=np.float32, shape=(len(texts), self.width))
            # texts of like length together: little padding
            order = sorted(range(len(texts)), key=lambda number: (len(texts[number]), number))
            for start in range(0, len(order), self._batch):
                chosen = order[start : start + self._batch]
                rows[chosen] = self.means([texts[number] for number in chosen]).numpy()
            rows.flush()
            draft.replace(path)
        self.release()

    @cached_property
    def _tokenizer(self) -> Any:
        made = load_tokenizer(self.folder)
        # mean and pooling look at all tokens, and what follows a token does not change its state
        made.padding_side = "right"
        return made

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModelForCausalLM

        loaded: Any = load_model(AutoModelForCausalLM, self.folder, self._placement, trust_pickle=self._trust_pickle)
        return loaded.base_model.requires_grad_(requires_grad=False)


def statistics(matrix: Matrix, rows: Sequence[int], block: int = 4096) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of each column over some rows, in double precision, a block at a time.

    Raises:
        UsageError: there are no rows.
    """
    if not rows:
        raise UsageError("there is no report to align to", hint="add a task with reports: --task mimic-cls14 --task mimic-mrg")
    total = np.zeros(matrix.shape[1])
    squares = np.zeros(matrix.shape[1])
    for start in range(0, len(rows), block):
        part = np.asarray(matrix[list(rows[start : start + block])], dtype=np.float64)
        total += part.sum(axis=0)
        squares += np.square(part).sum(axis=0)
    mean = total / len(rows)
    deviation = np.sqrt(np.maximum(squares / len(rows) - np.square(mean), 1e-12))
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


def _width(folder: Path) -> int:
    """Return the width of a language model's states, by its config alone.

    Raises:
        UsageError: the config does not say it.
    """
    config = read_json(folder / "config.json")
    width = config.get("hidden_size") or config.get("text_config", {}).get("hidden_size") or config.get("n_embd")
    if not isinstance(width, int):
        raise UsageError(f"{folder / 'config.json'}: no hidden_size in it", hint="is it the folder of a causal language model?")
    return width
