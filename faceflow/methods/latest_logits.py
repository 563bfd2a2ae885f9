"""The logits of the latest faces, from which running statistics are computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_WINDOW = 1024  # faces


class LatestLogits(nn.Module):
    """Logits of the latest faces in the order of their steps, stored in checkpoints.

    Args:
        shape: counts of AUs and levels, (A, L).
    """

    window: Tensor  # the last `rows` of (N, A, L)

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("window", torch.zeros(_WINDOW, *shape))
        self.rows = 0  # not a buffer: reading one back would wait for the GPU

    def get_extra_state(self) -> Tensor:
        """Keep the count of rows in the checkpoint."""
        return torch.tensor(self.rows)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the count of rows from the checkpoint."""
        self.rows = int(state)

    def remember(self, logits: Tensor) -> Tensor:
        """Add rows (B, A, L) of every process, and return the latest ones, (N, A, L)."""
        self.window.copy_(torch.cat([self.window, logits.float()])[-_WINDOW:])
        self.rows = min(_WINDOW, self.rows + len(logits))
        return self.window[-self.rows :]
