"""A real torch model for tests of executors: it loads weights, answers, and crashes, hangs or fills the memory where it is told to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from medbench.cards import AnyCard, ModelCard
from medbench.hookspecs import hookimpl
from medbench.types import Generate, Text

if TYPE_CHECKING:
    import torch

CARD = ModelCard(
    name="tiny-torch",
    load="medbench_torch.trial:TinyTorch",
    title="a tiny language model of a true class, for tests of executors",
    can=("generate",),
    max_images=0,
    needs=("torch", "transformers"),
    batch_size=2,
    timeout_s=60.0,
)


class TinyTorch:
    """A tiny Llama that continues a prompt greedily, one request at a time.

    Args:
        weights: Folder from `medbench_torch.tiny.causal.build_llama`.
        device: See `medbench_torch.devices.place`.
        crash_on: A prompt with this text ends the process with a true segmentation fault; empty: none does.
        hang_on: A prompt with this text is never answered.
        hold_mb: Memory that it holds beside its weights, in MB.
        fits: A window of more requests runs out of memory, truly; 0: all fit.
    """

    def __init__(
        self, *, weights: str, device: str = "auto", crash_on: str = "", hang_on: str = "", hold_mb: int = 0, fits: int = 0
    ) -> None:
        import torch  # noqa: PLC0415 - the card is read without torch
        from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415

        from medbench_torch.devices import place  # noqa: PLC0415
        from medbench_torch.loading import load_model  # noqa: PLC0415

        torch.set_num_threads(1)
        self._placement = place(device)
        self._weights = weights
        self._crash_on, self._hang_on, self._fits = crash_on, hang_on, fits
        self.model = load_model(AutoModelForCausalLM, weights, self._placement)
        self.tokenizer = AutoTokenizer.from_pretrained(weights, local_files_only=True)
        self._held = torch.ones(hold_mb << 18, device=self._placement.device)

    def facts(self) -> dict[str, Any]:
        """Return what is known of the model, and the process it runs in."""
        import os  # noqa: PLC0415 - here alone

        from medbench_torch.loading import facts  # noqa: PLC0415

        return facts(self.model, self._placement, weights=self._weights, pid=os.getpid())

    def generate(self, requests: Sequence[Generate]) -> Iterator[Text]:
        """Yield one answer per request, in order."""
        import torch  # noqa: PLC0415 - the card is read without torch

        from medbench_torch.devices import memory_guard  # noqa: PLC0415

        if self._fits and len(requests) > self._fits:
            with memory_guard():
                torch.empty(2**62, dtype=torch.uint8)
        for request in requests:
            yield self._answer(request, torch)

    def _answer(self, request: Generate, torch_: Any) -> Text:
        if self._crash_on and self._crash_on in request.prompt:
            import ctypes  # noqa: PLC0415 - reads address 0, which no process may

            ctypes.string_at(0)
        if self._hang_on and self._hang_on in request.prompt:
            import threading  # noqa: PLC0415 - waits for what never comes

            threading.Event().wait()
        given = self.tokenizer(request.prompt, return_tensors="pt", return_token_type_ids=False).to(self._placement.device)
        with torch_.inference_mode():
            made: torch.Tensor = self.model.generate(**given, max_new_tokens=request.max_new_tokens, do_sample=False)
        written = made[0, given["input_ids"].shape[1] :]
        ended = bool(len(written)) and int(written[-1]) == self.tokenizer.eos_token_id
        text = self.tokenizer.decode(written, skip_special_tokens=True)
        usage = {"prompt_tokens": int(given["input_ids"].shape[1]), "completion_tokens": len(written)}
        return Text(text=text, finish_reason="stop" if ended else "length", usage=usage)


@hookimpl
def medbench_cards() -> tuple[AnyCard, ...]:
    """Return the card of the trial model: hand this module to `load_registry`."""
    return (CARD,)
