"""LLaVA-1.5: the published model, and the same with a LoRA adapter that is checked before it is believed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from medbench_torch import loading
from medbench_torch.adapters import apply_adapter, read_adapter
from medbench_torch.devices import Placement, place
from medbench_torch.generation import Generator, fitting_batch
from medbench_torch.images import ASPECTS, Pixels, pil_processor
from medbench_torch.tokenizing import load_tokenizer
from medbench_torch.weights import find_weights

from medbench.errors import UsageError
from medbench.interfaces import Example
from medbench.types import Failed, Generate, Struct, Text
from medbench_llava.presets import Tiny, build_tiny, check_preset
from medbench_llava.quantized import quantisation
from medbench_llava.speaker import LlavaSpeaker
from medbench_llava.templates import template_named

PROBE = "Are the lungs clear? Describe the heart, the lungs and the pleura."
"""Text on which the logits with and without an adapter are compared."""


class Sources(Struct):
    """Where the parts of a model lie, all of them found."""

    weights: Path
    adapter: Path | None = None
    tower: str = ""
    """Which vision tower the weights have, in words, where releases differ."""


class Llava:
    """LLaVA-1.5 (or any `LlavaForConditionalGeneration`) as it is published.

    Args:
        weights: Folder or hub id; a folder that `medbench fit` wrote brings its base and its adapter.
        adapter: Folder of a LoRA adapter.
        vision_tower: Where releases differ: which tower to use.
        revision: Branch, tag or commit of a hub repository.
        dtype: `auto` (bf16 on an accelerator that has it, else fp32), `float32`, `bfloat16`, `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        attn: `auto` (sdpa), `sdpa`, `eager`, `flash_attention_2`.
        merge: Add the adapter to the weights: faster; not on a quantised base.
        max_new_tokens: Longest answer, whatever the task asks for; 0: what the task asks for.
        template: Name of a prompt template, or a text with `{images}` and `{prompt}`.
        aspect: How a picture becomes square: `pad`, `crop`, `squash`.
        quantize: `4bit` or `8bit`: bitsandbytes, on CUDA; empty: not.
        preset: `tiny`: random weights of the true class, made on the spot; marked untrained.
        batch_size: Requests that go through the model together; 0: 8 on a CPU, 32 for a small model or on an accelerator.
        workers: Threads that decode pictures; 0: one for each core, at most 8.
        trust_pickle: Read pickled weights, which can run code of their maker.
    """

    WEIGHTS: ClassVar[str] = "llava-hf/llava-1.5-7b-hf"
    TEMPLATE: ClassVar[str] = "llava-v1"
    ASPECT: ClassVar[str] = "pad"
    TINY: ClassVar[Tiny] = Tiny()
    REFUSED: ClassVar[Mapping[str, str]] = {
        "adapter": "llava-lora takes one",
        "vision_tower": "it has one tower in all its releases; llava-med and llava-rad take this option",
    }
    """Options that this model does not take, and what does."""

    def __init__(
        self,
        *,
        weights: str = "",
        adapter: str = "",
        vision_tower: str = "",
        revision: str = "",
        dtype: str = "auto",
        device: str = "auto",
        attn: str = "auto",
        merge: bool = True,
        max_new_tokens: int = 0,
        template: str = "",
        aspect: str = "",
        quantize: str = "",
        preset: str = "",
        batch_size: int = 0,
        workers: int = 0,
        trust_pickle: bool = False,
    ) -> None:
        for option, value in (("adapter", adapter), ("vision_tower", vision_tower)):
            if value and option in self.REFUSED:
                raise UsageError(f"{option}={value}: this model takes none", hint=self.REFUSED[option])
        check_preset(preset)
        self.weights, self.adapter, self.vision_tower, self.revision = weights, adapter, vision_tower, revision
        self.dtype, self.device, self.attn = dtype, device, attn
        self.merge, self.quantize, self.trust_pickle = merge, quantize, trust_pickle
        self.max_new_tokens = max_new_tokens
        self.template = template or self.TEMPLATE
        self.aspect = aspect or self.ASPECT
        if self.aspect not in ASPECTS:
            raise UsageError(f"aspect={aspect}: not known", hint=f"one of {', '.join(ASPECTS)}")
        self.preset = preset
        self.batch_size = batch_size
        self.workers = workers
        self._prompt = template_named(self.template)

    def facts(self) -> dict[str, Any]:
        """Return what is known only after loading: digests, adapter, template, backend, numbers, versions."""
        return self._loaded[1]

    def generate(self, requests: Sequence[Generate]) -> Iterator[tuple[int, Text | Failed]]:
        """Yield (index, answer) for each request of a window, in any order."""
        if self.max_new_tokens:
            requests = [msgspec.structs.replace(request, max_new_tokens=self.max_new_tokens) for request in requests]
        return self._loaded[0](requests)

    @property
    def speaker(self) -> LlavaSpeaker:
        """The loaded model with its tokenizer, pixels and prompts."""
        speaker: LlavaSpeaker = self._loaded[0].speaker
        return speaker

    @cached_property
    def _loaded(self) -> tuple[Generator, dict[str, Any]]:
        placement = place(self.device, self.dtype, self.attn)
        with self._sources() as sources:
            speaker, adapted = self.assemble(sources, placement)
            facts = loading.facts(
                speaker.model,
                placement,
                weights="" if self._is_untrained else sources.weights,
                adapter=adapted,
                template=self.template,
                prompt_template=speaker.template,
                image_tokens=speaker.n_image_tokens,
                vision_tower=sources.tower or type(speaker.model.model.vision_tower).__name__,
                quantize=self.quantize,
                untrained=self._is_untrained,
                **speaker.pixels.facts(),
            )
        return Generator(speaker, batch_size=self.batch_size or fitting_batch(speaker.model), workers=self.workers), facts

    def assemble(self, sources: Sources, placement: Placement) -> tuple[LlavaSpeaker, dict[str, Any] | None]:
        """Return the model of these sources, ready to speak, and what is to be told of its adapter."""
        from transformers import LlavaForConditionalGeneration  # noqa: PLC0415 - takes seconds

        quantised = quantisation(self.quantize, placement)
        model: Any = loading.load_model(
            LlavaForConditionalGeneration, sources.weights, placement, trust_pickle=self.trust_pickle, **quantised
        )
        tokenizer = load_tokenizer(sources.weights)
        adapted = None
        if sources.adapter:
            adapter = read_adapter(sources.adapter, trust_pickle=self.trust_pickle)
            ids = tokenizer(PROBE, return_tensors="pt").to(placement.device)
            model, adapted = apply_adapter(model, adapter, probe=lambda asked: asked(**ids).logits, merge=self.merge)
        return LlavaSpeaker(model, tokenizer, Pixels(pil_processor(sources.weights), self.aspect), self._prompt), adapted

    @property
    def _is_untrained(self) -> bool:
        return bool(self.preset) and not self.weights and not self.adapter

    @contextlib.contextmanager
    def _sources(self) -> Iterator[Sources]:
        """Find the parts, or make those of the preset for as long as loading takes."""
        if self.preset and not self.weights:
            with tempfile.TemporaryDirectory(prefix="medbench-tiny-") as folder:
                base, adapter = build_tiny(Path(folder), self.TINY)
                yield Sources(weights=base, adapter=_adapter_of(self.adapter) or adapter)
            return
        yield self.sources()

    def sources(self) -> Sources:
        """Return where weights and adapter lie.

        Raises:
            WeightsError: one of them is not there.
        """
        weights = find_weights(self.weights or self.WEIGHTS, revision=self.revision, trust_pickle=self.trust_pickle)
        adapter = _adapter_of(self.adapter)
        if (weights / "base" / "config.json").is_file():
            adapter = adapter or (weights / "adapter" if (weights / "adapter").is_dir() else None)
            weights = weights / "base"
        return Sources(weights=weights, adapter=adapter)


class LlavaLora(Llava):
    """LLaVA-1.5 with a LoRA adapter: base, projector and adapter are those of one training, or it does not run."""

    TINY: ClassVar[Tiny] = Tiny(adapter=True)
    REFUSED: ClassVar[Mapping[str, str]] = {"vision_tower": Llava.REFUSED["vision_tower"]}

    def sources(self) -> Sources:
        """Return where weights and adapter lie.

        Raises:
            UsageError: no adapter is named, and the weights bring none.
            WeightsError: one of them is not there.
        """
        found = super().sources()
        if found.adapter is None:
            raise UsageError("llava-lora needs an adapter", hint="--model-option adapter=FOLDER (medbench fit writes one); without: llava")
        return found

    def fit(self, examples: Iterable[Example], validation: Iterable[Example], out: Path, seed: int, events: Any) -> Mapping[str, Any]:
        """Fine-tune on examples and leave an adapter (and a base, where one was made) in `out`; see `medbench_llava.fitting`."""
        from medbench_llava.fitting import fit  # noqa: PLC0415 - evaluation does without the training loop

        return fit(self, examples, validation, out, seed, events)


def _adapter_of(name: str) -> Path | None:
    """Return an adapter's folder; of a folder that `medbench fit` wrote, the one in it."""
    if not name:
        return None
    folder = find_weights(name)
    return folder / "adapter" if (folder / "adapter" / "adapter_config.json").is_file() else folder
