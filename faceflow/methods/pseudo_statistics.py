"""How much is pseudo-labelled, and how well, over a whole epoch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from faceflow.methods.consistency import PseudoLabels


class PseudoLabelStatistics(Metric):
    """Sums per AU over the steps and processes of an epoch; rates are ratios of sums, never means of ratios.

    Where the unlabelled faces carry hidden labels, these judge the pseudo-labels and nothing else.
    """

    full_state_update = False
    entries: Tensor
    positive: Tensor
    negative: Tensor
    known_positive: Tensor
    right_positive: Tensor
    known_negative: Tensor
    right_negative: Tensor
    occurring: Tensor

    _SUMS = (
        *("entries", "positive", "negative", "known_positive", "right_positive"),
        *("known_negative", "right_negative", "occurring"),
    )

    def __init__(self, aus: int) -> None:
        super().__init__()
        for name in self._SUMS:
            self.add_state(name, default=torch.zeros(aus, dtype=torch.float64), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, labels: PseudoLabels, hidden: Tensor, known: Tensor) -> None:
        """Add a batch.

        Args:
            labels: of B rows.
            hidden: 0 or 1, (B, A, L).
            known: True where the AU carries a hidden label, (B, A).
        """
        on = labels.confident & (labels.target > 0.5)
        off = labels.confident & (labels.target <= 0.5)
        known = known.unsqueeze(-1).expand_as(on)
        truth = (hidden > 0.5) & known
        counts = (
            *(torch.ones_like(on), on, off, on & known, on & truth),
            *(off & known, off & known & ~truth, truth),
        )
        for name, count in zip(self._SUMS, counts, strict=True):
            setattr(self, name, getattr(self, name) + count.sum(dim=(0, 2)))

    def compute(self) -> dict[str, Tensor]:
        """Rates per AU, (A,); NaN where there is nothing to divide by."""
        return {
            "mask_positive": self.positive / self.entries,
            "mask_negative": self.negative / self.entries,
            "pseudo_positive_rate": self.positive / (self.positive + self.negative),
            "pseudo_precision": self.right_positive / self.known_positive,
            "pseudo_recall": self.right_positive / self.occurring,
            "pseudo_negative_precision": self.right_negative / self.known_negative,
        }


def named_rates(rates: dict[str, Tensor], aus: Sequence[str]) -> dict[str, float]:
    """Name the mean over AUs "mask_positive" and each AU's rate "mask_positive/AU12"; undefined ones are left out."""
    named: dict[str, float] = {}
    for name, values in rates.items():
        defined = {au: value for au, value in zip(aus, values.tolist(), strict=True) if value == value}
        if defined:
            named[name] = sum(defined.values()) / len(defined)
        named |= {f"{name}/{au}": value for au, value in defined.items()}
    return named
