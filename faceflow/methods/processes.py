"""Rows of all processes of a run."""

from __future__ import annotations

import torch
from torch import Tensor


def gathered(rows: Tensor) -> Tensor:
    """Rows of all processes, which have equally many, in the order of the processes."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return rows
    parts = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)
