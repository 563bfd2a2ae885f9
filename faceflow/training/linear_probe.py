"""Linear probing before fine-tuning (LP-FT)."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch

from faceflow.checks import check_number
from faceflow.errors import ConfigError
from faceflow.models.backbone import Backbone
from faceflow.models.network import AUNetwork
from faceflow.training.clock import Clock, check_length


class LinearProbe(L.Callback):
    """Trains only the head and the parameters of objectives in the first share of the run's optimizer steps.

    The gradients of a head that is still random would distort the features of a pretrained backbone (Kumar et al.
    2022, arXiv:2202.10054). Until then the backbone does not change in any bit: the optimizer skips parameters without
    a gradient, including their weight decay, and evaluation mode turns off drop path and freezes batch statistics.

    Args:
        share: of the run's optimizer steps; 1 is linear probing alone.
    """

    def __init__(self, *, share: float) -> None:
        expected = "a share of the run in (0, 1]"
        check_number(share, key="callbacks.linear_probe.share", expected=expected, valid=lambda x: 0 < x <= 1)
        self.share = share
        self.probing = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Refuse a network without a backbone, and a share of a run without end: the backbone would never learn."""
        _backbone(pl_module)
        if self.share < 1:
            check_length(_clock(pl_module).length, key="callbacks.linear_probe.share", instead=1)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Decide only by the step, so that a resumed run continues in the phase in which it stopped."""
        was_probing = self.probing
        clock = _clock(pl_module)
        self.probing = clock.done < self.share * clock.length
        if self.probing:
            _backbone(pl_module).eval()
        elif was_probing:
            # On the module, not on its backbone: the module may keep the backbone's BatchNorm in evaluation mode.
            pl_module.train()

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Drop the backbone's gradients, after DDP has exchanged them and before they count in the clipped norm."""
        if self.probing:
            _backbone(pl_module).zero_grad(set_to_none=True)


def _clock(module: L.LightningModule) -> Clock:
    clock = module.clock
    assert isinstance(clock, Clock)
    return clock


def _backbone(module: L.LightningModule) -> Backbone:
    network = module.network
    assert isinstance(network, AUNetwork)
    if network.backbone is None:
        raise ConfigError(
            "callbacks.linear_probe: expected a model with a backbone, got one that reads only features; remove it"
        )
    return network.backbone
