from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from faceflow.losses.bce import BCE
from faceflow.losses.elementwise import LabelCounts
from faceflow.methods.objective import Batch, Objective, Outputs
from faceflow.methods.supervised import Supervised
from faceflow.models.network import AUNetwork
from tests.helpers.networks import label_counts, network_spec, random_images
from tests.helpers.training import fit, make_module


class FaceVisible(Objective):
    """A second head of its own with a weight: it sees one feature map and predicts a second target."""

    views = frozenset({"labeled"})
    maps = True

    def __init__(self, *, weight: float, lr_mult: float) -> None:
        super().__init__()
        self.weight, self.lr_mult = weight, lr_mult

    def bind(self, network: AUNetwork, counts: LabelCounts) -> None:
        self.head = nn.Linear(network.backbone.channels[-1], 1)

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        score = self.head(outputs["labeled"].maps[-1].mean(dim=(2, 3)))
        return {"visible": self.weight * nn.functional.softplus(-score).mean()}


def two_heads(weight: float) -> dict[str, Objective]:
    return {
        "supervised": Supervised(criterion=BCE(weighting="none", max_weight=1.0)),
        "visible": FaceVisible(weight=weight, lr_mult=10.0),
    }


def one_batch() -> dict[str, dict[str, Tensor]]:
    target = torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]])
    return {"labeled": {"labeled": random_images(2), "target": target, "mask": torch.ones(2, 2, dtype=torch.bool)}}


def test_objective_can_own_a_head_that_is_trained_at_its_rate_without_decay() -> None:
    module = make_module(
        objectives=two_heads(weight=0.5),
        optimizer=partial(torch.optim.SGD, lr=0.01, weight_decay=0.3),
    )
    before = {name: value.clone() for name, value in module.objectives["visible"].named_parameters()}
    bound: dict[str, Tensor] = {name: value.clone() for name, value in module.network.named_parameters()}
    gradients: dict[str, Tensor] = {}

    def keep_gradients(*_: Any) -> None:
        gradients.update({k: p.grad.clone() for k, p in module.objectives["visible"].named_parameters()})

    trainer = fit(module, [one_batch()], before_step=keep_gradients)
    owned = [g for g in trainer.optimizers[0].param_groups if g["lr"] == pytest.approx(0.1)]
    assert [group["weight_decay"] for group in owned] == [0.0, 0.0]
    for name, parameter in module.objectives["visible"].named_parameters():
        assert (gradients[name] != 0).any()
        torch.testing.assert_close(parameter, before[name] - 0.01 * 10 * gradients[name])  # no decay term
    assert any(not torch.equal(value, bound[name]) for name, value in module.network.named_parameters())


def test_terms_of_all_objectives_are_summed_and_logged_by_name() -> None:
    module = make_module(objectives=two_heads(weight=0.5))
    logged = fit(module, [one_batch()]).callback_metrics
    parts = logged["train/supervised/task_loss"] + logged["train/visible/visible"]
    assert logged["train/loss"].item() == pytest.approx(parts.item(), rel=1e-5)


def test_weight_scales_the_term_and_zero_switches_its_head_off() -> None:
    module = make_module(objectives=two_heads(weight=0.0))
    head = module.objectives["visible"].head
    before = head.weight.clone()
    assert fit(module, [one_batch()]).callback_metrics["train/visible/visible"] == 0
    assert torch.equal(head.weight, before)


def test_parameters_of_an_objective_travel_in_the_state_dict() -> None:
    module = make_module(objectives=two_heads(weight=1.0))
    assert {"objectives.visible.head.weight", "objectives.visible.head.bias"} <= module.state_dict().keys()


def test_objective_without_terms_of_its_own_must_say_so() -> None:
    with pytest.raises(NotImplementedError):
        Objective()({}, {})


def test_bind_comes_before_the_first_restore_so_parameters_exist() -> None:
    counts = label_counts([[1], [1]], [2, 2])
    objective = FaceVisible(weight=1.0, lr_mult=1.0)
    objective.bind(AUNetwork(network_spec()), counts)
    assert [tuple(p.shape) for p in objective.parameters()] == [(1, 96), (1,)]
