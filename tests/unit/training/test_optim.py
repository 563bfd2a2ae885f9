from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import timm.scheduler
import torch
from torch import nn

from faceflow.errors import ConfigError
from faceflow.methods.objective import Objective
from faceflow.models.network import AUNetwork
from faceflow.training.optim import build_optimizer, build_schedule, parameter_groups
from tests.helpers.networks import network_spec

COSINE = partial(timm.scheduler.CosineLRScheduler, lr_min=0.0, warmup_lr_init=0.0)


class Regularizer(Objective):
    def __init__(self, *, lr_mult: float) -> None:
        super().__init__()
        self.lr_mult = lr_mult
        self.matrix = nn.Parameter(torch.ones(2, 2))
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def groups_of(
    network: AUNetwork, objectives: dict[str, Objective] | None = None, **changes: Any
) -> list[dict[str, Any]]:
    settings = {"lr": 0.1, "weight_decay": 0.05, "layer_decay": 1.0, "head_lr_mult": 1.0} | changes
    return parameter_groups(network, objectives or {}, **settings)


def group_of(groups: list[dict[str, Any]], parameter: nn.Parameter) -> dict[str, Any]:
    (found,) = [group for group in groups if any(p is parameter for p in group["params"])]
    return found


@pytest.mark.parametrize("backbone", ["test_resnet", "test_convnext", "test_efficientnet", "test_vit"])
@pytest.mark.parametrize("layer_decay", [1.0, 0.75])
def test_every_trained_parameter_is_in_exactly_one_group(backbone: str, layer_decay: float) -> None:
    network, regularizer = AUNetwork(network_spec(backbone)), Regularizer(lr_mult=1.0)
    network.backbone.model.get_parameter(next(iter(dict(network.backbone.model.named_parameters())))).requires_grad_(
        False
    )
    groups = groups_of(network, {"r": regularizer}, layer_decay=layer_decay)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    trained = [id(p) for module in (network, regularizer) for p in module.parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trained)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_convnext", "test_vit"])
def test_matrices_decay_and_vectors_do_not(backbone: str) -> None:
    network = AUNetwork(network_spec(backbone))
    special = {"pos_embed", "cls_token"}  # what timm's ViT lists in no_weight_decay
    decays = {id(p): group["weight_decay"] for group in groups_of(network) for p in group["params"]}
    for name, parameter in network.named_parameters():
        plain = parameter.ndim <= 1 or name.endswith(".bias") or name.rpartition(".")[2] in special
        assert decays[id(parameter)] == (0.0 if plain else 0.05), name


def test_layer_decay_falls_by_one_factor_per_block_below_the_top() -> None:
    network = AUNetwork(network_spec("test_vit"))  # embedding, six blocks; the norm counts to the last block
    groups, model = groups_of(network, layer_decay=0.5), network.backbone.model
    rates = [group_of(groups, block.attn.qkv.weight)["lr"] for block in model.blocks]
    assert rates == pytest.approx([0.1 * 0.5**depth for depth in (5, 4, 3, 2, 1, 0)])
    assert group_of(groups, model.patch_embed.proj.weight)["lr"] == pytest.approx(0.1 * 0.5**6)
    assert group_of(groups, model.norm.weight)["lr"] == pytest.approx(0.1)
    assert group_of(groups, network.head.linear.weight)["lr"] == pytest.approx(0.1)


def test_layer_decay_of_one_leaves_all_rates_equal() -> None:
    groups = groups_of(AUNetwork(network_spec()), layer_decay=1.0)
    assert {group["lr"] for group in groups} == {0.1}


def test_head_and_objectives_have_rates_of_their_own() -> None:
    network, regularizer = AUNetwork(network_spec()), Regularizer(lr_mult=5.0)
    groups = groups_of(network, {"r": regularizer}, head_lr_mult=3.0, layer_decay=0.5)
    assert group_of(groups, network.head.linear.weight)["lr"] == pytest.approx(0.3)
    assert group_of(groups, network.head.linear.bias)["lr"] == pytest.approx(0.3)
    assert group_of(groups, network.head.linear.weight)["weight_decay"] == 0.05
    for parameter in (regularizer.matrix, regularizer.scale):
        assert group_of(groups, parameter)["lr"] == pytest.approx(0.5)
        assert group_of(groups, parameter)["weight_decay"] == 0.0


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"lr": 0.0}, "optimizer.lr"),
        ({"lr": None}, "optimizer.lr"),
        ({"lr": "0.1"}, "optimizer.lr"),
        ({"weight_decay": -0.1}, "optimizer.weight_decay"),
        ({"layer_decay": 0.0}, "layer_decay"),
        ({"layer_decay": 1.1}, "layer_decay"),
        ({"layer_decay": "a"}, "layer_decay"),
        ({"head_lr_mult": 0.0}, "head_lr_mult"),
        ({"head_lr_mult": math.nan}, "head_lr_mult"),
    ],
)
def test_number_out_of_range_names_its_key(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}: expected a "):
        groups_of(AUNetwork(network_spec()), **changes)


@pytest.mark.parametrize("lr_mult", [0.0, -1.0])
def test_rate_of_an_objective_out_of_range_names_the_objective(lr_mult: float) -> None:
    with pytest.raises(ConfigError, match=r"^method\.miro\.lr_mult: expected a factor > 0, got"):
        groups_of(AUNetwork(network_spec()), {"miro": Regularizer(lr_mult=lr_mult)})


def schedule(factory: Any, *, steps: int, warmup: float, lr_scale: float = 1.0) -> list[float]:
    """Rate of every update, and the one after the last."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [parameter], "lr": 0.4 * lr_scale, "lr_scale": lr_scale}])
    scheduler = build_schedule(factory, optimizer, steps=steps, warmup=warmup)
    rates = []
    for update in range(steps + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        if scheduler is not None:
            scheduler.step_update(num_updates=update + 1)
    return rates


@pytest.mark.parametrize("lr_scale", [1.0, 0.25])
def test_cosine_rate_of_update_k_is_the_formula(lr_scale: float) -> None:
    rates = schedule(COSINE, steps=10, warmup=0.2, lr_scale=lr_scale)
    by_hand = [0.0, 0.2] + [0.4 * (1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)] + [0.0]
    assert rates == pytest.approx([lr_scale * rate for rate in by_hand])


def test_cosine_without_warm_up_starts_at_the_full_rate() -> None:
    rates = schedule(COSINE, steps=4, warmup=0.0)
    assert rates == pytest.approx([0.4 * (1 + math.cos(math.pi * k / 4)) / 2 for k in range(5)])


def test_polynomial_of_power_one_is_a_straight_line() -> None:
    factory = partial(timm.scheduler.PolyLRScheduler, power=1.0, lr_min=0.0, warmup_lr_init=0.0)
    assert schedule(factory, steps=4, warmup=0.0) == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])


@pytest.mark.parametrize("lr_scale", [1.0, 0.25])
def test_constant_rate_keeps_the_scale(lr_scale: float) -> None:
    assert schedule(None, steps=3, warmup=0.0, lr_scale=lr_scale) == pytest.approx([0.4 * lr_scale] * 4)


def test_run_of_one_update_is_scheduled() -> None:
    assert schedule(COSINE, steps=1, warmup=0.05)[0] == pytest.approx(0.4)


@pytest.mark.parametrize("warmup", [-0.1, 1.0, "a", None])
def test_warm_up_out_of_range_names_its_key(warmup: Any) -> None:
    with pytest.raises(ConfigError, match=r"^scheduler\.warmup: expected a share of the run in \[0, 1\), got"):
        schedule(COSINE, steps=4, warmup=warmup)


@pytest.mark.parametrize("arguments", [{"lr_min": -1.0}, {"lr_minimum": 0.1}])
def test_scheduler_that_refuses_its_arguments_names_its_key(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^scheduler\.factory: expected values that it accepts, got \S"):
        schedule(partial(timm.scheduler.CosineLRScheduler, **arguments), steps=4, warmup=0.0)


@pytest.mark.parametrize(("scaled", "fused"), [(False, True), (True, False)])
def test_scaled_gradients_are_not_unscaled_by_a_fused_step(scaled: bool, fused: bool) -> None:
    groups = [{"params": [nn.Parameter(torch.ones(2))]}]
    optimizer = build_optimizer(partial(torch.optim.AdamW, lr=0.1, fused=True), groups, scaled=scaled)
    assert optimizer.param_groups[0]["fused"] is fused


def test_an_optimizer_without_a_fused_step_is_not_asked_for_one() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(2))]}]
    optimizer = build_optimizer(partial(torch.optim.Rprop, lr=0.1), groups, scaled=True)
    assert isinstance(optimizer, torch.optim.Rprop)


def test_optimizer_that_refuses_a_setting_is_one_line() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(2))]}]
    with pytest.raises(ConfigError, match=r"^optimizer: Invalid beta parameter at index 0: 2; fix the value$"):
        build_optimizer(partial(torch.optim.AdamW, lr=0.1, betas=(2, 0.9)), groups, scaled=False)
