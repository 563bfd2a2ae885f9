"""Soft Dice next to binary cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from faceflow.checks import check_number
from faceflow.losses.elementwise import ElementwiseLoss, fill_missing
from faceflow.losses.processes import summed


class Dice(ElementwiseLoss):
    """bce_share * BCE + (1 - bce_share) * soft Dice, one Dice ratio per AU and level over the batch.

    Dice has no value per entry, so `elementwise`, and with it every consistency term, is only the BCE part, scaled by
    bce_share: a consistency term thus never outweighs the same entries of the supervised term.

    Source: Milletari et al. 2016 (V-Net, arXiv:1606.04797); for AUs Shao et al. 2018 (JAA-Net,
    arXiv:1803.05588).

    Args:
        epsilon: smoothing of the ratio, as a number of images, above 0.
        bce_share: share of BCE in (0, 1].

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(self, *, epsilon: float, bce_share: float) -> None:
        super().__init__()
        check_number(epsilon, key="epsilon", expected="a finite number > 0", valid=lambda x: x > 0)
        check_number(bce_share, key="bce_share", expected="a number in (0, 1]", valid=lambda x: 0 < x <= 1)
        self.epsilon, self.bce_share = epsilon, bce_share

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Both parts; 0 without gradient if nothing is observed."""
        bce = super().forward(logits, target, mask)
        return bce + (1 - self.bce_share) * self._dice(logits, target, mask)

    def _entries(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return self.bce_share * F.binary_cross_entropy_with_logits(logits, target, reduction="none")

    def _dice(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        target = fill_missing(target, mask)
        p = logits.float().sigmoid() * mask.unsqueeze(-1)
        positives = summed(target.sum(dim=0))
        overlap = summed((p * target).sum(dim=0))
        dice = 1 - (2 * overlap + self.epsilon) / (summed(p.sum(dim=0)) + positives + self.epsilon)
        # Without a positive in the batch the ratio is about 1 for any logits.
        kept = positives > 0
        return torch.where(kept, dice, 0.0).sum() / kept.sum().clamp(min=1)
