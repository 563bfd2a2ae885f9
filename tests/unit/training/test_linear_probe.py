from __future__ import annotations

import copy
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from faceflow.config.instantiate import instantiate
from faceflow.config.paths import config_dir
from faceflow.errors import ConfigError
from faceflow.methods.objective import Batch, Objective, Outputs
from faceflow.models.network import AUNetwork
from faceflow.training.linear_probe import LinearProbe
from faceflow.training.module import AUModule
from tests.helpers.networks import network_spec, random_images
from tests.helpers.training import SaveAfter, fit, make_module

ADAMW = partial(torch.optim.AdamW, lr=0.01, weight_decay=0.5)


class Scaled(Objective):
    """Has a parameter of its own."""

    views = frozenset({"labeled"})

    def __init__(self, *, freeze_batch_norm: bool = False) -> None:
        super().__init__()
        self.freeze_batch_norm = freeze_batch_norm
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        return {"squares": (self.scale * outputs["labeled"].logits - 1).square().mean()}


def make(*, freeze_batch_norm: bool = False) -> AUModule:
    torch.manual_seed(0)
    network = AUNetwork(network_spec(), drop_path=0.1, dropout=0.1)
    return make_module(
        network=network, objectives={"scaled": Scaled(freeze_batch_norm=freeze_batch_norm)}, optimizer=ADAMW
    )


def batches(count: int) -> list[dict[str, Any]]:
    return [{"labeled": {"labeled": random_images(2, seed=seed), "index": torch.arange(2)}} for seed in range(count)]


def state(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


class Trace:
    """States after every batch, the first being that before training."""

    def __init__(self, module: AUModule) -> None:
        self.module = module
        self.backbones, self.heads, self.scales, self.training = [], [], [], []  # type: ignore[var-annotated]
        self()

    def __call__(self) -> None:
        network = self.module.network
        self.backbones.append(state(network.backbone))
        self.heads.append(state(network.head))
        self.scales.append(state(self.module.objectives["scaled"]))
        self.training.append((network.backbone.model.training, network.head.training))

    def moved(self, states: list[dict[str, Tensor]]) -> list[bool]:
        """Whether each batch changed something."""
        return [not equal(before, after) for before, after in itertools.pairwise(states)]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_backbone_stays_as_it_is_to_the_last_bit_and_then_learns(accumulate: int) -> None:
    module = make()
    trace = Trace(module)
    validation = [{"eval": random_images(2), "index": torch.tensor([0, 1])}]
    fit(
        module,
        batches(3 * accumulate),
        validation=validation,  # between the epochs: it must not bring training mode back
        after_batch=trace,
        callbacks=[LinearProbe(share=0.6)],  # 4 of 6 steps: those that start before 60 %
        max_epochs=2,
        accumulate_grad_batches=accumulate,
    )
    probed = 4 * accumulate
    last_of_step = [number % accumulate == accumulate - 1 for number in range(6 * accumulate)]
    assert trace.moved(trace.backbones)[:probed] == [False] * probed  # weights and batch statistics
    assert all(trace.moved(trace.backbones)[probed:])
    assert trace.moved(trace.heads) == last_of_step
    assert trace.moved(trace.scales) == last_of_step
    assert trace.training[1:] == [(False, True)] * probed + [(True, True)] * (2 * accumulate)
    names = [name for name, value in trace.backbones[-1].items() if not torch.equal(value, trace.backbones[0][name])]
    assert any("running_var" in name for name in names)
    assert any("weight" in name for name in names)


def test_gradients_of_the_backbone_do_not_count_in_the_clipped_norm() -> None:
    module = make()
    heads: list[float] = []

    def note(optimizer: torch.optim.Optimizer) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        expected = {id(p.grad) for part in (module.network.head, module.objectives) for p in part.parameters()}
        assert {id(gradient) for gradient in gradients} == expected
        heads.append(float(torch.linalg.vector_norm(torch.cat([gradient.flatten() for gradient in gradients]))))

    fit(module, batches(2), before_step=note, callbacks=[LinearProbe(share=1.0)], gradient_clip_val=1e-3)
    clipped = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
    assert min(heads) > 1e-3
    assert torch.linalg.vector_norm(clipped).item() == pytest.approx(1e-3, rel=1e-2)


def test_batch_norm_that_the_module_freezes_stays_frozen_after_the_probe() -> None:
    module = make(freeze_batch_norm=True)
    fit(module, batches(2), callbacks=[LinearProbe(share=0.5)])
    norms = [part for part in module.network.backbone.modules() if isinstance(part, _BatchNorm)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert module.network.backbone.model.training


@pytest.mark.parametrize("epoch", [0, 1])  # 3 of 9 steps, inside of the probe, and 6, behind it
def test_resumed_run_continues_in_the_phase_in_which_it_stopped(epoch: int, tmp_path: Path) -> None:
    whole, resumed = make(), make()
    path = tmp_path / "last.ckpt"
    fit(whole, batches(3), callbacks=[LinearProbe(share=0.5), SaveAfter(epoch, path)], max_epochs=3)
    fit(resumed, batches(3), callbacks=[LinearProbe(share=0.5)], max_epochs=3, resume=path)
    assert equal(state(resumed), state(whole))
    assert not equal(state(whole), torch.load(path, weights_only=True)["state_dict"])


@pytest.mark.parametrize("share", [0, 1.1, True, "0.1"])
def test_share_out_of_range_names_its_key(share: Any) -> None:
    with pytest.raises(ConfigError, match=r"^callbacks\.linear_probe\.share: expected a share of the run in \(0, 1\]"):
        LinearProbe(share=share)


@pytest.mark.parametrize("others", ["default", "early_stopping"])
def test_option_joins_the_other_callbacks(others: str) -> None:
    with initialize_config_dir(config_dir(), version_base="1.3"):
        callbacks = compose("train", overrides=[f"callbacks=[{others},linear_probe]"]).callbacks
    assert {"best", "last", "progress", "history", "linear_probe"} <= set(callbacks)
    assert instantiate(callbacks.linear_probe, key="callbacks.linear_probe").share == 0.1
