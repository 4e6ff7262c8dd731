"""`mae-cls` and `mae-llm`: a ViT-MAE encoder with attention pooling and a head for labels, fitted alone or through a language model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from medbench.errors import UsageError
from medbench.interfaces import Example, FitEvents
from medbench.types import Classify, Embed, Failed, Probabilities, Vector
from medbench_mae.recipe import ALIGN, LABEL, RECONSTRUCT, Recipe

if TYPE_CHECKING:
    from medbench_mae.encoder import MaeEncoder

PRESETS = ("tiny",)
ASPECTS = ("pad", "crop", "squash")


class MaeModel:
    """What both models share; the options from `stages` on are those of `medbench fit` (`medbench_mae.recipe.Recipe`).

    Args:
        weights: Folder that `medbench fit` wrote. For a fit: what it begins from, such a folder or a ViT-MAE (folder or hub id).
        revision: Branch, tag or commit of a hub repository.
        preset: `tiny`: small sizes and short stages, for twins; without weights it is untrained, and says so.
        dtype: `auto` (bf16 on an accelerator that has it, else fp32), `float32`, `bfloat16`, `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        attn: `auto` (sdpa), `sdpa`, `eager`, `flash_attention_2`.
        aspect: How a picture becomes square: `pad`, `crop`, `squash`; empty: as it was fitted, `pad` where nothing was.
        batch_size: Requests that go through the network together; 0: 32. It is the batch of every stage of a fit.
        workers: Threads that decode pictures; 0: one for each core, at most 8.
        trust_pickle: Read pickled weights, which can run code of their maker.
        norm_eps: ε of the encoder's layer norms, for a fit; 0: as the weights' config says.

    Raises:
        UsageError: an option is not known, or out of its range.
    """

    NAME: ClassVar[str]
    STAGES: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        *,
        weights: str = "",
        revision: str = "",
        preset: str = "",
        dtype: str = "auto",
        device: str = "auto",
        attn: str = "auto",
        aspect: str = "",
        batch_size: int = 0,
        workers: int = 0,
        trust_pickle: bool = False,
        norm_eps: float = 0.0,
    ) -> None:
        if preset and preset not in PRESETS:
            raise UsageError(f"preset={preset}: not known", hint=f"one of {', '.join(PRESETS)}, or weights=FOLDER")
        if aspect and aspect not in ASPECTS:
            raise UsageError(f"aspect={aspect}: not known", hint=f"one of {', '.join(ASPECTS)}")
        self.weights, self.revision, self.preset = weights, revision, preset
        self.dtype, self.device, self.attn = dtype, device, attn
        self.aspect, self.norm_eps = aspect, norm_eps
        self.batch_size, self.workers, self.trust_pickle = batch_size, workers, trust_pickle
        self.recipe = Recipe()

    def facts(self) -> dict[str, Any]:
        """Return what is known only after loading: digest, labels, how it was fitted, numbers, versions.

        Raises:
            UsageError: an option of fitting was given to a run, where it would do nothing; or there are no weights.
        """
        return self._loaded[1]

    def embed(self, requests: Sequence[Embed]) -> Iterator[tuple[int, Vector | Failed]]:
        """Yield (index, raw pooled vector) for each request of a window, in any order; only pictures are embedded."""
        from medbench_torch.embedding import embed_window

        pictured = [number for number, request in enumerate(requests) if request.images]
        for number, request in enumerate(requests):
            if not request.images:
                yield (
                    number,
                    Failed(kind="input", error=f"{self.NAME} embeds images, not texts{'' if request.text else ', and there is none'}"),
                )
        made = embed_window(self._loaded[0], [requests[number] for number in pictured], self.batch_size or 32, self.workers)
        for place, vector in made:
            yield pictured[place], vector

    def classify(self, requests: Sequence[Classify]) -> Iterator[tuple[int, Probabilities | Failed]]:
        """Yield (index, probabilities) for each request of a window: of the labels it names that the head knows, or of all.

        Raises:
            UsageError: the weights have no head.
        """
        encoder = self._loaded[0]
        if self.weights and not encoder.about.labels:
            raise UsageError(f"weights={self.weights}: its head was never trained", hint=f"medbench fit {self.NAME} with the stage {LABEL}")
        for number, vector in self.embed([Embed(images=request.images) for request in requests]):
            labels = requests[number].labels
            yield number, vector if isinstance(vector, Failed) else encoder.probabilities(vector, labels)

    def fit(
        self, examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int, events: FitEvents | None
    ) -> Mapping[str, Any]:
        """Go through the stages and leave encoder, pooling and head in `out`; see `medbench_mae.fitting`."""
        from medbench_mae.fitting import fit

        return fit(self, examples, validation, out, seed, events)

    def given_to_fit(self) -> list[str]:
        """Return the options given that change a fit, and would do nothing in a run."""
        return [*self.recipe.given, *(["norm_eps"] if self.norm_eps else [])]

    @cached_property
    def _loaded(self) -> tuple[MaeEncoder, dict[str, Any]]:
        from medbench_torch import loading
        from medbench_torch.devices import place
        from medbench_torch.weights import find_weights

        from medbench_mae.encoder import read_encoder
        from medbench_mae.presets import untrained

        if given := self.given_to_fit():
            raise UsageError(f"{', '.join(given)}: of medbench fit, not of a run", hint="leave them out; model.json says how it was fitted")
        placement = place(self.device, self.dtype, self.attn)
        if self.weights:
            folder = find_weights(self.weights, revision=self.revision, trust_pickle=self.trust_pickle)
            encoder = read_encoder(folder, placement, self.aspect)
        elif self.preset:
            folder, encoder = None, untrained(self.NAME, placement, self.aspect or ASPECTS[0])
        else:
            hint = f"medbench fit {self.NAME} --task mimic-cls14 … --out OUT, then weights=OUT; or preset=tiny"
            raise UsageError(f"{self.NAME} has no published weights", hint=hint)
        facts = loading.facts(
            encoder.vit,
            placement,
            weights=folder or "",
            **encoder.pixels.facts(),
            n_parameters=sum(p.numel() for part in (encoder.vit, encoder.readout) for p in part.parameters()),
            dim=encoder.vit.config.hidden_size,
            patches=encoder.vit.embeddings.patch_embeddings.num_patches,
            mask_ratio=0.0,
            layer_norm_eps=encoder.vit.config.layer_norm_eps,
            fitted_as=encoder.about.kind,
            labels=list(encoder.about.labels),
            fit=encoder.about.fit,
        )
        return encoder, facts


class MaeCls(MaeModel):
    """The encoder pre-trained on pictures alone: the row "MAE alone". For the options see `MaeModel` and `Recipe`."""

    NAME: ClassVar[str] = "mae-cls"
    STAGES: ClassVar[tuple[str, ...]] = (RECONSTRUCT, LABEL)

    def __init__(
        self,
        *,
        stages: str | None = None,
        mask_ratio: float | None = None,
        train: str | None = None,
        reconstruct_epochs: float | None = None,
        reconstruct_steps: int | None = None,
        reconstruct_lr: float | None = None,
        label_epochs: float | None = None,
        label_steps: int | None = None,
        label_lr: float | None = None,
        augment: bool | None = None,
        evaluate_every: int | None = None,
        patience: int | None = None,
        accumulate: int | None = None,
        checkpointing: bool | None = None,
        save_every: int | None = None,
        **options: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in Recipe.__struct_fields__}
        super().__init__(**options)
        self.recipe = Recipe.of(given)


class MaeLlm(MaeModel):
    """The encoder aligned to a language model's embeddings of the reports. For the options see `MaeModel` and `Recipe`.

    Args:
        language_model: Folder or hub id of a causal language model, for a fit; a run has no need of it.
        text_cache: Folder where the reports' vectors are kept for other fits; empty: beside the fit, until it is done.
        text_batch: Reports that go through the language model together.
    """

    NAME: ClassVar[str] = "mae-llm"
    STAGES: ClassVar[tuple[str, ...]] = (RECONSTRUCT, ALIGN, LABEL)

    def __init__(
        self,
        *,
        language_model: str = "",
        text_cache: str = "",
        text_batch: int = 16,
        stages: str | None = None,
        mask_ratio: float | None = None,
        loss: str | None = None,
        margin: float | None = None,
        same: str | None = None,
        text_pool: str | None = None,
        joint: int | None = None,
        max_tokens: int | None = None,
        train: str | None = None,
        reconstruct_epochs: float | None = None,
        reconstruct_steps: int | None = None,
        reconstruct_lr: float | None = None,
        align_epochs: float | None = None,
        align_steps: int | None = None,
        align_lr: float | None = None,
        label_epochs: float | None = None,
        label_steps: int | None = None,
        label_lr: float | None = None,
        augment: bool | None = None,
        evaluate_every: int | None = None,
        patience: int | None = None,
        accumulate: int | None = None,
        checkpointing: bool | None = None,
        save_every: int | None = None,
        **options: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in Recipe.__struct_fields__}
        super().__init__(**options)
        self.recipe = Recipe.of(given)
        if text_batch < 1:
            raise UsageError(f"text_batch={text_batch}: at least 1", hint="leave it out for 16")
        self.language_model, self.text_cache, self.text_batch = language_model, text_cache, text_batch

    def given_to_fit(self) -> list[str]:
        """Return the options given that change a fit, and would do nothing in a run."""
        return [*super().given_to_fit(), *(["language_model"] if self.language_model else [])]
