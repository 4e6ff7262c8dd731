"""Report generation: the images of a study in, its report out."""

from __future__ import annotations

from medbench.builtin.protocols.per_sample import GenerationParams, PerSample, noise_seed
from medbench.types import Generate, Sample


class ReportParams(GenerationParams):
    """What a task or a run may set."""

    prompt: str = "Describe the findings in this chest X-ray and write a report."
    """The instruction; `{indication}` and other columns of the sample may stand in braces."""
    images: int = 0
    """At most so many images of a study, in the data's order; 0: all."""
    max_new_tokens: int = 256


class Report(PerSample):
    """The instruction and the images of one study in, its report out."""

    Params = ReportParams

    def request(self, sample: Sample, params: ReportParams) -> Generate:
        """Return what is asked about one study."""
        prompt = params.prompt
        for column, value in sample.meta.items():
            prompt = prompt.replace("{" + column + "}", value)
        return Generate(
            prompt=prompt,
            images=sample.images[: params.images] if params.images else sample.images,
            max_new_tokens=params.max_new_tokens,
            temperature=params.temperature,
            seed=noise_seed(sample, params),
        )
