"""Focal loss per label."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from faceflow.checks import check_number
from faceflow.losses.elementwise import ElementwiseLoss


class Focal(ElementwiseLoss):
    """Sigmoid focal loss (Lin et al. 2017, arXiv:1708.02002, eq. 5): alpha_t (1 - p_t)^gamma BCE.

    Args:
        gamma: focusing parameter, at least 0; 0 is plain BCE.
        alpha: weight of positives in [0, 1], 1 - alpha for negatives; None = off. The 0.25 of the paper is
            meant for detectors: it reduces the weight of positives, which are rare for an AU.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(self, *, gamma: float, alpha: float | None) -> None:
        super().__init__()
        check_number(gamma, key="gamma", expected="a finite number >= 0", valid=lambda x: x >= 0)
        if alpha is not None:
            check_number(alpha, key="alpha", expected="null (off) or a number in [0, 1]", valid=lambda x: 0 <= x <= 1)
        self.gamma, self.alpha = gamma, alpha

    def _entries(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        entries = focal_factor(bce, self.gamma) * bce
        if self.alpha is None:
            return entries
        return (self.alpha * target + (1 - self.alpha) * (1 - target)) * entries


def focal_factor(bce: Tensor, gamma: float) -> Tensor:
    """(1 - p_t)^gamma, where p_t = exp(-bce) is the probability given to the true label; any shape."""
    miss = -torch.expm1(-bce)
    # At miss = 0 the slope of a power below 1 is infinite; multiplied by 0 it would be NaN.
    return miss.clamp(min=torch.finfo(miss.dtype).tiny).pow(gamma)
