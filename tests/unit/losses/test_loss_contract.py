"""Properties of every loss, whatever its formula."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from faceflow.losses.bce import BCE
from faceflow.losses.dice import Dice
from faceflow.losses.distribution_balanced import DistributionBalanced
from faceflow.losses.elementwise import ElementwiseLoss, LabelCounts
from faceflow.losses.focal import Focal
from faceflow.losses.weighted_asymmetric import WeightedAsymmetric

B, A, L = 6, 3, 2
# The second AU never occurs.
COUNTS = LabelCounts(positives=torch.tensor([[40, 10], [0, 0], [5, 1]]), observed=torch.tensor([100, 80, 100]))


def distribution_balanced(neutral_weight: str) -> DistributionBalanced:
    return DistributionBalanced(
        neg_scale=2.0,
        init_bias=0.05,
        map_alpha=0.1,
        map_beta=10.0,
        map_gamma=0.2,
        focal_gamma=2.0,
        balance=2.0,
        neutral_weight=neutral_weight,
    )


BUILDERS: dict[str, Callable[[], ElementwiseLoss]] = {
    "bce": lambda: BCE(weighting="none", max_weight=10.0),
    "bce_inverse": lambda: BCE(weighting="inverse_frequency", max_weight=10.0),
    "bce_positive": lambda: BCE(weighting="positive", max_weight=20.0),
    "focal": lambda: Focal(gamma=2.0, alpha=0.25),
    "focal_root": lambda: Focal(gamma=0.5, alpha=None),
    "db_mean": lambda: distribution_balanced("mean"),
    "db_max": lambda: distribution_balanced("max"),
    "asymmetric": lambda: WeightedAsymmetric(weighting="none", max_weight=10.0),
    "asymmetric_inverse": lambda: WeightedAsymmetric(weighting="inverse_frequency", max_weight=10.0),
    "dice": lambda: Dice(epsilon=1e-4, bce_share=0.5),
}
BUFFERS = {
    "bce_inverse": {"au_weight": (A, 1)},
    "bce_positive": {"pos_weight": (A, L)},
    "db_mean": {"bias": (A, L), "inverse_count": (A, L)},
    "db_max": {"bias": (A, L), "inverse_count": (A, L)},
    "asymmetric_inverse": {"au_weight": (A, 1)},
}


@pytest.fixture(params=BUILDERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def loss(name: str) -> ElementwiseLoss:
    built = BUILDERS[name]()
    built.bind(COUNTS)
    return built


def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(B, A, L, generator=generator)
    target = (torch.rand(B, A, L, generator=generator) < 0.4).float()
    target[:, 1] = 0
    target[2] = 0
    mask = torch.rand(B, A, generator=generator) < 0.7
    mask[0, 0] = mask[1, 0] = mask[2, 0] = True
    target[0, 0] = torch.tensor([1.0, 0.0])
    mask[4] = False
    return logits, target, mask


def value_and_gradient(loss: ElementwiseLoss, logits: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    value = loss(logits, target, mask)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


@pytest.mark.parametrize("junk", [float("nan"), float("inf"), 9.0, -1.0])
def test_missing_labels_change_nothing_and_get_no_gradient(loss: ElementwiseLoss, junk: float) -> None:
    logits, target, mask = batch()
    spoilt = torch.where(mask.unsqueeze(-1), target, junk)
    clean_value, clean_gradient = value_and_gradient(loss, logits, target, mask)
    value, gradient = value_and_gradient(loss, logits, spoilt, mask)
    assert value == clean_value
    assert value > 0
    assert torch.equal(gradient, clean_gradient)
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).any()


def test_logits_of_missing_labels_do_not_count(loss: ElementwiseLoss) -> None:
    logits, target, mask = batch()
    other = torch.where(mask.unsqueeze(-1), logits, -logits + 5)
    assert loss(other, target, mask) == loss(logits, target, mask)


def test_batch_without_labels_gives_zero_and_no_gradient(loss: ElementwiseLoss) -> None:
    logits, _, mask = batch()
    value, gradient = value_and_gradient(loss, logits, torch.full_like(logits, float("nan")), torch.zeros_like(mask))
    assert value == 0
    assert (gradient == 0).all()


def test_scalar_is_the_mean_over_observed_entries(name: str, loss: ElementwiseLoss) -> None:
    logits, target, mask = batch()
    entries = loss.elementwise(logits, target, mask)
    expected = entries[mask].mean()  # (observed AUs, L)
    if name == "dice":
        assert loss(logits, target, mask) > expected
    else:
        torch.testing.assert_close(loss(logits, target, mask), expected)


def test_order_of_rows_does_not_matter(loss: ElementwiseLoss) -> None:
    logits, target, mask = batch()
    order = torch.tensor([3, 5, 0, 2, 4, 1])
    entries = loss.elementwise(logits, target, mask)
    torch.testing.assert_close(loss.elementwise(logits[order], target[order], mask[order]), entries[order])
    torch.testing.assert_close(loss(logits[order], target[order], mask[order]), loss(logits, target, mask))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("magnitude", [0.0, 1e-4, 20.0, 1e4])
def test_extreme_logits_stay_finite(loss: ElementwiseLoss, dtype: torch.dtype, magnitude: float) -> None:
    signs = torch.tensor([1.0, -1.0]).repeat(A, 1).repeat(4, 1, 1)
    logits = (magnitude * signs).to(dtype).requires_grad_()
    target = torch.tensor([0.0, 1.0]).repeat_interleave(2).reshape(4, 1, 1).expand(4, A, L)
    mask = torch.ones(4, A, dtype=torch.bool)
    entries = loss.elementwise(logits, target, mask)
    value = loss(logits, target, mask)
    value.backward()
    assert entries.shape == (4, A, L)
    assert entries.dtype == value.dtype == torch.float32
    assert entries.isfinite().all()
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_fp32(loss: ElementwiseLoss, dtype: torch.dtype) -> None:
    logits, target, mask = batch()
    logits = logits.to(dtype)
    assert loss(logits, target.to(dtype), mask) == loss(logits.float(), target, mask)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_integer_targets_equal_float_targets(loss: ElementwiseLoss, dtype: torch.dtype) -> None:
    logits, target, mask = batch()
    assert loss(logits, target.to(dtype), mask) == loss(logits, target, mask)


def test_one_image_one_au_one_level_keeps_its_rank(name: str) -> None:
    loss = BUILDERS[name]()
    loss.bind(LabelCounts(positives=torch.tensor([[1]]), observed=torch.tensor([4])))
    one = torch.ones(1, 1, 1)
    assert loss.elementwise(one, one, torch.ones(1, 1, dtype=torch.bool)).shape == (1, 1, 1)


def test_counts_become_buffers_of_the_state_dict(name: str, loss: ElementwiseLoss) -> None:
    shapes = {key: tuple(value.shape) for key, value in loss.state_dict().items()}
    assert shapes == BUFFERS.get(name, {})
    assert list(loss.parameters()) == []
    moved = loss.to("meta")
    assert all(value.is_meta for value in moved.state_dict().values())


@pytest.mark.parametrize("name", sorted(BUFFERS))
def test_restored_state_beats_the_counts_it_was_bound_to(name: str, loss: ElementwiseLoss) -> None:
    other = BUILDERS[name]()
    other.bind(LabelCounts(positives=torch.tensor([[9, 8], [7, 6], [5, 4]]), observed=torch.tensor([10, 20, 30])))
    logits, target, mask = batch()
    assert other(logits, target, mask) != loss(logits, target, mask)
    other.load_state_dict(loss.state_dict())
    assert other(logits, target, mask) == loss(logits, target, mask)


@pytest.mark.parametrize("name", sorted(BUFFERS))
def test_use_before_bind_is_refused(name: str) -> None:
    with pytest.raises(AssertionError, match="bind"):
        BUILDERS[name]()(*batch())


def test_mask_of_another_rank_is_refused_instead_of_broadcast(loss: ElementwiseLoss) -> None:
    logits, target, mask = batch()
    with pytest.raises(AssertionError):
        loss(logits, target, mask.unsqueeze(-1).expand_as(logits))
