"""From pooled features to ordinal logits per AU."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class AUHead(nn.Module):
    """LayerNorm, dropout and one linear layer; output channel a * L + l is level l of AU a."""

    def __init__(self, dim: int, aus: int, levels: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = (aus, levels)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(dim, aus * levels)
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, D) -> logits (B, A, L)."""
        logits: Tensor = self.linear(self.dropout(self.norm(pooled)))
        return logits.reshape(-1, *self.shape)

    @torch.no_grad()
    def set_prior(self, rates: Tensor) -> None:
        """Start at the base rates, so that the first epoch is not spent on learning that AUs are rare.

        An AU whose bias is not 0 is already trained and keeps its bias.

        Args:
            rates: share of positive labels, (A, L). The bias is the logit of the rate, clamped to [0.001, 0.999]
                (Lin et al. 2017, arXiv:1708.02002, section 4.1).
        """
        bias = self.linear.bias.view(self.shape)
        new = ~bias.any(dim=1, keepdim=True)
        bias.copy_(torch.where(new, torch.logit(rates.float().clamp(1e-3, 1 - 1e-3)), bias))

    @torch.no_grad()
    def take_rows(self, weight: Tensor, bias: Tensor, rows: Mapping[int, int]) -> None:
        """Copy AUs of another head that has the same number of levels.

        Args:
            weight: weight of its linear layer, (A' * L, D).
            bias: bias of its linear layer, (A' * L).
            rows: index of an AU in this head -> index in the other head.
        """
        ours, theirs = list(rows), list(rows.values())
        levels, width = self.shape[1], self.linear.in_features
        self.linear.weight.view(*self.shape, width)[ours] = weight.view(-1, levels, width)[theirs].to(
            self.linear.weight
        )
        self.linear.bias.view(self.shape)[ours] = bias.view(-1, levels)[theirs].to(self.linear.bias)
