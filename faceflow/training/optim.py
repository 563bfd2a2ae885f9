"""Optimizer and schedule: one parameter grouping for every method, one learning rate per update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined] # exported without `as`
from timm.scheduler.scheduler import Scheduler
from torch import nn
from torch.optim import Optimizer

from faceflow.checks import check_number
from faceflow.errors import ConfigError
from faceflow.methods.objective import Objective
from faceflow.models.network import AUNetwork

Group = dict[str, Any]
OptimizerFactory = Callable[..., Optimizer]


def check_rates(lr: object, weight_decay: object, *, layer_decay: object, head_lr_mult: object) -> None:
    """Check the numbers of an optimizer; raise ConfigError for the first that is out of range."""
    check_number(lr, key="optimizer.lr", expected="a number > 0", valid=lambda x: x > 0)
    check_number(weight_decay, key="optimizer.weight_decay", expected="a number >= 0", valid=lambda x: x >= 0)
    check_number(layer_decay, key="layer_decay", expected="a factor in (0, 1], 1 = off", valid=lambda x: 0 < x <= 1)
    check_number(head_lr_mult, key="head_lr_mult", expected="a factor > 0", valid=lambda x: x > 0)


def parameter_groups(
    network: AUNetwork,
    objectives: Mapping[str, Objective],
    *,
    lr: float,
    weight_decay: float,
    layer_decay: float,
    head_lr_mult: float,
) -> list[Group]:
    """Group parameters by learning rate and weight decay.

    Backbone stages get lr * layer_decay^(depth from the top) (Bao et al. 2022, arXiv:2106.08254), the head and the
    branches of features lr * head_lr_mult, parameters of an objective lr * its `lr_mult` without decay. Norms, biases
    and parameters that timm lists in `no_weight_decay` are not decayed.
    """
    check_rates(lr, weight_decay, layer_decay=layer_decay, head_lr_mult=head_lr_mult)
    groups: list[Group] = []
    if network.backbone is not None:
        backbone = network.backbone.model
        undecayed = set(backbone.no_weight_decay()) if hasattr(backbone, "no_weight_decay") else set()
        groups += param_groups_layer_decay(
            backbone, weight_decay=weight_decay, no_weight_decay_list=undecayed, layer_decay=layer_decay
        )
        groups += _by_decay(network.head, weight_decay, head_lr_mult)
    groups += _by_decay(network.branches, weight_decay, head_lr_mult)
    for name, objective in objectives.items():
        check_number(objective.lr_mult, key=f"method.{name}.lr_mult", expected="a factor > 0", valid=lambda x: x > 0)
        groups += _by_decay(objective, 0.0, objective.lr_mult)
    for group in groups:
        group["lr"] = lr * group["lr_scale"]
    return groups


def build_optimizer(factory: OptimizerFactory, groups: list[Group], *, scaled: bool) -> Optimizer:
    """Build an optimizer over groups of parameters.

    Args:
        factory: optimizer with its settings.
        groups: from `parameter_groups`.
        scaled: whether gradients are scaled against underflow (trainer.precision=16-mixed). Lightning unscales them
            before it clips them; a fused step would do so again.

    Raises:
        ConfigError: the optimizer refuses a setting.
    """
    fused = "fused" in getattr(factory, "keywords", {})
    try:
        return factory(groups, **({"fused": False} if scaled and fused else {}))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"optimizer: {' '.join(str(error).split())}; fix the value") from error


class Schedule:
    """A timm scheduler as a function of the update alone.

    It stores nothing in checkpoints: timm would restore the length of the run that wrote it.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler, self.optimizer = scheduler, scheduler.optimizer

    def step_update(self, num_updates: int) -> None:
        """Set the rate of the next update, after `num_updates` updates."""
        self.scheduler.step_update(num_updates=num_updates)

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Ignore what a checkpoint holds."""


def build_schedule(
    factory: Callable[..., Any] | None, optimizer: Optimizer, *, steps: int, warmup: float
) -> Schedule | None:
    """Build a timm scheduler over the updates of a run, or None for a constant rate.

    Args:
        factory: timm scheduler; only the optimizer and times are missing.
        optimizer: its groups carry `lr_scale`.
        steps: optimizer updates of the whole run.
        warmup: share of them in which the rate rises linearly.
    """
    if factory is None:
        return None
    expected = "a share of the run in [0, 1)"
    check_number(warmup, key="scheduler.warmup", expected=expected, valid=lambda x: 0 <= x < 1)
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] / group["lr_scale"]  # timm multiplies by lr_scale itself
    warmup_steps = round(warmup * steps)
    try:
        scheduler: Scheduler = factory(
            optimizer,
            t_initial=max(1, steps - warmup_steps),
            warmup_t=warmup_steps,
            warmup_prefix=True,
            t_in_epochs=False,
        )
    except (TypeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split()) or "a value out of range"
        raise ConfigError(f"scheduler.factory: expected values that it accepts, got {reason}; fix them") from error
    schedule = Schedule(scheduler)
    schedule.step_update(0)
    return schedule


def _by_decay(module: nn.Module, weight_decay: float, lr_scale: float) -> list[Group]:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim <= 1]
    return [
        {"params": parameters, "weight_decay": decay, "lr_scale": lr_scale}
        for parameters, decay in ((matrices, weight_decay), (vectors, 0.0))
        if parameters
    ]
