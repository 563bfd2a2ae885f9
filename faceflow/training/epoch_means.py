"""Means of loss terms over an epoch, summed on their device, so that no step waits for them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class EpochMeans:
    """Weighted sums of named scalars, kept on their device until the epoch ends; `weight` is the sum of weights."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._sums: Tensor | None = None
        self.weight = 0

    def update(self, values: Mapping[str, Tensor], weight: int) -> None:
        """Add the values of a step of `weight` rows."""
        step = torch.stack([value.detach() for value in values.values()]).float() * weight
        self._names = tuple(values)
        self._sums = step if self._sums is None else self._sums + step
        self.weight += weight

    def compute(self) -> dict[str, Tensor]:
        """Return means by name and reset the sums."""
        found = {} if self._sums is None else dict(zip(self._names, self._sums / self.weight, strict=True))
        self._sums, self.weight = None, 0
        return found
