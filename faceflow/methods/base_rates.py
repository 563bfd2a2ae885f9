"""Shift logits so that mean probabilities match the base rates of the labels."""

from __future__ import annotations

import torch
from torch import Tensor

from faceflow.losses.elementwise import LabelCounts
from faceflow.losses.processes import gathered
from faceflow.methods.latest_logits import LatestLogits

_STEPS = 3  # of Newton's method; each update starts from the result of the last
_FARTHEST = 1.0  # largest step, in logits: if all probabilities are near 0 or 1, steps would be far too long
_RAREST = 1e-3  # lowest base rate; a level that never occurs would be shifted further and further


def base_rates(counts: LabelCounts, *, strength: float) -> Tensor:
    """Share of labelled faces on which a level is on, (A, L), as if `strength` further faces had the mean rate of AUs.

    With few subjects, a rate mostly reflects these subjects; the beta prior of this strength draws it to the mean.
    """
    positives, observed = counts.positives.float(), counts.observed.float().unsqueeze(1)
    mean = (positives / observed.clamp(min=1)).mean(dim=0)
    return (positives + strength * mean) / (observed + strength).clamp(min=1)


class BaseRateShift(LatestLogits):
    """Adds a constant per AU and level, with which the mean probability of the latest logits is the base rate.

    Source: distribution alignment of ReMixMatch (Berthelot et al. 2020, arXiv:1911.09785), for independent labels.

    Args:
        rates: wanted mean probabilities, (A, L).
    """

    rates: Tensor
    shift: Tensor  # (A, L)

    def __init__(self, rates: Tensor) -> None:
        super().__init__(rates.shape)
        self.register_buffer("rates", rates.clamp(_RAREST, 1 - _RAREST), persistent=False)
        self.register_buffer("shift", torch.logit(self.rates))

    @torch.no_grad()
    def follow(self, logits: Tensor) -> None:
        """Add rows (B, A, L) of every process; call it before they are shifted."""
        latest = self.remember(gathered(logits.float()))
        for _ in range(_STEPS):
            probability = (latest + self.shift).sigmoid()
            slope = (probability * (1 - probability)).mean(dim=0)
            step = (self.rates - probability.mean(dim=0)) / slope.clamp(min=1e-6)
            self.shift += step.clamp(-_FARTHEST, _FARTHEST)

    def forward(self, logits: Tensor) -> Tensor:
        """Shift rows (B, A, L)."""
        return logits.float() + self.shift
