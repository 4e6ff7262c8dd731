"""Visual question answering: one question, one answer in words."""

from __future__ import annotations

from typing import Literal

from medbench.builtin.protocols.per_sample import GenerationParams, PerSample, noise_seed, placeholders
from medbench.types import Generate, Sample


class VqaParams(GenerationParams):
    """What a task or a run may set."""

    prompt: str = "{question}"
    """How the question is put; `{question}` stands for it."""
    max_new_tokens: int = 32
    options: Literal["closed", "none"] = "closed"
    """`closed`: models that can also give the probabilities of yes and no for questions annotated as closed."""

    def __post_init__(self) -> None:
        """Refuse a template that would not put the question, or would put a placeholder to the model as it stands."""
        strange = [name for name in placeholders(self.prompt) if name != "question"]
        if strange:
            raise ValueError(f"prompt: no such placeholder {{{strange[0]}}}; {{question}} stands for the question")
        if "{question}" not in self.prompt:
            raise ValueError("prompt: without {question} the question is never put")


class Vqa(PerSample):
    """The question and its image in, a short answer out."""

    Params = VqaParams

    def _options(self, sample: Sample, params: VqaParams) -> tuple[str, ...]:
        """Return the answers to be scored, by the question's annotation alone: the truth does not decide what is asked."""
        closed = params.options == "closed" and sample.meta.get("answer_type", "").strip().upper() == "CLOSED"
        return ("yes", "no") if closed else ()

    def request(self, sample: Sample, params: VqaParams) -> Generate:
        """Return what is asked about one question."""
        return Generate(
            prompt=params.prompt.replace("{question}", sample.prompt),
            images=sample.images,
            kind=sample.meta.get("question_type", ""),
            max_new_tokens=params.max_new_tokens,
            temperature=params.temperature,
            seed=noise_seed(sample, params),
            options=self._options(sample, params),
        )
