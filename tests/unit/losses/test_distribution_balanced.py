from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from faceflow.losses.distribution_balanced import DistributionBalanced
from faceflow.losses.elementwise import LabelCounts

COCO = {
    "neg_scale": 2.0,
    "init_bias": 0.05,
    "map_alpha": 0.1,
    "map_beta": 10.0,
    "map_gamma": 0.2,
    "focal_gamma": 2.0,
    "balance": 2.0,
}
OTHER = {
    "neg_scale": 5.0,
    "init_bias": 0.3,
    "map_alpha": 0.4,
    "map_beta": 3.0,
    "map_gamma": 0.3,
    "focal_gamma": 1.5,
    "balance": 1.0,
}
# Every AU level has another count. AU 3 never occurs, AU 4 always does, AU 5 is never labelled.
POSITIVES = [[40, 8], [6, 2], [0, 0], [50, 50], [0, 0]]
OBSERVED = [100, 80, 90, 50, 0]


def bound(
    positives: list[list[int]], observed: list[int], neutral_weight: str, values: dict[str, float]
) -> DistributionBalanced:
    loss = DistributionBalanced(**values, neutral_weight=neutral_weight)
    loss.bind(LabelCounts(positives=torch.tensor(positives), observed=torch.tensor(observed)))
    return loss


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def by_loops(logits: Tensor, target: Tensor, mask: Tensor, neutral_weight: str, c: dict[str, float]) -> Tensor:
    """The formula of the class docstring, one entry at a time in Python floats."""
    rows, aus, levels = logits.shape
    out = torch.zeros(rows, aus, levels, dtype=torch.float64)
    for level in range(levels):
        kept = [k for k in range(aus) if 0 < POSITIVES[k][level] < OBSERVED[k]]
        totals = [
            sum(1 / POSITIVES[j][level] for j in kept if mask[i, j] and target[i, j, level] == 1) for i in range(rows)
        ]
        inverse_totals = [1 / total for total in totals if total > 0]
        for i in range(rows):
            for k in kept:
                n, z = POSITIVES[k][level], logits[i, k, level].item()
                y = 1 if mask[i, k] and target[i, k, level] == 1 else 0
                if totals[i] > 0:
                    r = 1 / n / totals[i]
                elif neutral_weight == "mean" and inverse_totals:
                    r = sum(inverse_totals) / len(inverse_totals) / n
                else:
                    r = math.inf
                w = c["map_alpha"] + (1.0 if r == math.inf else sigmoid(c["map_beta"] * (r - c["map_gamma"])))
                v = -(c["init_bias"] / c["neg_scale"]) * math.log(OBSERVED[k] / n - 1)
                if y == 1:
                    cross_entropy = -math.log(sigmoid(z + v))
                else:
                    cross_entropy = -math.log(1 - sigmoid(c["neg_scale"] * (z + v)))
                    w /= c["neg_scale"]
                focal = (1 - math.exp(-cross_entropy)) ** c["focal_gamma"]
                out[i, k, level] = c["balance"] * focal * w * cross_entropy
    return out


def random_batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(12, 5, 2, generator=generator)
    target = (torch.rand(12, 5, 2, generator=generator) < 0.35).float()
    mask = torch.rand(12, 5, generator=generator) < 0.7
    target[:3] = 0  # neutral rows
    target[3] = 1
    mask[3, :2] = False  # positive, but unknown to be so: neutral as well
    return logits, target, mask


@pytest.mark.parametrize("values", [COCO, OTHER], ids=["coco", "other"])
@pytest.mark.parametrize("neutral_weight", ["mean", "max"])
def test_entries_equal_the_formula_written_as_loops(neutral_weight: str, values: dict[str, float]) -> None:
    logits, target, mask = random_batch()
    entries = bound(POSITIVES, OBSERVED, neutral_weight, values).elementwise(logits, target, mask)
    expected = by_loops(logits, target, mask, neutral_weight, values)
    torch.testing.assert_close(entries.double(), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("neutral_weight", ["mean", "max"])
def test_scalar_is_the_mean_of_the_loops_over_observed_entries(neutral_weight: str) -> None:
    logits, target, mask = random_batch()
    value = bound(POSITIVES, OBSERVED, neutral_weight, COCO)(logits, target, mask)
    expected = by_loops(logits, target, mask, neutral_weight, COCO)[mask].mean()
    torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=0)


def test_worked_example() -> None:
    # Two AUs, 20 and 5 positives of 100, on in one image; init_bias 0, so q = z or 2z.
    # Sum of 1/n: 0.05 + 0.2 = 0.25; r = 0.2 and 0.8; w = 0.1 + sigmoid(0) = 0.6 and 0.1 + sigmoid(6).
    loss = bound([[20], [5]], [100, 100], "max", {**COCO, "init_bias": 0.0})
    p = torch.tensor([[[0.8], [0.25]]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    first = 2 * 0.2**2 * 0.6 * -math.log(0.8)
    second = 2 * 0.75**2 * (0.1 + sigmoid(6)) * -math.log(0.25)
    entries = loss.elementwise(p.logit(), torch.ones(1, 2, 1), mask)
    torch.testing.assert_close(entries, torch.tensor([[[first], [second]]]))

    # Only AU 1 on: r = 1 and 0.2 / 0.05 = 4. The negative AU 2 at odds 1/3 has odds 1/9 at 2z, p = 0.1,
    # and half its weight.
    first = 2 * 0.2**2 * (0.1 + sigmoid(8)) * -math.log(0.8)
    second = 2 * 0.1**2 * (0.1 + sigmoid(38)) / 2 * -math.log(0.9)
    entries = loss.elementwise(p.logit(), torch.tensor([[[1.0], [0.0]]]), mask)
    torch.testing.assert_close(entries, torch.tensor([[[first], [second]]]))


def test_bias_uses_the_observed_labels_of_each_au() -> None:
    # log(N/n - 1): 100/20 - 1 = 4; 60/20 - 1 = 2. Times -init_bias / neg_scale = -0.025.
    loss = bound([[20], [20]], [100, 60], "max", COCO)
    torch.testing.assert_close(loss.bias, torch.tensor([[-0.025 * math.log(4)], [-0.025 * math.log(2)]]))


def test_au_levels_of_one_polarity_have_no_loss_and_no_gradient() -> None:
    logits, _, _ = random_batch()
    logits.requires_grad_()
    mask = torch.ones(12, 5, dtype=torch.bool)
    entries = bound(POSITIVES, OBSERVED, "mean", COCO).elementwise(logits, torch.ones(12, 5, 2), mask)
    entries.sum().backward()
    assert (entries[:, 2:] == 0).all()
    assert (entries[:, :2] > 0).all()
    assert logits.grad is not None
    assert (logits.grad[:, 2:] == 0).all()
    assert (logits.grad[:, :2] != 0).all()


def test_positives_of_left_out_aus_do_not_make_a_row_less_neutral() -> None:
    logits, _, mask = random_batch()
    loss = bound(POSITIVES, OBSERVED, "max", COCO)
    neutral = torch.zeros(12, 5, 2)
    left_out = neutral.clone()
    left_out[:, 2:] = 1
    assert torch.equal(loss.elementwise(logits, left_out, mask), loss.elementwise(logits, neutral, mask))


def test_neutral_row_weighs_most_with_max_and_like_the_others_with_mean() -> None:
    # Row 1: AU 1 on; sum 1/20, r of AU 2 = 20/60 = 1/3. Row 2 is neutral: r = inf or the mean 1/3.
    target = torch.tensor([[[1.0], [0.0]], [[0.0], [0.0]]])
    logits, mask = torch.zeros(2, 2, 1), torch.ones(2, 2, dtype=torch.bool)
    by_max, by_mean = (
        bound([[20], [60]], [100, 120], option, COCO).elementwise(logits, target, mask)[:, 1, 0]
        for option in ("max", "mean")
    )
    torch.testing.assert_close(by_max[1] / by_max[0], torch.tensor(1.1 / (0.1 + sigmoid(10 * (1 / 3 - 0.2)))))
    torch.testing.assert_close(by_mean[1], by_mean[0])
    torch.testing.assert_close(by_mean[0], by_max[0])


def test_batch_of_neutral_rows_has_the_largest_weight_under_both_options() -> None:
    logits, _, mask = random_batch()
    target = torch.zeros(12, 5, 2)
    by_max, by_mean = (
        bound(POSITIVES, OBSERVED, option, COCO).elementwise(logits, target, mask) for option in ("max", "mean")
    )
    assert torch.equal(by_max, by_mean)
    torch.testing.assert_close(by_max.double(), by_loops(logits, target, mask, "max", COCO), rtol=1e-4, atol=1e-7)
