from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from faceflow.errors import ConfigError
from faceflow.losses.bce import BCE
from faceflow.methods.defixmatch import DeFixMatch
from faceflow.methods.fixmatch import FixMatch
from faceflow.methods.objective import TEACHER
from faceflow.models.network import AUNetwork, NetworkOutput
from tests.helpers.methods import UNCENTRED
from tests.helpers.networks import label_counts, network_spec

NETWORK = AUNetwork(network_spec())
VIEWS = ("labeled", "labeled/strong", "unlabeled/strong", f"{TEACHER}labeled/weak", f"{TEACHER}unlabeled/weak")


def method(kind: type[FixMatch] = DeFixMatch, **changes: Any) -> FixMatch:
    settings: dict[str, Any] = {
        "criterion": BCE(weighting="none", max_weight=1.0),
        "p_cutoff": 0.95,
        "n_cutoff": None,
        "coverage": None,
        "rank_consistent": True,
        **UNCENTRED,
        "lambda_u": 0.5,
        "ramp_up": 0.0,
        "teacher": "student",
    }
    objective = kind(**(settings | changes))
    objective.bind(NETWORK, label_counts([[2], [5]], [10, 10]))
    return objective


def outputs(*logits: Tensor) -> dict[str, NetworkOutput]:
    return {view: NetworkOutput(value) for view, value in zip(VIEWS, logits, strict=True)}


def batch(target: Tensor, rows: int) -> dict[str, dict[str, Tensor]]:
    nothing = torch.zeros(rows, *target.shape[1:])
    return {
        "labeled": {"target": target, "mask": torch.ones(target.shape[:2], dtype=torch.bool)},
        "unlabeled": {"target": nothing, "mask": torch.zeros(nothing.shape[:2], dtype=torch.bool)},
    }


def test_views_are_what_the_estimator_needs() -> None:
    assert method().views == set(VIEWS)


def test_terms_cancel_exactly_where_both_streams_coincide() -> None:
    weak, strong = (6 * torch.randn(4, 2, 1, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    terms = method()(outputs(weak, strong, strong, weak, weak), batch(torch.ones(4, 2, 1), 4))
    assert terms["consistency_loss"].item() > 0
    assert terms["consistency_loss"].item() + terms["debias_loss"].item() == 0.0


def test_anti_term_lies_on_the_strong_labelled_logits() -> None:
    weak = torch.tensor([[[5.0], [0.0]]], requires_grad=True)  # sure that AU1 occurs, unsure of AU12
    strong = torch.tensor([[[1.0], [1.0]]], requires_grad=True)
    unlabeled = torch.zeros(1, 2, 1)
    taught = weak.detach()
    terms = method()(outputs(weak, strong, unlabeled, taught, unlabeled), batch(torch.zeros(1, 2, 1), 1))
    # true labels are not used: the pseudo-label of AU1 is 1 where the label is 0
    assert terms["debias_loss"].item() == pytest.approx(-0.5 * math.log(1 + math.exp(-1)) / 2)
    (gradient,) = torch.autograd.grad(terms["debias_loss"], strong)
    assert gradient[0, 0].item() == pytest.approx(0.5 * (1 / (1 + math.e)) / 2)
    assert gradient[0, 1].item() == 0.0
    assert not torch.autograd.grad(terms["task_loss"], weak)[0].eq(0).all()


def test_task_loss_is_the_mean_of_the_labelled_and_the_strong_view() -> None:
    weak, strong, z = torch.zeros(1, 2, 1), torch.full((1, 2, 1), 2.0), torch.zeros(1, 2, 1)
    terms = method()(outputs(weak, strong, z, z, z), batch(torch.ones(1, 2, 1), 1))
    assert terms["task_loss"].item() == pytest.approx((math.log(2) + math.log(1 + math.exp(-2))) / 2)


def test_right_and_confident_labelled_entries_have_no_gradient_at_the_highest_lambda() -> None:
    weak, z = torch.full((1, 2, 1), 5.0), torch.zeros(1, 2, 1)
    strong = torch.full((1, 2, 1), 1.5, requires_grad=True)
    terms = method()(outputs(weak, strong, z, weak, z), batch(torch.ones(1, 2, 1), 1))
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert strong.grad is not None
    assert strong.grad.abs().max().item() < 1e-7


def test_difference_of_both_consistencies_is_zero_in_the_mean() -> None:
    generator = torch.Generator().manual_seed(3)
    objective, total, squares, rounds = method(p_cutoff=0.8), 0.0, 0.0, 400
    for _ in range(rounds):
        weak = 2 * torch.randn(16 + 48, 2, 1, generator=generator)
        strong = weak + torch.randn(64, 2, 1, generator=generator)
        rows = outputs(weak[:16], strong[:16], strong[16:], weak[:16], weak[16:])
        terms = objective(rows, batch(torch.ones(16, 2, 1), 48))
        gap = terms["consistency_loss"].item() + terms["debias_loss"].item()
        total, squares = total + gap, squares + gap**2
    error = math.sqrt(squares) / rounds
    assert abs(total / rounds) < 3 * error
    assert error < 0.002  # the test would see the bias of 0.07 that weak logits in the anti-term cause


def test_adaptive_cutoffs_are_the_same_for_both_terms() -> None:
    weak, strong = (2 * torch.randn(32, 2, 1, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    objective = method(coverage=0.8)
    before = objective.labeller.cutoffs.positive.clone()
    terms = objective(outputs(weak, strong, strong, weak, weak), batch(torch.ones(32, 2, 1), 32))
    assert terms["consistency_loss"].item() + terms["debias_loss"].item() == 0.0
    assert not torch.equal(objective.labeller.cutoffs.positive, before)


def test_lambda_above_one_half_is_refused_but_not_by_fixmatch() -> None:
    with pytest.raises(ConfigError, match=r"^lambda_u: expected a weight in \[0, 0\.5\], got 0\.6"):
        method(lambda_u=0.6)
    method(FixMatch, lambda_u=10.0)


def test_lambda_zero_is_the_supervised_loss_of_both_views() -> None:
    objective = method(lambda_u=0)
    assert objective.views == {"labeled", "labeled/strong"}
