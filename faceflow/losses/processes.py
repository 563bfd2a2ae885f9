"""Rows and sums over all processes of a run, so that a loss or a statistic is that of the whole batch."""

from __future__ import annotations

import torch
from torch import Tensor


def gathered(rows: Tensor) -> Tensor:
    """Rows of all processes, which have equally many, in the order in which one process would have had them.

    The sampler deals rows out in turn, see `faceflow.data.sampling.EpochSampler`.
    """
    if not _several():
        return rows
    parts = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, rows.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def summed(values: Tensor) -> Tensor:
    """Sums over all processes, whose gradient is right once the processes have averaged theirs.

    So a ratio of sums is that of the whole batch in every process, where a mean of the processes' ratios would weight
    an entry by how many others its process has.
    """
    if not _several():
        return values
    everywhere = values.detach().clone()
    torch.distributed.all_reduce(everywhere)
    if not values.requires_grad:
        return everywhere
    return everywhere + torch.distributed.get_world_size() * (values - values.detach())


def averaged(values: Tensor) -> Tensor:
    """Means over all processes, of values that each took of equally many rows."""
    return summed(values) / torch.distributed.get_world_size() if _several() else values


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
