from __future__ import annotations

import math

import pytest
import torch

from faceflow.losses.bce import BCE
from faceflow.methods.supervised import Supervised
from faceflow.models.network import AUNetwork, NetworkOutput
from tests.helpers.networks import label_counts, network_spec


def supervised(weighting: str = "none") -> Supervised:
    return Supervised(criterion=BCE(weighting=weighting, max_weight=10.0))


def test_reads_only_the_labelled_view_of_labelled_faces() -> None:
    assert Supervised.views == {"labeled"}
    assert not Supervised.maps


def test_term_is_the_mean_over_known_labels() -> None:
    logits = torch.tensor([[[0.0], [math.log(3)]], [[5.0], [-math.log(3)]]])  # sigmoid 1/2, 3/4; any, 1/4
    batch = {
        "labeled": {
            "target": torch.tensor([[[1.0], [0.0]], [[1.0], [0.0]]]),
            "mask": torch.tensor([[True, True], [False, True]]),
        }
    }
    terms = supervised()({"labeled": NetworkOutput(logits)}, batch)
    assert list(terms) == ["task_loss"]
    # -log(1/2), -log(1 - 3/4), -log(1 - 1/4), over three known labels
    assert terms["task_loss"].item() == pytest.approx((math.log(2) + math.log(4) + math.log(4 / 3)) / 3)


@pytest.mark.parametrize("missing", [0.0, 1.0, math.nan])
def test_missing_labels_give_exactly_no_gradient_whatever_they_hold(missing: float) -> None:
    logits = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mask = torch.tensor([[True, False], [False, False], [False, True]])
    target = torch.where(mask.unsqueeze(-1), torch.ones(3, 2, 5), missing)
    terms = supervised()({"labeled": NetworkOutput(logits)}, {"labeled": {"target": target, "mask": mask}})
    terms["task_loss"].backward()
    assert logits.grad is not None
    assert (logits.grad[~mask] == 0).all()
    assert (logits.grad[mask] != 0).all()


def test_batch_without_any_label_costs_nothing() -> None:
    logits = torch.randn(2, 2, 1).requires_grad_()
    mask = torch.zeros(2, 2, dtype=torch.bool)
    batch = {"labeled": {"target": torch.full((2, 2, 1), math.nan), "mask": mask}}
    loss = supervised()({"labeled": NetworkOutput(logits)}, batch)["task_loss"]
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_bind_hands_the_label_counts_to_the_criterion() -> None:
    objective = supervised("inverse_frequency")
    objective.bind(AUNetwork(network_spec()), label_counts([[10], [30]], [100, 100]))
    # rates 1/10 and 3/10, inverse 10 and 10/3, mean 20/3
    torch.testing.assert_close(objective.criterion.au_weight, torch.tensor([[1.5], [0.5]]))
