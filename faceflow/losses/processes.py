"""Rows and sums over all processes of a run, so that losses and statistics refer to the whole batch."""

from __future__ import annotations

import torch
from torch import Tensor


def gathered(rows: Tensor) -> Tensor:
    """Rows of all processes (the same number each), in the order in which a single process would have them.

    The sampler assigns rows to processes in turn, see `faceflow.data.sampling.EpochSampler`.
    """
    if not _several():
        return rows
    parts = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, rows.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def summed(values: Tensor) -> Tensor:
    """Sums over all processes; their gradient is correct once the processes have averaged their gradients.

    A ratio of such sums is that of the whole batch in every process. A mean of the ratios of single processes would
    weight an entry by the number of entries in its process.
    """
    if not _several():
        return values
    everywhere = values.detach().clone()
    torch.distributed.all_reduce(everywhere)
    if not values.requires_grad:
        return everywhere
    return everywhere + torch.distributed.get_world_size() * (values - values.detach())


def averaged(values: Tensor) -> Tensor:
    """Means over all processes, of values computed from the same number of rows in each."""
    return summed(values) / torch.distributed.get_world_size() if _several() else values


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
