"""Averages of the network's weights; if one is on, it is validated, checkpointed and exported."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from faceflow.checks import check_number
from faceflow.errors import ConfigError
from faceflow.models.network import AUNetwork

log = logging.getLogger(__name__)


class NetworkAverage(nn.Module):
    """A frozen copy of the network, in evaluation mode, whose weights average those of the network during training.

    `network` is the copy; any other state of an average serves only to resume.
    """

    network: AUNetwork
    key: ClassVar[str] = "average"  # its config key, for messages
    paced: str | None = None  # setting that depends on `progress`, if any: the run must have an end

    def check_without_backbone(self) -> None:
        """Raise ConfigError if this average cannot follow a model that reads only features of faces."""

    def bind(self, network: AUNetwork) -> None:
        """Copy the initial network, before any checkpoint is restored."""
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    def update(self, network: AUNetwork, progress: float) -> None:
        """Follow the network after an optimizer step.

        Args:
            network: the trained network.
            progress: share of the run's optimizer steps done so far, in [0, 1], including this one.
        """
        raise NotImplementedError

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)


class RunningAverage(NetworkAverage):
    """An average of the weights after `count` optimizer steps."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0  # not a buffer: reading one back would wait for the GPU

    def get_extra_state(self) -> Tensor:
        """Keep the count in the checkpoint."""
        return torch.tensor(self.count)

    def set_extra_state(self, state: Tensor) -> None:
        """Continue from the count of the checkpoint."""
        self.count = int(state)


class EMA(RunningAverage):
    """Exponential moving average: average <- decay * average + (1 - decay) * parameter.

    Buffers (BatchNorm statistics) are copied, as in the FixMatch references; averaging them would lag behind.
    In the first updates the decay is lower, (1 + t) / (10 + t), so that the random start is soon forgotten
    (TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, *, decay: float) -> None:
        super().__init__()
        check_number(decay, key="average.decay", expected="a number in (0, 1)", valid=lambda x: 0 < x < 1)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: AUNetwork, progress: float) -> None:
        """Follow the network after an optimizer step."""
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        _lerp(self.network.parameters(), network.parameters(), 1 - decay)
        _copy(self.network.buffers(), network.buffers())
        self.count += 1


class SWA(RunningAverage):
    """Stochastic weight averaging: the plain mean over the steps from share `start` of the run on.

    Until then it is the network itself (Izmailov et al. 2018, arXiv:1803.05407; averaged after every step as in ERM++,
    Teterwak et al. 2023, arXiv:2304.01973). BatchNorm statistics are averaged with the weights; the paper recomputes
    them in a pass over the training images.
    """

    def __init__(self, *, start: float) -> None:
        super().__init__()
        check_number(start, key="average.start", expected="a share of the run in [0, 1)", valid=lambda x: 0 <= x < 1)
        self.start = start
        self.paced = "start" if start else None

    @torch.no_grad()
    def update(self, network: AUNetwork, progress: float) -> None:
        """Follow the network after an optimizer step."""
        # A run that is resumed for more epochs can be before its start again.
        self.count = self.count + 1 if progress >= self.start else 0
        _lerp(_floats(self.network), _floats(network), 1 / max(1, self.count))
        _copy(_integers(self.network), _integers(network))


class WiseFT(NetworkAverage):
    """WiSE-FT: a backbone between the initial and the current one, with the current head.

    backbone = (1 - alpha) * start + alpha * current, for parameters and BatchNorm statistics (Wortsman et al. 2022,
    arXiv:2109.01903, eq. 1). `start` is kept to resume; it is not part of `network`.
    """

    def __init__(self, *, alpha: float) -> None:
        super().__init__()
        check_number(alpha, key="average.alpha", expected="a share in (0, 1]", valid=lambda x: 0 < x <= 1)
        self.alpha = alpha

    def check_without_backbone(self) -> None:
        """Refuse such a model: it has no initial backbone to keep."""
        raise ConfigError(
            "average: expected a model with a backbone, as wise_ft averages with its initial weights, got one that "
            "reads only features; use average=ema or swa"
        )

    def bind(self, network: AUNetwork) -> None:
        """Keep the initial backbone, and warn if it is random."""
        super().bind(network)
        assert network.backbone is not None, "check_without_backbone() refuses others"
        assert self.network.backbone is not None
        self.start = copy.deepcopy(self.network.backbone)
        if not network.backbone.pretrained:
            log.warning(
                "average=wise_ft: it interpolates towards the initial weights, which are random here; set "
                "model.pretrained=true, model.weights or init_weights"
            )

    @torch.no_grad()
    def update(self, network: AUNetwork, progress: float) -> None:
        """Follow the network after an optimizer step."""
        ours = self.network
        _copy(_tensors(ours), _tensors(network))
        assert ours.backbone is not None, "check_without_backbone() refuses others"
        _lerp(_floats(ours.backbone), _floats(self.start), 1 - self.alpha)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _floats(module: nn.Module) -> list[Tensor]:
    return [tensor for tensor in _tensors(module) if tensor.is_floating_point()]


def _integers(module: nn.Module) -> list[Tensor]:
    return [tensor for tensor in _tensors(module) if not tensor.is_floating_point()]


def _lerp(averages: Iterable[Tensor], values: Iterable[Tensor], weight: float) -> None:
    """Move every average towards its value by `weight`, a share of the distance."""
    torch._foreach_lerp_([average.data for average in averages], [value.data for value in values], weight)


def _copy(averages: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    for average, value in zip(averages, values, strict=True):
        average.copy_(value)
