"""Small autoencoders that begin as an average over pixels and its inverse: what is random in them learns what that leaves."""

from __future__ import annotations

from typing import Any

import medbench_diffusion.diffusers_alone  # noqa: F401 - before diffusers, which then finds no torchvision

# isort: split
import torch
from diffusers.models.attention_processor import SpatialNorm
from diffusers.models.resnet import Downsample2D, ResnetBlock2D, ResnetBlockCondNorm2D, Upsample2D
from torch import nn

COLOURS = 3
PATH = 8
"""Channels that carry the colours through: each with both signs, since silu(x) - silu(-x) = x, and two that stay as they are."""
KAPPA = 1.0
"""Level of the two: group norm then divides by about the same in dark pictures and in bright ones."""
LOG_VARIANCE = -6.0
"""Of the posterior at first. At 0 the noise is as large as the spread that latents are held to, and hides all they say."""

_HERE = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
_MEAN = torch.tensor([[0.25, 0.25, 0.0], [0.25, 0.25, 0.0], [0.0, 0.0, 0.0]])
_SMOOTH = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16


@torch.no_grad()
def begin_as_average(autoencoder: Any) -> None:
    """Set the weights of an `AutoencoderKL` or `VQModel` so that three of its latents are the colours of a square of pixels.

    A deep autoencoder takes thousands of steps to let colours through its norms; one that begins so has them from the first
    step. Channels beyond the path keep their random weights.

    Args:
        autoencoder: Without attention; its narrowest layer has at least `PATH` channels, and as many of them share one norm.
    """
    for module in autoencoder.modules():
        if isinstance(module, ResnetBlock2D | ResnetBlockCondNorm2D):
            nn.init.zeros_(module.conv2.weight)
            nn.init.zeros_(module.conv2.bias)
            if module.conv_shortcut is not None:
                _pass_on(module.conv_shortcut, torch.ones(1, 1))
        elif isinstance(module, Downsample2D):
            _pass_on(module.conv, _MEAN)
        elif isinstance(module, Upsample2D):
            _pass_on(module.conv, _SMOOTH)
    encoder, decoder = autoencoder.encoder, autoencoder.decoder
    for entry in (encoder.conv_in, decoder.conv_in):
        _enter(entry.weight[:, :, 1, 1], entry.bias, entry.weight)
    _leave(encoder.conv_out, _HERE)
    spatial = isinstance(decoder.conv_norm_out, SpatialNorm)
    if spatial:
        _open(decoder.conv_norm_out)
    _leave(decoder.conv_out, (_SMOOTH if spatial else _HERE) / 2)
    for conv in (autoencoder.quant_conv, autoencoder.post_quant_conv):
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
        nn.init.eye_(conv.weight[: conv.in_channels, :, 0, 0][: conv.out_channels])
    latents = autoencoder.config.latent_channels
    autoencoder.quant_conv.weight[latents:] = 0.0
    autoencoder.quant_conv.bias[latents:] = LOG_VARIANCE


def _pass_on(conv: nn.Conv2d, taps: torch.Tensor) -> None:
    """Let each channel of the path through a convolution by itself."""
    conv.weight[:PATH] = 0.0
    conv.bias[:PATH] = 0.0
    for channel in range(PATH):
        conv.weight[channel, channel] = taps


def _enter(centre: torch.Tensor, bias: torch.Tensor, weight: torch.Tensor) -> None:
    """Put the first three inputs on the path with both signs, and the level beside them."""
    weight[:PATH] = 0.0
    bias[:PATH] = 0.0
    for colour in range(COLOURS):
        centre[colour, colour], centre[COLOURS + colour, colour] = 1.0, -1.0
    bias[PATH - 2], bias[PATH - 1] = KAPPA, -KAPPA


def _open(norm: SpatialNorm) -> None:
    """Let a norm that is told of the latents take the path from them: its own divides each channel by itself."""
    norm.conv_y.weight[:PATH] = 0.0
    norm.conv_y.bias[:PATH] = 0.0
    _enter(norm.conv_b.weight[:, :, 0, 0], norm.conv_b.bias, norm.conv_b.weight)


def _leave(conv: nn.Conv2d, taps: torch.Tensor) -> None:
    """Take the first three outputs from the path."""
    conv.weight[:COLOURS] = 0.0
    conv.bias[:COLOURS] = 0.0
    for colour in range(COLOURS):
        conv.weight[colour, colour], conv.weight[colour, COLOURS + colour] = taps, -taps
