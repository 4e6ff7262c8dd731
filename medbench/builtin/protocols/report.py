"""Report generation: the images of a study in, its report out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from medbench.builtin.protocols.per_sample import GenerationParams, PerSample, noise_seed, placeholders
from medbench.errors import UsageError, suggestion
from medbench.types import Generate, Sample


class ReportParams(GenerationParams):
    """What a task or a run may set."""

    prompt: str = "Describe the findings in this chest X-ray and write a report."
    """The instruction; `{indication}` and other columns of the data may stand in braces. Where a sample has none: nothing."""
    images: int = 0
    """At most so many images of a study, in the data's order; 0: all."""
    max_new_tokens: int = 256


class Report(PerSample):
    """The instruction and the images of one study in, its report out."""

    Params = ReportParams

    def requests(self, samples: Sequence[Sample], params: ReportParams) -> Iterator[Generate]:
        """Yield one request per study, in order.

        Raises:
            UsageError: the prompt names a column that no sample has.
        """
        known = {column for sample in samples for column in sample.meta}
        strange = [name for name in placeholders(params.prompt) if name not in known]
        if strange:
            raise UsageError(f"prompt: no sample has a column {strange[0]}", hint=suggestion(strange[0], known))
        return super().requests(samples, params)

    def request(self, sample: Sample, params: ReportParams) -> Generate:
        """Return what is asked about one study."""
        return Generate(
            prompt=re.sub(r"\{(\w+)\}", lambda found: sample.meta.get(found[1], ""), params.prompt),
            images=sample.images[: params.images] if params.images else sample.images,
            max_new_tokens=params.max_new_tokens,
            temperature=params.temperature,
            seed=noise_seed(sample, params),
        )
