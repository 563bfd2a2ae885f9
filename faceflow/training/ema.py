"""Exponential moving average of the network: what is validated, checkpointed and exported when it is on."""

from __future__ import annotations

import copy

import torch
from torch import nn

from faceflow.errors import ConfigError
from faceflow.models.network import AUNetwork


class NetworkEma(nn.Module):
    """A frozen copy whose parameters follow the network: ema <- decay * ema + (1 - decay) * parameter.

    Buffers (BatchNorm statistics) are copied, as in the FixMatch references; averaging them would lag behind.
    In the first updates the decay is lower, (1 + t) / (10 + t), so that the random start is soon forgotten
    (TensorFlow's ExponentialMovingAverage).
    """

    updates: torch.Tensor

    def __init__(self, network: AUNetwork, decay: float) -> None:
        super().__init__()
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 < decay < 1:
            raise ConfigError(f"ema_decay: expected a number in (0, 1), or null for no average, got {decay!r}")
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self._count = 0  # the buffer's value on the host, read back only after a restore

    @torch.no_grad()
    def update(self, network: AUNetwork) -> None:
        """Follow the network after an optimizer step."""
        if self._count == 0:
            self._count = int(self.updates)
        decay = min(self.decay, (1 + self._count) / (10 + self._count))
        averages = [parameter.data for parameter in self.network.parameters()]
        torch._foreach_lerp_(averages, [parameter.data for parameter in network.parameters()], 1 - decay)
        for average, value in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(value)
        self._count += 1
        self.updates += 1

    def train(self, mode: bool = True) -> NetworkEma:
        """Stay in evaluation mode."""
        return super().train(False)
