"""What all generative models here share: options, sources of weights, one loading that states its facts, answers of windows."""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec

from medbench.errors import UsageError
from medbench.types import Failed, Generate, Struct, Text
from medbench_llava.presets import Tiny, build_tiny, check_preset
from medbench_llava.templates import template_named

if TYPE_CHECKING:
    from medbench_torch.devices import Placement
    from medbench_torch.generation import Generator

PROBE = "Are the lungs clear? Describe the heart, the lungs and the pleura."
"""Text on which the logits with and without an adapter are compared."""


class Sources(Struct):
    """Where the parts of a model lie, all of them found."""

    weights: Path
    adapter: Path | None = None
    tower: str = ""
    """Which vision tower the weights have, in words, where releases differ; empty: the class says it."""


class StatingSpeaker(Protocol):
    """A `medbench_torch.generation.Speaker` that says for the record how it puts requests."""

    model: Any

    def facts(self) -> dict[str, Any]:
        """Return template, pixels, image tokens."""
        ...


class VisionLanguageModel(ABC):
    """A model that writes text for a prompt and images.

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
        template: Name of a prompt template, or a text with `{images}` and `{prompt}`; empty: the family's own.
        aspect: How a picture becomes square: `pad`, `crop`, `squash`; empty: the family's own.
        quantize: `4bit` or `8bit`: bitsandbytes, on CUDA; empty: not.
        preset: `tiny`: random weights of the true class, made on the spot; marked untrained.
        batch_size: Requests that go through the model together; 0: 8 for a large model on a CPU, 32 on an accelerator, 64 for a small one.
        workers: Threads that decode pictures; 0: one for each core, at most 8.
        trust_pickle: Read pickled weights, which can run code of their maker.
    """

    NAME: ClassVar[str]
    WEIGHTS: ClassVar[str] = ""
    """Hub id of the published weights."""
    TINY: ClassVar[Tiny] = Tiny()
    REFUSED: ClassVar[Mapping[str, str]] = {}
    """Options that this model does not take, and what does."""
    TEMPLATE: ClassVar[str] = ""
    ASPECT: ClassVar[str] = ""

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
        for option, value in (("adapter", adapter), ("vision_tower", vision_tower), ("aspect", aspect), ("preset", preset)):
            if value and option in self.REFUSED:
                raise UsageError(f"{option}={value}: {self.NAME} takes none", hint=self.REFUSED[option])
        check_preset(preset)
        if aspect:
            _check_aspect(aspect)
        self.weights, self.adapter, self.vision_tower, self.revision = weights, adapter, vision_tower, revision
        self.dtype, self.device, self.attn = dtype, device, attn
        self.merge, self.quantize, self.trust_pickle = merge, quantize, trust_pickle
        self.max_new_tokens = max_new_tokens
        self.template = template or self.TEMPLATE
        self.prompt = template_named(self.template) if self.template else ""
        self.aspect = aspect or self.ASPECT
        self.preset = preset
        self.batch_size = batch_size
        self.workers = workers

    def facts(self) -> dict[str, Any]:
        """Return what is known only after loading: digests, adapter, template, backend, numbers, versions."""
        return self._loaded[1]

    def generate(self, requests: Sequence[Generate]) -> Iterator[tuple[int, Text | Failed]]:
        """Yield (index, answer) for each request of a window, in any order."""
        if self.max_new_tokens:
            requests = [msgspec.structs.replace(request, max_new_tokens=self.max_new_tokens) for request in requests]
        return self._loaded[0](requests)

    @property
    def speaker(self) -> Any:
        """The loaded model with its tokenizer, pixels and prompts."""
        return self._loaded[0].speaker

    @abstractmethod
    def assemble(self, sources: Sources, placement: Placement) -> tuple[StatingSpeaker, dict[str, Any] | None]:
        """Return the model of these sources, ready to speak, and what is to be told of its adapter."""

    def sources(self) -> Sources:
        """Return where weights and adapter lie.

        Raises:
            WeightsError: one of them is not there.
        """
        from medbench_torch.weights import find_weights

        weights = find_weights(self.weights or self.WEIGHTS, revision=self.revision, trust_pickle=self.trust_pickle)
        adapter = adapter_folder(self.adapter, trust_pickle=self.trust_pickle)
        if (weights / "base" / "config.json").is_file():
            adapter = adapter or (weights / "adapter" if (weights / "adapter").is_dir() else None)
            weights = weights / "base"
        return Sources(weights=weights, adapter=adapter)

    def load(self, cls: Any, sources: Sources, placement: Placement) -> tuple[Any, Any, dict[str, Any] | None]:
        """Return model and tokenizer, the adapter applied and proved, and what is to be told of it.

        Args:
            cls: Class of transformers.
            sources: Where the parts lie.
            placement: Where it runs.
        """
        from medbench_torch import loading
        from medbench_torch.adapters import apply_adapter, read_adapter
        from medbench_torch.tokenizing import load_tokenizer

        from medbench_llava.quantized import quantisation

        quantised = quantisation(self.quantize, placement)
        model: Any = loading.load_model(cls, sources.weights, placement, trust_pickle=self.trust_pickle, **quantised)
        tokenizer = load_tokenizer(sources.weights)
        if sources.adapter is None:
            return model, tokenizer, None
        adapter = read_adapter(sources.adapter, trust_pickle=self.trust_pickle)
        ids = tokenizer(PROBE, return_tensors="pt").to(placement.device)
        model, adapted = apply_adapter(model, adapter, probe=lambda asked: asked(**ids).logits, merge=self.merge)
        return model, tokenizer, adapted

    @cached_property
    def _loaded(self) -> tuple[Generator, dict[str, Any]]:
        from medbench_torch import loading
        from medbench_torch.devices import place
        from medbench_torch.generation import Generator, fitting_batch

        placement = place(self.device, self.dtype, self.attn)
        untrained = bool(self.preset) and not self.weights
        with self._sources() as sources:
            speaker, adapted = self.assemble(sources, placement)
            stated = {"quantize": self.quantize, "untrained": untrained, **speaker.facts()}
            if sources.tower:
                stated["vision_tower"] = sources.tower
            facts = loading.facts(
                speaker.model, placement, weights="" if untrained else sources.weights, adapter=adapted, template=self.template, **stated
            )
        return Generator(speaker, batch_size=self.batch_size or fitting_batch(speaker.model), workers=self.workers), facts

    @contextlib.contextmanager
    def _sources(self) -> Iterator[Sources]:
        """Find the parts, or make those of the preset for as long as loading takes."""
        if not self.preset or self.weights:
            yield self.sources()
            return
        with tempfile.TemporaryDirectory(prefix="medbench-tiny-") as folder:
            base, adapter = build_tiny(Path(folder), self.TINY)
            yield Sources(weights=base, adapter=adapter_folder(self.adapter, trust_pickle=self.trust_pickle) or adapter)


def adapter_folder(name: str, *, trust_pickle: bool = False) -> Path | None:
    """Return an adapter's folder; of a folder that `medbench fit` wrote, the one in it."""
    from medbench_torch.weights import find_weights

    if not name:
        return None
    folder = find_weights(name, trust_pickle=trust_pickle)
    return folder / "adapter" if (folder / "adapter" / "adapter_config.json").is_file() else folder


def _check_aspect(name: str) -> None:
    from medbench_torch.images import ASPECTS

    if name not in ASPECTS:
        raise UsageError(f"aspect={name}: not known", hint=f"one of {', '.join(ASPECTS)}")
