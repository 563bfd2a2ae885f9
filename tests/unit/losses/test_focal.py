from __future__ import annotations

from math import log

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from faceflow.losses.bce import BCE
from faceflow.losses.focal import Focal

P = torch.tensor([[[0.8, 0.5], [0.25, 0.1]]])
Y = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
ALL = torch.ones(1, 2, dtype=torch.bool)
# (1 - p_t)^2 BCE with p_t = 0.8, 0.5, 0.75, 0.1.
GAMMA_2 = torch.tensor([[[-0.04 * log(0.8), -0.25 * log(0.5)], [-0.0625 * log(0.75), -0.81 * log(0.1)]]])


def test_entries_are_cross_entropies_times_squared_misses() -> None:
    loss = Focal(gamma=2.0, alpha=None)
    torch.testing.assert_close(loss.elementwise(P.logit(), Y, ALL), GAMMA_2)
    torch.testing.assert_close(loss(P.logit(), Y, ALL), GAMMA_2.mean())


def test_alpha_weighs_positives_and_its_complement_negatives() -> None:
    loss = Focal(gamma=2.0, alpha=0.25)
    expected = GAMMA_2 * torch.tensor([[0.25, 0.75], [0.75, 0.25]])
    torch.testing.assert_close(loss.elementwise(P.logit(), Y, ALL), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("alpha", [None, 0.0, 0.25, 0.9])
def test_values_and_gradients_equal_torchvision(gamma: float, alpha: float | None) -> None:
    torch.manual_seed(0)
    target = torch.randint(2, (16, 5, 3)).float()
    logits = (3 * torch.randn(16, 5, 3)).requires_grad_()
    ours = Focal(gamma=gamma, alpha=alpha)(logits, target, torch.ones(16, 5, dtype=torch.bool))
    off = -1 if alpha is None else alpha  # torchvision's way to say None
    theirs = sigmoid_focal_loss(logits, target, alpha=off, gamma=gamma, reduction="mean")
    torch.testing.assert_close(ours, theirs)
    (our_gradient,) = torch.autograd.grad(ours, logits)
    (their_gradient,) = torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(our_gradient, their_gradient)


def test_gamma_zero_is_bce() -> None:
    torch.manual_seed(0)
    logits, target = 5 * torch.randn(8, 2, 3), torch.randint(2, (8, 2, 3)).float()
    mask = torch.rand(8, 2) < 0.5
    focal, bce = Focal(gamma=0.0, alpha=None), BCE(weighting="none", max_weight=1.0)
    torch.testing.assert_close(focal(logits, target, mask), bce(logits, target, mask))
