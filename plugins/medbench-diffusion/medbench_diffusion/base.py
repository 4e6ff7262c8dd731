"""What all models here share: options, one loading that states its facts, pictures of windows."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from medbench.errors import UsageError
from medbench.types import Failed, Picture, Struct, Synthesize
from medbench_diffusion.schedulers import check_scheduler, put_scheduler

if TYPE_CHECKING:
    from medbench_torch.devices import Placement

    from medbench_diffusion.sampling import Sampler

PRESETS = ("tiny",)
CARD = "card.json"
PROBE = "a polyp in the colon"
"""What is drawn, in two steps, with and without an adapter."""
PROBE_GRID = 8
"""Steps of the latent grid along a side of the probe."""
LARGE = 50_000_000
"""Parameters from which a model is large for a CPU."""


class Sources(Struct):
    """Where the parts of a model lie, all of them found."""

    weights: Path
    prior: Path | None = None
    adapter: str = ""


class Drawing(Struct):
    """How pictures are drawn when nothing else is said; None: as the pipeline has it."""

    steps: int | None = None
    guidance: float | None = None
    size: int | None = None
    more: dict[str, Any] = {}
    """Further arguments of the pipeline's call."""


def drawing_of(folder: Path) -> Drawing | None:
    """Return how the pictures of a small model that `medbench fit` made are drawn, as the card beside it says; None: it does not."""
    file = folder / CARD
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Card).base.drawing if file.is_file() else None
    except msgspec.DecodeError:
        return None  # a card of somebody else's


class _Base(msgspec.Struct, frozen=True):
    drawing: Drawing | None = None


class _Card(msgspec.Struct, frozen=True):
    base: _Base = _Base()


class TextToImage:
    """A model that draws a picture for a prompt.

    Args:
        weights: Folder or hub id of a pipeline; a folder that `medbench fit` wrote brings its base and its adapter.
        adapter: LoRA adapter: a file or folder of diffusers, or PEFT's directories.
        lora_scale: Factor on the adapter.
        steps: Denoising steps; 0: the family's own.
        guidance: Guidance scale; 1 and below: none; left out: the family's own.
        scheduler: `ddim`, `ddpm`, `dpm++`, `dpm++-karras`, `dpm++-sde`, `euler`, `euler-a`, `heun`, `lcm`, `pndm` or `unipc`; empty:
            the weights' own.
        size: Pixels along a side; 0: what the task asks for, else the weights' own.
        negative: What is not to be drawn, for guidance.
        dtype: `auto` (bf16 on an accelerator that has it, else fp32), `float32`, `bfloat16`, `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        batch: Pictures drawn together; 0: 1 for a large model on a CPU, 8 on an accelerator, 32 for a small one.
        batch_size: The same, as `--batch-size` sets it.
        compile: Compile the networks with torch.compile: slow at first, faster then, and not the same bits.
        revision: Branch, tag or commit of a hub repository.
        preset: `tiny`: random weights of the true class, made on the spot; marked untrained.
        trust_pickle: Read pickled weights, which can run code of their maker.
    """

    NAME: ClassVar[str]
    WEIGHTS: ClassVar[str] = ""
    """Hub id of the published weights."""
    PIPELINES: ClassVar[tuple[str, ...]] = ()
    """Classes of diffusers that this model is; empty: any."""
    ADAPTED: ClassVar[bool] = False
    """Whether it is nothing without an adapter."""
    OWN: ClassVar[Drawing] = Drawing()
    TINY: ClassVar[Drawing] = Drawing(steps=12, guidance=2.0)

    def __init__(
        self,
        *,
        weights: str = "",
        adapter: str = "",
        lora_scale: float = 1.0,
        steps: int = 0,
        guidance: float | None = None,
        scheduler: str = "",
        size: int = 0,
        negative: str = "",
        dtype: str = "auto",
        device: str = "auto",
        batch: int = 0,
        batch_size: int = 0,
        compile: bool = False,  # noqa: A002 - the option's name
        revision: str = "",
        preset: str = "",
        trust_pickle: bool = False,
    ) -> None:
        if preset and preset not in PRESETS:
            raise UsageError(f"preset={preset}: not known", hint=f"one of {', '.join(PRESETS)}, or weights=FOLDER")
        for name, value in (("steps", steps), ("size", size), ("batch", batch), ("batch_size", batch_size)):
            if value < 0:
                raise UsageError(f"{name}={value}: below 0", hint=f"leave {name} out for its default")
        for name, number in (("lora_scale", lora_scale), ("guidance", guidance)):
            if number is not None and not math.isfinite(number):
                raise UsageError(f"{name}={number}: not a number that can be multiplied with", hint=f"leave {name} out for its default")
        check_scheduler(scheduler)
        self.weights, self.adapter, self.lora_scale, self.revision = weights, adapter, lora_scale, revision
        self.preset, self.trust_pickle = preset, trust_pickle
        self.steps, self.guidance, self.scheduler, self.size, self.negative = steps, guidance, scheduler, size, negative
        self.dtype, self.device, self.batch, self.compile = dtype, device, batch or batch_size, compile

    def facts(self) -> dict[str, Any]:
        """Return what is known only after loading: digests, adapter, sampler, steps, guidance, size, versions."""
        return self._loaded[1]

    def synthesize(self, requests: Sequence[Synthesize]) -> Iterator[tuple[int, Picture | Failed]]:
        """Yield (index, picture) for each request of a window, batch by batch."""
        return self._loaded[0](requests)

    @property
    def pipe(self) -> Any:
        """The loaded pipeline, its adapter merged."""
        return self._loaded[2]

    def options_of_call(self) -> dict[str, Any]:
        """Return further arguments of the pipeline's call."""
        return {}

    def build_tiny(self, folder: Path) -> Sources:  # noqa: ARG002 - the tunable ones write there
        """Write a tiny model of the true class with random weights.

        Raises:
            UsageError: this model has none.
        """
        raise UsageError(f"preset={self.preset}: {self.NAME} has none", hint="sd-colonoscopy and kandinsky-colonoscopy have one")

    def sources(self) -> Sources:
        """Return where weights and adapter lie.

        Raises:
            UsageError: a model that is nothing without an adapter has none.
            WeightsError: one of them is not there.
        """
        from medbench_torch.weights import find_weights

        from medbench_diffusion.pipelines import fetch

        name = self.weights or self.WEIGHTS
        if not name:
            raise UsageError(f"{self.NAME} needs weights", hint="--model-option weights=FOLDER, or a hub id (owner/name)")
        folder = fetch(name, self.revision, trust_pickle=self.trust_pickle)
        adapter = self.adapter
        if not adapter and self.weights and (Path(name).expanduser() / "adapter").is_dir():
            adapter = str(Path(name).expanduser() / "adapter")
        if self.ADAPTED and not adapter:
            raise UsageError(
                f"{self.NAME} needs an adapter", hint="--model-option adapter=FOLDER (medbench fit writes one); without one: diffusion"
            )
        return Sources(weights=folder, prior=self.prior_of(folder), adapter=str(find_weights(adapter)) if adapter else "")

    def prior_of(self, folder: Path) -> Path | None:  # noqa: ARG002 - Kandinsky's looks
        """Return the folder of a second pipeline that comes before this one; None: it is whole."""
        return None

    @cached_property
    def _loaded(self) -> tuple[Sampler, dict[str, Any], Any]:
        from medbench_torch.devices import place

        import medbench_diffusion.diffusers_alone  # noqa: F401 - before anything of diffusers

        placement = place(self.device, self.dtype)
        untrained = bool(self.preset) and not self.weights
        with self._found() as sources:
            return self._load(sources, placement, untrained=untrained)

    def load_pipe(self, sources: Sources, placement: Placement) -> Any:
        """Return the pipeline of these sources, of a class that this model is.

        Raises:
            WeightsError: it is another one, or not whole.
        """
        from medbench_torch.weights import WeightsError

        from medbench_diffusion.pipelines import class_of, draws_from_text, load_pipeline

        draws_from_text(sources.weights)
        named = class_of(sources.weights)
        if self.PIPELINES and named not in self.PIPELINES:
            raise WeightsError(f"{sources.weights}: a {named}, not a {self.PIPELINES[0]}", hint="diffusion draws with any pipeline")
        return load_pipeline(sources.weights, placement, prior=sources.prior, trust_pickle=self.trust_pickle)

    def _load(self, sources: Sources, placement: Placement, *, untrained: bool) -> tuple[Sampler, dict[str, Any], Any]:
        import diffusers
        import torch
        from medbench_torch import loading

        from medbench_diffusion.drawing import Drawer
        from medbench_diffusion.lora import read_lora
        from medbench_diffusion.merging import merge
        from medbench_diffusion.pipelines import grain, parts_of
        from medbench_diffusion.sampling import Sampler, generator

        pipe = self.load_pipe(sources, placement)
        sampler = put_scheduler(pipe, self.scheduler)
        own = self.TINY if untrained else drawing_of(sources.weights) or self.OWN
        drawer = Drawer(
            pipe,
            steps=self.steps or own.steps,
            guidance=own.guidance if self.guidance is None else self.guidance,
            size=self.size or own.size,
            negative=self.negative,
            more={**own.more, **self.options_of_call()},
        )
        adapted = None
        if sources.adapter:

            def probe() -> torch.Tensor:
                side = -(-PROBE_GRID * grain(pipe) // drawer.multiple) * drawer.multiple
                with torch.inference_mode():
                    return torch.from_numpy(drawer.short()([PROBE], [generator(0)], side, side))

            adapted = merge(pipe, read_lora(sources.adapter), self.lora_scale, probe)
        parts = torch.nn.ModuleDict(parts_of(pipe))
        n_parameters = sum(p.numel() for p in parts.parameters())
        if self.compile:
            drawer.compile()
        facts = loading.facts(
            parts,
            placement,
            weights="" if untrained else sources.weights,
            adapter=adapted,
            pipeline=type(pipe).__name__,
            scheduler=sampler,
            safety_checker=False,
            compiled=self.compile,
            negative=self.negative,
            attention="sdpa",
            **drawer.facts(),
        )
        facts["versions"]["diffusers"] = diffusers.__version__
        said = {"model": self.NAME, "scheduler": sampler, **drawer.facts()}
        batch = self.batch or (8 if placement.device.type != "cpu" else 1) if n_parameters >= LARGE else self.batch or 32
        return Sampler(drawer, size=drawer.size, multiple=drawer.multiple, batch=batch, said=said), facts, pipe

    @contextlib.contextmanager
    def _found(self) -> Iterator[Sources]:
        """Find the parts, or make those of the preset for as long as loading takes."""
        if not self.preset or self.weights:
            yield self.sources()
            return
        with tempfile.TemporaryDirectory(prefix="medbench-tiny-") as folder:
            made = self.build_tiny(Path(folder))
            yield Sources(weights=made.weights, prior=made.prior, adapter=self.adapter or made.adapter)
