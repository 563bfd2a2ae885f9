"""Distribution-Balanced loss per label."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from faceflow.checks import check_choice, check_number
from faceflow.losses.elementwise import ElementwiseLoss, LabelCounts
from faceflow.losses.focal import focal_factor
from faceflow.losses.processes import summed

NEUTRAL_WEIGHTS = ("mean", "max")


class DistributionBalanced(ElementwiseLoss):
    """Distribution-Balanced focal loss (Wu et al. 2020, arXiv:2007.09654), with missing labels.

    With n positives out of N observed labels per AU and level:

        r = (1/n) / sum of 1/n over the observed positives of the row (within a level)
        w = map_alpha + sigmoid(map_beta * (r - map_gamma))
        v = -(init_bias / neg_scale) * log(N/n - 1)
        positives: q = z + v, weight w;  negatives: q = neg_scale * (z + v), weight w / neg_scale
        loss = balance * (1 - exp(-BCE(q)))^focal_gamma * weight * BCE(q)

    An AU level that has only positives or only negatives in the training split has no odds: its loss is 0.

    Args:
        neg_scale: kappa, above 0.
        init_bias: eta, at least 0.
        map_alpha: floor of the weight w, at least 0.
        map_beta: slope of w, above 0.
        map_gamma: r at the middle of w.
        focal_gamma: focusing parameter, at least 0.
        balance: constant factor, above 0.
        neutral_weight: r of rows without a positive. "max" is the formula's limit, infinity, which gives
            neutral faces the largest weight; "mean" is the mean over the batch's other rows ("max" if there
            are none). With "mean" the weights of a row depend on its batch.

    Raises:
        ConfigError: a value out of range.
    """

    bias: Tensor | None
    inverse_count: Tensor | None

    def __init__(
        self,
        *,
        neg_scale: float,
        init_bias: float,
        map_alpha: float,
        map_beta: float,
        map_gamma: float,
        focal_gamma: float,
        balance: float,
        neutral_weight: str,
    ) -> None:
        super().__init__()
        check_number(neg_scale, key="neg_scale", expected="a finite number > 0", valid=lambda x: x > 0)
        check_number(init_bias, key="init_bias", expected="a finite number >= 0", valid=lambda x: x >= 0)
        check_number(map_alpha, key="map_alpha", expected="a finite number >= 0", valid=lambda x: x >= 0)
        check_number(map_beta, key="map_beta", expected="a finite number > 0", valid=lambda x: x > 0)
        check_number(map_gamma, key="map_gamma", expected="a finite number", valid=math.isfinite)
        check_number(focal_gamma, key="focal_gamma", expected="a finite number >= 0", valid=lambda x: x >= 0)
        check_number(balance, key="balance", expected="a finite number > 0", valid=lambda x: x > 0)
        check_choice(neutral_weight, key="neutral_weight", options=NEUTRAL_WEIGHTS)
        self.neg_scale, self.init_bias = neg_scale, init_bias
        self.map_alpha, self.map_beta, self.map_gamma = map_alpha, map_beta, map_gamma
        self.focal_gamma, self.balance, self.neutral_weight = focal_gamma, balance, neutral_weight
        self.register_buffer("bias", None)
        self.register_buffer("inverse_count", None)

    def bind(self, counts: LabelCounts) -> None:
        """Compute v and 1/n, both (A, L); 1/n is 0 for the AU levels that are left out."""
        observed = counts.observed.float().unsqueeze(-1).expand_as(counts.positives)
        positives = counts.positives.float()
        kept = (positives > 0) & (positives < observed)
        odds_against = torch.where(kept, observed / positives - 1, 1.0)
        self.bias = -self.init_bias / self.neg_scale * odds_against.log()
        self.inverse_count = torch.where(kept, 1 / positives, 0.0)

    def _entries(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        assert self.bias is not None, "bind() comes before the first use"
        assert self.inverse_count is not None
        scale = target + self.neg_scale * (1 - target)
        bce = F.binary_cross_entropy_with_logits(scale * (logits + self.bias), target, reduction="none")
        weight = self._rebalance(target, self.inverse_count) / scale
        entries = self.balance * focal_factor(bce, self.focal_gamma) * weight * bce
        return torch.where(self.inverse_count > 0, entries, 0.0)

    def _rebalance(self, target: Tensor, inverse_count: Tensor) -> Tensor:
        """Weight w, (B, A, L); missing targets are 0 and so add nothing to a row's sum."""
        row_sum = (target * inverse_count).sum(dim=1, keepdim=True)
        # The clamp keeps 0 * inf out; sigmoid is 1 at the huge r of a neutral row, as at infinity.
        row_scale = 1 / row_sum.clamp(min=torch.finfo(row_sum.dtype).tiny)
        if self.neutral_weight == "mean":
            row_scale = _fill_neutral(row_scale, row_sum > 0)
        return self.map_alpha + torch.sigmoid(self.map_beta * (inverse_count * row_scale - self.map_gamma))


def _fill_neutral(row_scale: Tensor, active: Tensor) -> Tensor:
    """Give rows without a positive the mean of the others in their level; both (B, 1, L)."""
    rows = summed(active.sum(dim=0))
    mean = summed(torch.where(active, row_scale, 0.0).sum(dim=0)) / rows.clamp(min=1)
    return torch.where(active | (rows == 0), row_scale, mean)
