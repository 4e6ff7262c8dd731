"""The models `pefomed` and `minigpt-v2`: options, where their parts lie, answers of windows of requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from medbench.errors import UsageError
from medbench.interfaces import Example, FitEvents
from medbench.types import Failed, Generate, Text
from medbench_pefomed.recipe import Recipe
from medbench_pefomed.wording import Wording, answer_of

if TYPE_CHECKING:
    from medbench_torch.generation import Generator

PRESETS = ("tiny",)


class MiniGptV2:
    """MiniGPT-v2: an EVA tower and a language model with LoRA, here as its own stage-3 checkpoint has them.

    The options from `r` to `base_lr` are those of `medbench fit` (`medbench_pefomed.recipe.Recipe`).

    Args:
        weights: Folder that `medbench convert` or `medbench fit` wrote, or a released checkpoint (`.pth`).
        adapter: What was fine-tuned, where `weights` does not have it: its folder, or a released checkpoint.
        vision: `eva_vit_g.pth`, where `weights` has no tower.
        language_model: Folder or hub id, where `weights` has none, or another than that; empty: Llama-2-7b-chat.
        revision: Branch, tag or commit of the language model's hub repository.
        dtype: `auto` (bf16 on an accelerator that has it, else fp32), `float32`, `bfloat16`, `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        attn: `auto` (sdpa), `sdpa`, `eager`, `flash_attention_2`.
        merge: Add LoRA to the weights: faster.
        instruction: What asks for a report: `published` (the first of the released code's instructions) or `task` (the task's words).
        max_new_tokens: Longest answer, whatever the task asks for (the released code: 300); 0: what the task asks for.
        preset: `tiny`: random weights of the true classes, made on the spot; marked untrained.
        batch_size: Requests that go through the model together; 0: 8 for a large model on a CPU, 32 on an accelerator, 64 for a small one.
        workers: Threads that decode pictures; 0: one for each core, at most 8.
        trust_pickle: Read pickled weights, which can run code of their maker.
    """

    NAME: ClassVar[str] = "minigpt-v2"
    PROCESSED: ClassVar[bool] = False
    """Questions go through PeFoMed's text processor."""

    def __init__(
        self,
        *,
        weights: str = "",
        adapter: str = "",
        vision: str = "",
        language_model: str = "",
        revision: str = "",
        dtype: str = "auto",
        device: str = "auto",
        attn: str = "auto",
        merge: bool = True,
        instruction: Literal["published", "task"] = "published",
        max_new_tokens: int = 0,
        preset: str = "",
        batch_size: int = 0,
        workers: int = 0,
        trust_pickle: bool = False,
        r: int | None = None,
        alpha: float | None = None,
        dropout: float | None = None,
        lr: float | None = None,
        min_lr: float | None = None,
        steps: int | None = None,
        caption_steps: int | None = None,
        accumulate: int | None = None,
        warmup: int | None = None,
        weight_decay: float | None = None,
        augment: str | None = None,
        checkpointing: bool | None = None,
        save_every: int | None = None,
        base_steps: int | None = None,
        base_lr: float | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in Recipe.__struct_fields__}
        if preset and preset not in PRESETS:
            raise UsageError(f"preset={preset}: not known", hint=f"one of {', '.join(PRESETS)}, or weights=FOLDER")
        if instruction not in {"published", "task"}:
            raise UsageError(f"instruction={instruction}: not known", hint="published, or task")
        self.weights, self.adapter, self.vision, self.language_model = weights, adapter, vision, language_model
        self.revision, self.preset, self.trust_pickle = revision, preset, trust_pickle
        self.dtype, self.device, self.attn, self.merge = dtype, device, attn, merge
        self.max_new_tokens, self.batch_size, self.workers = max_new_tokens, batch_size, workers
        self.wording = Wording(processed=self.PROCESSED, instruction=instruction)
        self.recipe = Recipe.of(given)

    def facts(self) -> dict[str, Any]:
        """Return what is known only after loading: digests, LoRA, prompts, backend, numbers, versions.

        Raises:
            UsageError: an option of fitting was given to a run, where it would do nothing.
        """
        # a released checkpoint does not tell its rank and alpha
        if said := [name for name in self.recipe.given if name not in {"r", "alpha"}]:
            raise UsageError(f"{', '.join(said)}: of medbench fit, not of a run", hint="leave them out; card.json says how it was fitted")
        return self._loaded[1]

    def generate(self, requests: Sequence[Generate]) -> Iterator[tuple[int, Text | Failed]]:
        """Yield (index, answer) for each request of a window, in any order."""
        if self.max_new_tokens:
            requests = [msgspec.structs.replace(request, max_new_tokens=self.max_new_tokens) for request in requests]
        for index, answer in self._loaded[0](requests):
            yield index, msgspec.structs.replace(answer, text=answer_of(answer.text)) if isinstance(answer, Text) else answer

    def fit(
        self, examples: Iterable[Example], validation: Iterable[Example], out: Path, seed: int, events: FitEvents | None
    ) -> Mapping[str, Any]:
        """Fine-tune on examples and leave an adapter (and a base, where one was made) in `out`; see `medbench_pefomed.fitting`."""
        from medbench_pefomed.fitting import fit

        return fit(self, examples, validation, out, seed, events)

    @property
    def speaker(self) -> Any:
        """The loaded network with its tokenizer and wording."""
        return self._loaded[0].speaker

    @cached_property
    def _loaded(self) -> tuple[Generator, dict[str, Any]]:
        from medbench_pefomed.loading import load

        return load(self)


class Pefomed(MiniGptV2):
    """PeFoMed: MiniGPT-v2 fine-tuned on medical captions, then on questions or reports. For the options see `MiniGptV2`.

    The released evaluation draws crops, mirrors and the instruction at random; this one squashes each picture and has the first
    instruction, so that the same request has the same answer.
    """

    NAME: ClassVar[str] = "pefomed"
    PROCESSED: ClassVar[bool] = True
