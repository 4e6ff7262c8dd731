"""The losses of alignment and of the head, each summed over what the loop divides it by."""

from __future__ import annotations

import torch
from torch.nn import functional


def margin_loss(image: torch.Tensor, text: torch.Tensor, same: torch.Tensor, margin: float) -> torch.Tensor:
    """Return the published contrastive loss over all pairs (i, j) of a picture and a report, divided by the number of reports.

    Each pair gives d² where it belongs together and max(0, margin - d)² where it does not, d being the distance of the two
    vectors (Hadsell et al., CVPR 2006). Divided by the number of pictures as well, it is the mean over all pairs.

    Args:
        image: Unit vectors, (n, width).
        text: Unit vectors, (m, width).
        same: Whether picture i and report j belong together, boolean (n, m).
        margin: The formula's ε; unit vectors are at most 2 apart.

    >>> a, b = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> round(float(margin_loss(a, b, torch.eye(2, dtype=torch.bool), 1.5)), 3)
    2.129
    """
    # a distance of exactly 0 has no gradient
    squared = (2.0 - 2.0 * image @ text.T).clamp_min(1e-9)
    apart = (margin - squared.sqrt()).clamp_min(0.0).square()
    return torch.where(same, squared, apart).sum() / text.shape[0]


def info_nce(image: torch.Tensor, text: torch.Tensor, same: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of finding a report that belongs to each picture and the other way round, summed over pictures.

    Where several belong, their probabilities are added up: none of them is a wrong answer.

    Args:
        image: Unit vectors, (n, width).
        text: Unit vectors, (n, width).
        same: Whether picture i and report j belong together, boolean (n, n), its diagonal true.
        scale: Factor on the cosines.

    >>> both = torch.eye(2)
    >>> round(float(info_nce(both, both, torch.eye(2, dtype=torch.bool), torch.tensor(1.0))), 4)
    0.6265
    >>> round(float(info_nce(both, both, torch.ones(2, 2, dtype=torch.bool), torch.tensor(1.0))), 4)
    0.0
    """
    logits = scale * image @ text.T
    right = logits.masked_fill(~same, -torch.inf)
    found = [logits.logsumexp(dim=axis) - right.logsumexp(dim=axis) for axis in (0, 1)]
    return (found[0].sum() + found[1].sum()) / 2


def label_loss(logits: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy summed over the labels that are known; an unknown one has no gradient.

    Args:
        logits: (n, labels).
        truth: 0 to 1, (n, labels); whatever stands where nothing is known.
        known: Boolean, (n, labels).

    >>> logits, truth = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    >>> round(float(label_loss(logits, truth, torch.tensor([[True, False]]))), 4)
    0.6931
    """
    losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return losses.masked_fill(~known, 0.0).sum()
