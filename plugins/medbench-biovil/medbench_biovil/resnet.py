"""A ResNet of bottlenecks, named as the published file names it (stride on the 3 x 3 convolution: He et al., CVPR 2016, as in v1.5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class Bottleneck(nn.Module):
    """Three convolutions around a shortcut."""

    def __init__(self, before: int, width: int, stride: int, *, first: bool) -> None:
        super().__init__()
        after = 4 * width
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)) if first else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features, (pictures, 4 x width, height, width) of a map that is smaller by the stride."""
        made = functional.relu(self.bn1(self.conv1(x)))
        made = functional.relu(self.bn2(self.conv2(made)))
        return functional.relu(self.bn3(self.conv3(made)) + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A map of features, 32 times smaller than the picture along each side.

    Args:
        layers: Bottlenecks of each of the four parts.
        width: Filters of the first convolution.
        classes: Of the classifier `fc`, which is in the file and never used.
    """

    def __init__(self, layers: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        before = width
        for part, count in enumerate(layers):
            inner = width * 2**part
            bottlenecks = []
            for place in range(count):
                bottlenecks.append(Bottleneck(before, inner, 2 if part and not place else 1, first=not place))
                before = 4 * inner
            setattr(self, f"layer{part + 1}", nn.Sequential(*bottlenecks))
        self.fc = nn.Linear(before, classes)
        self.channels = before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features, (pictures, channels, rows, columns), of pixels, (pictures, 3, height, width)."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        made: torch.Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return made
