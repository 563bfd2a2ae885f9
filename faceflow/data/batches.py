"""Batches: rows packed into one block of memory, which is handed over, pinned and copied as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ALIGNED = 8  # bytes of the largest type


@dataclass(frozen=True)
class Part:
    """One tensor of a batch: its offset in the memory, its type and shape."""

    start: int
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def of(self, memory: Tensor) -> Tensor:
        """View it in the memory, a one-dimensional uint8 tensor."""
        return memory[self.start : self.start + self.nbytes].view(self.dtype).view(self.shape)


@dataclass(frozen=True)
class Packed:
    """A batch in one block of memory.

    Otherwise a loader process hands over every tensor separately, which takes a millisecond for the eight of a batch.
    """

    memory: Tensor
    parts: dict[str, Part]

    def pin_memory(self) -> Self:
        """Copy it to pinned memory for the GPU; called by torch."""
        return type(self)(self.memory.pin_memory(), self.parts)

    def unpacked(self) -> dict[str, Tensor]:
        """Tensors (B, ...) by name; images (B, 3, S, S) are channels last in memory."""
        tensors = {key: part.of(self.memory) for key, part in self.parts.items()}
        return {key: value.permute(0, 3, 1, 2) if _is_images(value) else value for key, value in tensors.items()}


def pack(columns: Mapping[str, Sequence[NDArray[Any]] | NDArray[Any]]) -> Packed:
    """Pack the rows of a batch: by name, B arrays of one shape and type; uint8 arrays are images (S, S, 3)."""
    parts, size = {}, 0
    for name, rows in columns.items():
        first = torch.from_numpy(np.asarray(rows[0]))
        parts[name] = part = Part(size, first.dtype, (len(rows), *first.shape))
        size += aligned(part.nbytes)
    memory = torch.empty(size, dtype=torch.uint8)
    for name, rows in columns.items():
        np.stack(list(rows), out=parts[name].of(memory).numpy())
    return Packed(memory, parts)


def aligned(size: int) -> int:
    """Bytes from the start of one part to the start of the next."""
    return -(-size // _ALIGNED) * _ALIGNED


def _is_images(value: Tensor) -> bool:
    return value.dtype == torch.uint8
