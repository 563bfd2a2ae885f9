"""Pseudo-labels of confident predictions, and the loss of another view against them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from faceflow.losses.elementwise import ElementwiseLoss


class Cutoffs(NamedTuple):
    """Logits from which a label is confidently on, and up to which it is confidently off; (A, L) or (1, 1)."""

    positive: Tensor
    negative: Tensor


class PseudoLabels(NamedTuple):
    """Labels by the teacher: `target` of 0 and 1, and `confident`, True where the target counts; both (B, A, L)."""

    target: Tensor
    confident: Tensor


@torch.no_grad()
def pseudo_labels(logits: Tensor, cutoffs: Cutoffs, *, rank_consistent: bool, prefer_on: bool = False) -> PseudoLabels:
    """Turn confident predictions of independent sigmoids into labels.

    Two-sided cutoffs are FixMatch on each binary problem: the larger softmax value over (0, z) is >= tau if
    |z| >= logit(tau). Values are compared as fp32 logits, as a bf16 sigmoid near 0.95 is too coarse.

    Args:
        logits: logits of the teacher, (B, A, L).
        cutoffs: see `Cutoffs`.
        rank_consistent: a level that is confidently on switches on all levels below it, a level that is confidently off
            switches off all above it; levels in conflict count as unsure. Otherwise each level is labelled alone.
        prefer_on: levels in conflict count as on.

    Source: FixMatch (Sohn et al. 2020, arXiv:2001.07685), eq. 4.
    """
    z = logits.float()
    on, off = z >= cutoffs.positive, z <= cutoffs.negative
    if rank_consistent and z.shape[-1] > 1:
        on = on.flip(-1).int().cummax(-1).values.flip(-1).bool()
        off = off.int().cummax(-1).values.bool()
    return PseudoLabels(target=on.float(), confident=on | off if prefer_on else on ^ off)


def consistency(criterion: ElementwiseLoss, strong: Tensor, labels: PseudoLabels) -> Tensor:
    """Loss of the strong view against the teacher's labels, averaged over all entries, including unsure ones.

    A mean over only the confident entries would multiply the term by 1 / (their share), and would bias DeFixMatch.

    Args:
        criterion: the criterion of the labelled faces, so that both terms have the same scale.
        strong: logits of the strong view, (B, A, L).
        labels: pseudo-labels of the same rows.

    Source: FixMatch eq. 4, with one sigmoid per label instead of a softmax.
    """
    observed = torch.ones(strong.shape[:2], dtype=torch.bool, device=strong.device)
    entries = criterion.elementwise(strong, labels.target, observed)
    return torch.where(labels.confident, entries, 0.0).mean()
