"""Amount and quality of pseudo-labels over a whole epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from faceflow.methods.consistency import PseudoLabels


class PseudoLabelStatistics(Metric):
    """Sums per AU over the steps and processes of an epoch; rates are ratios of sums, never means of ratios.

    Hidden labels of unlabelled faces, if any, are used only to rate the pseudo-labels.
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
            # Whole numbers: fp32 stops counting at 2^24, and Apple GPUs have no fp64.
            self.add_state(name, default=torch.zeros(aus, dtype=torch.int64), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, labels: PseudoLabels, hidden: Tensor, known: Tensor) -> None:
        """Add a batch.

        Args:
            labels: pseudo-labels of B rows.
            hidden: hidden labels, 0 or 1, (B, A, L).
            known: True where the AU has a hidden label, (B, A).
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

    def compute(self) -> dict[str, NDArray[np.float64]]:
        """Rates per AU, (A,); NaN where the denominator is 0.

        Returns arrays, because torchmetrics would squeeze tensors of one element.
        """
        sums = {name: getattr(self, name).cpu().numpy() for name in self._SUMS}
        labelled = sums["positive"] + sums["negative"]
        return {
            "mask_positive": _share(sums["positive"], sums["entries"]),
            "mask_negative": _share(sums["negative"], sums["entries"]),
            "pseudo_positive_rate": _share(sums["positive"], labelled),
            "pseudo_precision": _share(sums["right_positive"], sums["known_positive"]),
            "pseudo_recall": _share(sums["right_positive"], sums["occurring"]),
            "pseudo_negative_precision": _share(sums["right_negative"], sums["known_negative"]),
        }


def named_rates(rates: Mapping[str, NDArray[np.float64]], aus: Sequence[str]) -> dict[str, float]:
    """Name the mean over AUs "mask_positive" and rates of AUs "mask_positive/AU12"; undefined rates are left out."""
    named: dict[str, float] = {}
    for name, values in rates.items():
        defined = {au: value for au, value in zip(aus, values.tolist(), strict=True) if value == value}
        if defined:
            named[name] = sum(defined.values()) / len(defined)
        named |= {f"{name}/{au}": value for au, value in defined.items()}
    return named


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
