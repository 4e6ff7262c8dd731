"""A tiny language model as a plugin has one, for the tests of the kit."""

from __future__ import annotations

import torch
from medbench_torch.devices import memory_guard, place
from medbench_torch.loading import facts, load_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from medbench.types import Text


class TinyTorch:
    """Continues a prompt greedily, one request at a time; a window of more than `fits` requests truly runs out of memory."""

    def __init__(self, *, weights: str, device: str = "auto", fits: int = 0):
        self.placement, self.weights, self.fits = place(device), weights, fits
        self.model = load_model(AutoModelForCausalLM, weights, self.placement)
        self.tokenizer = AutoTokenizer.from_pretrained(weights)

    def facts(self):
        return facts(self.model, self.placement, weights=self.weights)

    def generate(self, requests):
        if self.fits and len(requests) > self.fits:
            with memory_guard():
                torch.empty(2**62, dtype=torch.uint8)
        for request in requests:
            given = self.tokenizer(request.prompt, return_tensors="pt", return_token_type_ids=False)
            with torch.inference_mode():
                made = self.model.generate(**given, max_new_tokens=request.max_new_tokens, do_sample=False)
            written = made[0, given["input_ids"].shape[1] :]
            yield Text(text=self.tokenizer.decode(written, skip_special_tokens=True), usage={"completion_tokens": len(written)})
