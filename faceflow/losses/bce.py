"""Binary cross-entropy per label."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from faceflow.checks import check_choice, check_number
from faceflow.losses.elementwise import ElementwiseLoss, LabelCounts
from faceflow.losses.weighting import inverse_frequency, positive_weight

WEIGHTINGS = ("none", "inverse_frequency", "positive", "positive_sqrt")


class BCE(ElementwiseLoss):
    """Binary cross-entropy with optional weights against imbalance.

    Args:
        weighting: "none"; "inverse_frequency", one weight per AU with mean 1; "positive", a weight on the positives of
            each AU and level, which shifts logits by its logarithm; or "positive_sqrt", its square root.
        max_weight: upper limit of the weights, at least 1; not used by "none".

    Raises:
        ConfigError: unknown weighting, or `max_weight` below 1.
    """

    au_weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, *, weighting: str, max_weight: float) -> None:
        super().__init__()
        check_choice(weighting, key="weighting", options=WEIGHTINGS)
        check_number(max_weight, key="max_weight", expected="a finite number >= 1", valid=lambda x: x >= 1)
        self.weighting, self.max_weight = weighting, max_weight
        self.register_buffer("au_weight", None)
        self.register_buffer("pos_weight", None)

    def bind(self, counts: LabelCounts) -> None:
        """Compute the weights: (A, 1) for "inverse_frequency", (A, L) for "positive" and its root."""
        if self.weighting == "inverse_frequency":
            self.au_weight = inverse_frequency(counts, self.max_weight)
        elif self.weighting == "positive":
            self.pos_weight = positive_weight(counts, self.max_weight)
        elif self.weighting == "positive_sqrt":
            self.pos_weight = positive_weight(counts, self.max_weight**2).sqrt()

    def _entries(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        bound = self.au_weight is not None or self.pos_weight is not None
        assert bound or self.weighting == "none", "bind() comes before the first use"
        entries = F.binary_cross_entropy_with_logits(logits, target, pos_weight=self.pos_weight, reduction="none")
        return entries if self.au_weight is None else self.au_weight * entries
