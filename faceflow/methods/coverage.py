"""Cutoffs that label a given share of the entries, even if the predictions drift."""

from __future__ import annotations

import torch
from torch import Tensor

from faceflow.methods.consistency import Cutoffs, PseudoLabels
from faceflow.methods.latest_logits import LatestLogits

_GAIN = 0.5  # how fast a missed share is made up for, in standard deviations of a single label
_RAREST = 1e-3  # lowest base rate; without it, a level that never occurs would be labelled never or always


class Coverage(LatestLogits):
    """Cutoffs at which the share coverage * base rate is labelled as on, and coverage * (1 - base rate) as off.

    The cutoffs are quantiles of the latest predictions. While training spreads the predictions, quantiles lag behind
    and would label too many entries; so the level of the quantile is corrected by the share labelled too much or too
    little. The mean share is then correct for any sequence of predictions. A running mean of the quantiles of batches
    would miss it even without drift if all probabilities are near 0 or 1.

    Source: adaptive conformal inference (Gibbs and Candes 2021, arXiv:2106.00170), eq. 2 and proposition 4.1.

    Args:
        coverage: share of the entries that get a label, in (0, 1].
        prior: base rates of the labelled faces, (A, L).
        rank_consistent: whether levels switch each other on and off, see `pseudo_labels`.
    """

    wanted: Tensor  # shares on and off, (2, A, L)
    missed: Tensor  # correction of these, (2, A, L)

    def __init__(self, coverage: float, prior: Tensor, *, rank_consistent: bool) -> None:
        super().__init__(prior.shape)
        self.everything, self.rank_consistent = coverage == 1, rank_consistent
        rates = prior.float().clamp(_RAREST, 1 - _RAREST)
        self.register_buffer("wanted", coverage * torch.stack([rates, 1 - rates]), persistent=False)
        self.register_buffer("missed", torch.zeros(2, *prior.shape))

    @torch.no_grad()
    def follow(self, logits: Tensor, labels: PseudoLabels) -> Cutoffs:
        """Return the cutoffs of the next step.

        Args:
            logits: logits of all processes, (B, A, L).
            labels: their labels by the cutoffs of this step.
        """
        on = labels.confident & (labels.target > 0.5)
        found = torch.stack([on.float().mean(dim=0), (labels.confident & ~on).float().mean(dim=0)])
        self.missed += _GAIN * (self.wanted * (1 - self.wanted)).sqrt() * (self.wanted - found)
        return self._quantiles(self.remember(logits), self.wanted + self.missed)

    def _quantiles(self, latest: Tensor, shares: Tensor) -> Cutoffs:
        """Cutoffs by level; if levels switch each other, each labels what the others leave of its share."""
        positive, negative = torch.empty_like(shares)
        on = torch.zeros_like(latest, dtype=torch.bool)
        nothing, levels = torch.zeros_like(on[..., 0]), range(latest.shape[-1])
        switched = nothing
        for level in reversed(levels):
            column = latest[..., level].masked_fill(switched, torch.inf)
            positive[:, level] = _lowest_of_top(column, shares[0, :, level])
            on[..., level] = column >= positive[:, level]
            switched = on[..., level] if self.rank_consistent else nothing
        switched = nothing
        for level in levels:
            column = -latest[..., level].masked_fill(switched, -torch.inf).masked_fill(on[..., level], torch.inf)
            negative[:, level] = -_lowest_of_top(column, shares[1, :, level])
            switched = column >= -negative[:, level] if self.rank_consistent else nothing
        below = torch.nextafter(positive, torch.full_like(positive, -torch.inf))  # no entry is on and off
        return Cutoffs(positive, below if self.everything else torch.minimum(negative, below))


def _lowest_of_top(column: Tensor, share: Tensor) -> Tensor:
    """Value (A,) that the next entry reaches with probability `share` if it is like those of the column, (N, A)."""
    rank = (share * (len(column) + 1)).round().long().clamp(1, len(column))
    value = column.sort(dim=0, descending=True).values.gather(0, rank.unsqueeze(0) - 1)[0]
    return value.masked_fill(share <= 0, torch.inf).masked_fill(share >= 1, -torch.inf)
