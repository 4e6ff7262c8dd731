"""What a denoiser is to predict, and how much each timestep counts: both follow the noise schedule that it was made with."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from medbench.errors import UsageError

PREDICTIONS = ("epsilon", "v_prediction", "sample")


def prediction_type(scheduler: Any) -> str:
    """Return what a model of this schedule predicts.

    Raises:
        UsageError: it is none that is known here.
    """
    found = str(scheduler.config.get("prediction_type", "epsilon"))
    if found not in PREDICTIONS:
        raise UsageError(f"prediction_type {found}: not one that can be fitted", hint=f"one of {', '.join(PREDICTIONS)}")
    return found


def target_of(scheduler: Any, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return what the model is to predict: the noise, the velocity (Salimans & Ho, ICLR 2022), or the clean sample."""
    kind = prediction_type(scheduler)
    if kind == "epsilon":
        return noise
    if kind == "sample":
        return clean
    signal, spread = _levels(scheduler, clean, steps)
    return signal * noise - spread * clean


def noised(scheduler: Any, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return samples with the noise of their timesteps."""
    signal, spread = _levels(scheduler, clean, steps)
    return signal * clean + spread * noise


def weights_of(scheduler: Any, steps: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return how much each timestep counts (min-SNR: Hang et al., ICCV 2023, arXiv 2303.09556).

    Args:
        scheduler: With `alphas_cumprod`.
        steps: Timesteps (n,).
        gamma: Largest signal-to-noise ratio that counts; 0: all count 1.
    """
    if not gamma:
        return torch.ones(steps.shape, device=steps.device)
    signal, spread = _levels(scheduler, torch.empty(len(steps), device=steps.device), steps)
    ratio = (signal / spread) ** 2
    capped = ratio.clamp(max=gamma)
    return {"epsilon": capped / ratio, "v_prediction": capped / (ratio + 1), "sample": capped}[prediction_type(scheduler)]


def denoising_loss(
    scheduler: Any, predicted: torch.Tensor, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor, gamma: float
) -> torch.Tensor:
    """Return the weighted squared error, averaged over each example and summed over the batch."""
    errors = functional.mse_loss(predicted.float(), target_of(scheduler, clean, noise, steps).float(), reduction="none")
    return (errors.flatten(1).mean(1) * weights_of(scheduler, steps, gamma)).sum()


def _levels(scheduler: Any, like: torch.Tensor, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the share of signal and of noise at each timestep, shaped to multiply samples."""
    kept = scheduler.alphas_cumprod.to(device=like.device, dtype=torch.float32)[steps].reshape(-1, *[1] * (like.ndim - 1))
    return kept.sqrt(), (1 - kept).sqrt()
