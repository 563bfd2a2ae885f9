from __future__ import annotations

from math import log

import torch

from faceflow.losses.elementwise import LabelCounts
from faceflow.losses.weighted_asymmetric import WeightedAsymmetric

P = torch.tensor([[[0.8, 0.5], [0.25, 0.1]]])
Y = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
ALL = torch.ones(1, 2, dtype=torch.bool)
# Positives (p = 0.8 and 0.1): -log p. Negatives (p = 0.5 and 0.25): -p log(1 - p).
ENTRIES = torch.tensor([[[-log(0.8), -0.5 * log(0.5)], [-0.25 * log(0.75), -log(0.1)]]])


def test_negatives_are_scaled_by_their_own_probability() -> None:
    loss = WeightedAsymmetric(weighting="none", max_weight=10.0)
    torch.testing.assert_close(loss.elementwise(P.logit(), Y, ALL), ENTRIES)
    torch.testing.assert_close(loss(P.logit(), Y, ALL), ENTRIES.mean())


def test_weights_are_the_inverse_frequencies_of_the_aus() -> None:
    # Rates 1/2 and 1/6, inverses 2 and 6, mean 4.
    loss = WeightedAsymmetric(weighting="inverse_frequency", max_weight=10.0)
    loss.bind(LabelCounts(positives=torch.tensor([[30, 3], [10, 9]]), observed=torch.tensor([60, 60])))
    expected = ENTRIES * torch.tensor([[0.5], [1.5]])
    torch.testing.assert_close(loss.elementwise(P.logit(), Y, ALL), expected)


def test_no_gradient_flows_through_the_scale_of_negatives() -> None:
    # d/dz -log p = -(1 - p); d/dz -sg(p) log(1 - p) = p * p. Through p it would add -p(1 - p) log(1 - p).
    logits = P.logit().requires_grad_()
    WeightedAsymmetric(weighting="none", max_weight=10.0).elementwise(logits, Y, ALL).sum().backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[[-0.2, 0.25], [0.0625, -0.9]]]))
