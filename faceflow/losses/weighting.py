"""Fixed weights against label imbalance, from the counts of the training split."""

from __future__ import annotations

import torch
from torch import Tensor

from faceflow.losses.elementwise import LabelCounts


def inverse_frequency(counts: LabelCounts, max_weight: float) -> Tensor:
    """Weight per AU, inversely proportional to its occurrence rate (first level), with mean 1 before the cap.

    Positives and negatives of an AU have the same weight. An AU without positives has no rate; it keeps weight 1, so
    that it does not take the weight of all others.

    Args:
        counts: label counts of the training split.
        max_weight: cap, in multiples of the mean weight.

    Returns:
        (A, 1), to broadcast over levels.

    Source: Shao et al. 2018 (JAA-Net, arXiv:1803.05588), as in ME-GraphAU.
    """
    positives = counts.positives[:, :1].float()
    occurs = positives > 0
    inverse_rate = torch.where(occurs, counts.observed.float().unsqueeze(-1) / positives.clamp(min=1), 0.0)
    mean = inverse_rate.sum() / occurs.sum().clamp(min=1)
    return torch.where(occurs, inverse_rate / mean, 1.0).clamp(max=max_weight)


def positive_weight(counts: LabelCounts, max_weight: float) -> Tensor:
    """Weight of the positives per AU and level: negatives / positives within [1, max_weight].

    It shifts the calibrated logit by log(weight). An AU without labels has weight 1.

    Args:
        counts: label counts of the training split.
        max_weight: upper bound, also for levels without a positive.

    Returns:
        (A, L).
    """
    positives = counts.positives.float()
    ratio = (counts.observed.float().unsqueeze(-1) - positives) / positives
    return ratio.nan_to_num(nan=1.0).clamp(min=1.0, max=max_weight)
