from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor, nn

from faceflow.losses.bce import BCE
from faceflow.losses.elementwise import LabelCounts

# Probabilities of one image with two AUs of two levels, and their cross-entropies for y = (1, 0), (0, 1).
P = torch.tensor([[[0.8, 0.5], [0.25, 0.1]]])
Y = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
E = torch.tensor([[[-log(0.8), -log(0.5)], [-log(0.75), -log(0.1)]]])
ALL = torch.ones(1, 2, dtype=torch.bool)


def bound(weighting: str, max_weight: float, positives: list[list[int]], observed: list[int]) -> BCE:
    loss = BCE(weighting=weighting, max_weight=max_weight)
    loss.bind(LabelCounts(positives=torch.tensor(positives), observed=torch.tensor(observed)))
    return loss


def test_unweighted_entries_are_negative_log_likelihoods() -> None:
    loss = BCE(weighting="none", max_weight=10.0)
    torch.testing.assert_close(loss.elementwise(P.logit(), Y, ALL), E)
    torch.testing.assert_close(loss(P.logit(), Y, ALL), E.mean())


def test_missing_au_leaves_the_mean_of_the_other() -> None:
    loss = BCE(weighting="none", max_weight=10.0)
    expected = torch.tensor((-log(0.8) - log(0.5)) / 2)
    torch.testing.assert_close(loss(P.logit(), Y, torch.tensor([[True, False]])), expected)


def test_unweighted_equals_torch_on_a_full_batch() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(16, 5, 3), torch.randint(2, (16, 5, 3)).float()
    ours = BCE(weighting="none", max_weight=10.0)(logits, target, torch.ones(16, 5, dtype=torch.bool))
    torch.testing.assert_close(ours, nn.BCEWithLogitsLoss()(logits, target))


def test_inverse_frequency_weighs_both_polarities_of_an_au() -> None:
    # Rates at level 1: 30/60 = 1/2 and 10/60 = 1/6; inverses 2 and 6, mean 4: weights 0.5 and 1.5.
    # Level 2 (1 and 1 positives) must not matter.
    loss = bound("inverse_frequency", 10.0, [[30, 1], [10, 1]], [60, 60])
    expected = E * torch.tensor([[0.5], [1.5]])
    torch.testing.assert_close(loss.elementwise(P.logit(), Y, ALL), expected)


def test_inverse_frequency_uses_the_observed_labels_of_each_au() -> None:
    # The same 10 positives among 20 and among 60 labels: rates 1/2 and 1/6.
    loss = bound("inverse_frequency", 10.0, [[10], [10]], [20, 60])
    torch.testing.assert_close(loss.au_weight, torch.tensor([[0.5], [1.5]]))


def test_inverse_frequency_is_capped_in_multiples_of_the_mean() -> None:
    # Inverse rates 2, 2, 20: mean 8, weights 0.25, 0.25, 2.5, the last one capped at 2.
    loss = bound("inverse_frequency", 2.0, [[50], [50], [5]], [100, 100, 100])
    torch.testing.assert_close(loss.au_weight, torch.tensor([[0.25], [0.25], [2.0]]))


def test_au_without_positives_or_labels_keeps_weight_one_and_takes_nothing_from_others() -> None:
    # AU 3 never occurs, AU 4 is never labelled; AUs 1 and 2 weigh 0.5 and 1.5 as without them.
    loss = bound("inverse_frequency", 10.0, [[30], [10], [0], [0]], [60, 60, 60, 0])
    torch.testing.assert_close(loss.au_weight, torch.tensor([[0.5], [1.5], [1.0], [1.0]]))


def test_data_without_any_positive_is_not_weighted() -> None:
    loss = bound("inverse_frequency", 10.0, [[0], [0]], [60, 0])
    torch.testing.assert_close(loss.au_weight, torch.ones(2, 1))


def test_positive_weight_multiplies_positives_only() -> None:
    # AU 1: 25 of 100 -> 75/25 = 3 at level 1, 10 -> 9 at level 2; AU 2: 60 of 100 -> 40/60 < 1 -> 1,
    # 2 -> 49, capped at 20. Of the four entries only (AU 1, level 1) and (AU 2, level 2) are positive.
    loss = bound("positive", 20.0, [[25, 10], [60, 2]], [100, 100])
    expected = E * torch.tensor([[3.0, 1.0], [1.0, 20.0]])
    torch.testing.assert_close(loss.elementwise(P.logit(), Y, ALL), expected)


def test_positive_sqrt_is_the_root_of_the_ratio_within_its_cap() -> None:
    # 10 of 100 -> 9, root 3; 60 of 100 -> below 1 -> 1; 2 of 100 -> 49, root 7, capped at 5.
    loss = bound("positive_sqrt", 5.0, [[10, 10], [60, 2]], [100, 100])
    pos_weight: Tensor | None = loss.pos_weight
    torch.testing.assert_close(pos_weight, torch.tensor([[3.0, 3.0], [1.0, 5.0]]))


@pytest.mark.parametrize(
    ("positives", "observed", "weight"),
    [(0, 50, 20.0), (50, 50, 1.0), (0, 0, 1.0)],
    ids=["never occurs", "always occurs", "never labelled"],
)
def test_positive_weight_at_the_edges(positives: int, observed: int, weight: float) -> None:
    loss = bound("positive", 20.0, [[positives]], [observed])
    pos_weight: Tensor | None = loss.pos_weight
    torch.testing.assert_close(pos_weight, torch.tensor([[weight]]))
