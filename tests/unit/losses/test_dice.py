from __future__ import annotations

from math import log

import pytest
import torch

from faceflow.losses.dice import Dice

# Two images, two AUs, one level; AU 2 is missing on the second image.
P = torch.tensor([[[0.8], [0.5]], [[0.4], [0.9]]])
Y = torch.tensor([[[1.0], [1.0]], [[0.0], [float("nan")]]])
MASK = torch.tensor([[True, True], [True, False]])
BCE = (-log(0.8) - log(0.5) - log(0.6)) / 3
# AU 1: 2 * 0.8 / (0.8 + 0.4 + 1) with epsilon 0.1; AU 2: only the first image.
DICE = ((1 - 1.7 / 2.3) + (1 - 1.1 / 1.6)) / 2


@pytest.mark.parametrize("share", [1.0, 0.75, 0.5, 0.01])
def test_loss_mixes_bce_and_the_mean_dice_of_the_aus(share: float) -> None:
    loss = Dice(epsilon=0.1, bce_share=share)
    torch.testing.assert_close(loss(P.logit(), Y, MASK), torch.tensor(share * BCE + (1 - share) * DICE))


def test_levels_have_their_own_ratio() -> None:
    # The same numbers as two levels of one AU, both images observed.
    p, y = torch.tensor([[[0.8, 0.5]], [[0.4, 0.9]]]), torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]]])
    bce = (-log(0.8) - log(0.5) - log(0.6) - log(0.9)) / 4
    dice = ((1 - 1.7 / 2.3) + (1 - (2 * 1.4 + 0.1) / (1.4 + 2 + 0.1))) / 2
    loss = Dice(epsilon=0.1, bce_share=0.5)(p.logit(), y, torch.ones(2, 1, dtype=torch.bool))
    torch.testing.assert_close(loss, torch.tensor((bce + dice) / 2))


def test_aus_without_a_positive_in_the_batch_have_no_dice() -> None:
    # AU 2 is only negative now: Dice of AU 1 alone. Without positives at all: BCE alone.
    y = torch.tensor([[[1.0], [0.0]], [[0.0], [0.0]]])
    loss = Dice(epsilon=0.1, bce_share=0.5)
    expected = (BCE + (1 - 1.7 / 2.3)) / 2
    torch.testing.assert_close(loss(P.logit(), y, MASK), torch.tensor(expected))
    bce = (-log(0.2) - log(0.5) - log(0.6)) / 3
    torch.testing.assert_close(loss(P.logit(), torch.zeros_like(y), MASK), torch.tensor(bce / 2))


def test_au_whose_only_positive_is_missing_has_no_dice() -> None:
    y = torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]])
    expected = (BCE + (1 - 1.7 / 2.3)) / 2
    torch.testing.assert_close(Dice(epsilon=0.1, bce_share=0.5)(P.logit(), y, MASK), torch.tensor(expected))


def test_entries_are_the_share_of_bce() -> None:
    entries = Dice(epsilon=0.1, bce_share=0.25).elementwise(P.logit(), Y, MASK)
    expected = -0.25 * torch.tensor([[[log(0.8)], [log(0.5)]], [[log(0.6)], [log(0.1)]]])
    torch.testing.assert_close(entries, expected)


def test_perfect_prediction_costs_nothing() -> None:
    y = torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]])
    value = Dice(epsilon=1e-4, bce_share=0.5)(100 * (2 * y - 1), y, torch.ones(2, 2, dtype=torch.bool))
    torch.testing.assert_close(value, torch.tensor(0.0))
