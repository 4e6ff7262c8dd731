"""`clip-roco`: the small CLIP of the ROCO report, to be trained from scratch and to embed pictures and texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from medbench.errors import UsageError
from medbench.interfaces import Example, FitEvents
from medbench.types import Embed, Failed, Vector
from medbench_clip.recipe import Recipe
from medbench_clip.sizes import Sizes, sizes_of

if TYPE_CHECKING:
    from medbench_clip.encoder import ClipEncoder

BATCH = 64
NO_WEIGHTS = "medbench fit clip-roco --task roco-matching --data DIR --out OUT, then weights=OUT; or preset=tiny"


class ClipRoco:
    """A small CLIP: 5 convolution blocks and 5 transformer encoder blocks, 128 dimensions, cosine similarity.

    There are no published weights. The options from `lr` on are those of `medbench fit` (`medbench_clip.recipe.Recipe`).

    Args:
        weights: Folder that `medbench fit` wrote.
        preset: `tiny`: smaller, for twins; without weights it is untrained, and says so.
        dtype: `auto` (bf16 on an accelerator that has it, else fp32), `float32`, `bfloat16`, `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        batch_size: Pictures or texts that go through the network together; 0: 64. It is the batch of the loss in a fit.
        workers: Threads that decode pictures; 0: one for each core, at most 8.
        lr: Peak rate of Adam; 5e-5.
        epochs: How long; 40 at most.
        steps: Instead of epochs.
        minutes: Instead of epochs; depends on the machine, so two such fits differ.
        patience: Looks without an improvement of the validation loss that end it; 5.
        evaluate_every: Steps between two looks; 0: one epoch.
        dropout: In the transformer; 0.1.
        norm: Batch normalisation in the convolution blocks.
        split: `data` or `64/16/20`.
        folds: Cross-validation before the fit.
        save_every: Steps between two states to go on from.

    Raises:
        UsageError: an option is not known.
    """

    def __init__(
        self,
        *,
        weights: str = "",
        preset: str = "",
        dtype: str = "auto",
        device: str = "auto",
        batch_size: int = 0,
        workers: int = 0,
        lr: float | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        minutes: float | None = None,
        patience: int | None = None,
        evaluate_every: int | None = None,
        dropout: float | None = None,
        norm: bool | None = None,
        split: str | None = None,
        folds: int | None = None,
        save_every: int | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in Recipe.__struct_fields__}
        sizes_of(preset)
        self.weights, self.preset = weights, preset
        self.dtype, self.device = dtype, device
        self.batch_size, self.workers = batch_size, workers
        self.recipe = Recipe.of(given)

    def sizes(self) -> Sizes:
        """Return the sizes of the network that these options make."""
        sizes = sizes_of(self.preset)
        dropout = sizes.dropout if self.recipe.dropout is None else self.recipe.dropout
        return msgspec.structs.replace(sizes, dropout=dropout, norm=self.recipe.norm)

    def facts(self) -> dict[str, Any]:
        """Return what is known only after loading: digest, learnt factor, numbers, versions.

        Raises:
            UsageError: an option of fitting was given to a run, where it would do nothing; or there are no weights.
        """
        return self._loaded[1]

    def embed(self, requests: Sequence[Embed]) -> Iterator[tuple[int, Vector | Failed]]:
        """Yield (index, raw vector) for each request of a window, in any order."""
        from medbench_torch.embedding import embed_window

        yield from embed_window(self._loaded[0], requests, self.batch_size or BATCH, self.workers)

    def fit(
        self, examples: Sequence[Example], validation: Sequence[Example], out: Path, seed: int, events: FitEvents | None
    ) -> Mapping[str, Any]:
        """Train on pairs of pictures and captions and leave the weights in `out`; see `medbench_clip.fitting`."""
        from medbench_clip.fitting import fit

        return fit(self, examples, validation, out, seed, events)

    @cached_property
    def _loaded(self) -> tuple[ClipEncoder, dict[str, Any]]:
        from medbench_torch import loading
        from medbench_torch.devices import place
        from medbench_torch.weights import find_weights

        from medbench_clip.encoder import read_encoder, untrained

        if self.recipe.given:
            raise UsageError(
                f"{', '.join(self.recipe.given)}: of medbench fit, not of a run", hint="leave them out; card.json says how it was fitted"
            )
        if not self.weights and not self.preset:
            raise UsageError("clip-roco has no published weights", hint=NO_WEIGHTS)
        placement = place(self.device, self.dtype)
        folder: Path | str = ""
        if self.weights:
            folder = find_weights(self.weights)
            encoder = read_encoder(folder / "base" if (folder / "base").is_dir() else folder, placement)
        else:
            encoder = untrained(self.sizes(), placement)
        stated = loading.facts(encoder.network, placement, weights=folder, logit_scale=float(encoder.network.scale.detach()))
        return encoder, stated
