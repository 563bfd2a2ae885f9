"""Pseudo-labels of confident predictions, and the loss of another view against them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from faceflow.losses.elementwise import ElementwiseLoss


class Cutoffs(NamedTuple):
    """Logits from which a label counts as confidently on, and up to which as confidently off; (A, L) or (1, 1)."""

    positive: Tensor
    negative: Tensor


class PseudoLabels(NamedTuple):
    """What the teacher is sure of: `target` of 0 and 1, and `confident` True where it counts, both (B, A, L)."""

    target: Tensor
    confident: Tensor


@torch.no_grad()
def pseudo_labels(logits: Tensor, cutoffs: Cutoffs, *, rank_consistent: bool, prefer_on: bool = False) -> PseudoLabels:
    """Turn the confident ones of independent sigmoids into labels.

    Two-sided cutoffs are FixMatch on each binary problem: of the softmax over (0, z) the larger one is >= tau where
    |z| >= logit(tau). Compared as fp32 logits: a bf16 sigmoid near 0.95 is too coarse.

    Args:
        logits: of the teacher, (B, A, L).
        cutoffs: see `Cutoffs`.
        rank_consistent: a level that is surely on switches on all levels below it, one that is surely off all above
            it; levels that are told both count as unsure. Otherwise levels are labelled one by one.
        prefer_on: levels that are told both count as on.

    Source: FixMatch (Sohn et al. 2020, arXiv:2001.07685), eq. 4.
    """
    z = logits.float()
    on, off = z >= cutoffs.positive, z <= cutoffs.negative
    if rank_consistent and z.shape[-1] > 1:
        on = on.flip(-1).int().cummax(-1).values.flip(-1).bool()
        off = off.int().cummax(-1).values.bool()
    return PseudoLabels(target=on.float(), confident=on | off if prefer_on else on ^ off)


def consistency(criterion: ElementwiseLoss, strong: Tensor, labels: PseudoLabels) -> Tensor:
    """Loss of the strong view against the teacher's labels, averaged over all entries, unsure ones included.

    A mean over the confident entries alone would multiply the term by 1 / (their share), and would make DeFixMatch
    biased.

    Args:
        criterion: the one of the labelled faces, so that both terms have one scale.
        strong: logits, (B, A, L).
        labels: of the same rows.

    Source: FixMatch eq. 4, with one sigmoid per label instead of a softmax.
    """
    observed = torch.ones(strong.shape[:2], dtype=torch.bool, device=strong.device)
    entries = criterion.elementwise(strong, labels.target, observed)
    return torch.where(labels.confident, entries, 0.0).mean()
