"""Samplers by short names, taken over with the noise schedule that the model was trained on."""

from __future__ import annotations

from typing import Any

from medbench.errors import UsageError, suggestion

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "dpm++": ("DPMSolverMultistepScheduler", {}),
    "dpm++-karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpm++-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
}
"""Name -> class of diffusers and what is set beside the model's own schedule."""


def check_scheduler(name: str) -> None:
    """Refuse a sampler that does not exist.

    Raises:
        UsageError: there is none of that name.
    """
    if name and name not in SCHEDULERS:
        raise UsageError(f"scheduler={name}: not known", hint=suggestion(name, SCHEDULERS))


def put_scheduler(pipe: Any, name: str) -> str:
    """Exchange a pipeline's sampler, and return the class that it has then.

    Raises:
        UsageError: the pipeline's noise is of another kind (flow matching), which this sampler does not undo.
    """
    import diffusers

    from medbench_diffusion.pipelines import quiet_diffusers

    if name:
        found, more = SCHEDULERS[name]
        cls = getattr(diffusers, found)
        if "beta_schedule" not in pipe.scheduler.config:
            raise UsageError(
                f"scheduler={name}: not for a model of {type(pipe.scheduler).__name__}", hint="leave scheduler out for the model's own"
            )
        with quiet_diffusers():
            made = cls.from_config(pipe.scheduler.config, **more)
        pipe.scheduler = made
        if hasattr(pipe, "decoder_pipe"):
            pipe.decoder_pipe.scheduler = made
    return type(pipe.scheduler).__name__
