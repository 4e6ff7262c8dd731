"""Visual question answering: one question, one answer in words."""

from __future__ import annotations

from medbench.builtin.protocols.per_sample import GenerationParams, PerSample, noise_seed
from medbench.types import Generate, Sample


class VqaParams(GenerationParams):
    """What a task or a run may set."""

    prompt: str = "{question}"
    """How the question is put; `{question}` stands for it."""
    max_new_tokens: int = 32


class Vqa(PerSample):
    """The question and its image in, a short answer out."""

    Params = VqaParams

    def request(self, sample: Sample, params: VqaParams) -> Generate:
        """Return what is asked about one question."""
        return Generate(
            prompt=params.prompt.replace("{question}", sample.prompt),
            images=sample.images,
            kind=sample.meta.get("question_type", ""),
            max_new_tokens=params.max_new_tokens,
            temperature=params.temperature,
            seed=noise_seed(sample, params),
        )
