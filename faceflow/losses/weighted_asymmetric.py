"""Weighted asymmetric loss per label."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from faceflow.checks import check_choice, check_number
from faceflow.losses.elementwise import ElementwiseLoss, LabelCounts
from faceflow.losses.weighting import inverse_frequency

WEIGHTINGS = ("none", "inverse_frequency")


class WeightedAsymmetric(ElementwiseLoss):
    """BCE with negatives weighted by their own probability: -w_a [y log p + (1 - y) sg(p) log(1 - p)].

    Source: Luo et al. 2022 (ME-GraphAU, arXiv:2205.01782), with p = sigmoid(logit) in place of the cosine
    similarity there. No gradient flows through sg(p).

    Args:
        weighting: "none", or "inverse_frequency", one weight per AU with mean 1.
        max_weight: upper limit of the weights, at least 1; not used by "none".

    Raises:
        ConfigError: unknown weighting, or `max_weight` below 1.
    """

    au_weight: Tensor | None

    def __init__(self, *, weighting: str, max_weight: float) -> None:
        super().__init__()
        check_choice(weighting, key="weighting", options=WEIGHTINGS)
        check_number(max_weight, key="max_weight", expected="a finite number >= 1", valid=lambda x: x >= 1)
        self.weighting, self.max_weight = weighting, max_weight
        self.register_buffer("au_weight", None)

    def bind(self, counts: LabelCounts) -> None:
        """Compute the weights, (A, 1)."""
        if self.weighting == "inverse_frequency":
            self.au_weight = inverse_frequency(counts, self.max_weight)

    def _entries(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        assert self.au_weight is not None or self.weighting == "none", "bind() comes before the first use"
        positive = target * F.logsigmoid(logits)
        negative = (1 - target) * logits.sigmoid().detach() * F.logsigmoid(-logits)
        entries = -(positive + negative)
        return entries if self.au_weight is None else self.au_weight * entries
