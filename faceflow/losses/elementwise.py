"""The interface of all losses: a value per label entry, and its mean over the observed entries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faceflow.losses.processes import summed


@dataclass(frozen=True)
class LabelCounts:
    """Statistics of the training faces.

    Attributes:
        positives: images on which the level of the AU is on, (A, L); images without that label do not count.
        observed: images that carry a label of the AU, (A,).
        domains: names of the domains that `domain` in a batch refers to; those of labelled faces come first.
        subjects: number of subjects that `subject` in a batch refers to.
        origins: number of origins that `origin` in a batch refers to, see `faceflow.data.groups.Groups`.
    """

    positives: Tensor
    observed: Tensor
    domains: tuple[str, ...] = ()
    subjects: int = 0
    origins: int = 0


class ElementwiseLoss(nn.Module):
    """A loss per label entry, used by supervised and consistency terms alike.

    A loss implements `_entries`, and `bind` if it depends on label counts.
    """

    def bind(self, counts: LabelCounts) -> None:
        """Fill buffers from the training counts. Called once, before any checkpoint is restored."""

    def elementwise(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Weighted loss of every entry, whether observed or not.

        Args:
            logits: (B, A, L).
            target: 0 or 1, (B, A, L); can hold any value, including NaN, where `mask` is False.
            mask: True where the AU is observed, (B, A).

        Returns:
            (B, A, L) in fp32, finite everywhere. Not masked: missing entries hold the loss of a negative.
        """
        # Broadcasting would turn a mask of another rank into a wrong loss, not into an error.
        assert logits.ndim == 3
        assert target.shape == logits.shape
        assert mask.shape == logits.shape[:2]
        return self._entries(logits.float(), fill_missing(target, mask), mask)

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Mean of `elementwise` over the observed entries of all processes; 0 without gradient if there are none."""
        entries = self.elementwise(logits, target, mask)
        observed = mask.unsqueeze(-1).expand_as(entries)
        total = torch.where(observed, entries, 0.0).sum()
        return summed(total) / summed(observed.sum()).clamp(min=1)

    def _entries(self, logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """`elementwise` on fp32 logits and targets that are 0 where missing."""
        raise NotImplementedError


def fill_missing(target: Tensor, mask: Tensor) -> Tensor:
    """Targets in fp32, 0 where the AU is missing.

    Args:
        target: (B, A, L), any dtype.
        mask: True where the AU is observed, (B, A).
    """
    return torch.where(mask.unsqueeze(-1), target, 0).float()
