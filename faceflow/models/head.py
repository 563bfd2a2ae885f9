"""From pooled features to ordinal logits per AU."""

from __future__ import annotations

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

        Args:
            rates: share of positive labels, (A, L). Bias = logit of the rate, clamped to [0.001, 0.999]
                (Lin et al. 2017, arXiv:1708.02002, section 4.1).
        """
        self.linear.bias.copy_(torch.logit(rates.float().clamp(1e-3, 1 - 1e-3)).flatten())
