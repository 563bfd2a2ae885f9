"""Loaders of packed batches, which loader processes write to shared memory that is allocated once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from faceflow.data.batches import Packed, Part, aligned

_STAMP = 8  # bytes of the number of a batch, before its memory

_of_this_process: WeakValueDictionary[int, Places] = WeakValueDictionary()
_numbers = itertools.count()


@dataclass(frozen=True)
class HandedOver:
    """Where a batch is until it is taken; a loader process sends this instead of the batch itself."""

    places: int
    worker: int
    batch: int
    size: int
    parts: dict[str, Part]

    def take(self, *, pinned: bool = False) -> Packed:
        """Copy the batch, in the process that created the places.

        Raises:
            RuntimeError: a later batch overwrote it; more batches are in flight than there are places.
        """
        stamp, place = _of_this_process[self.places].at(self.worker, self.batch)
        memory = torch.empty(self.size, dtype=torch.uint8, pin_memory=pinned)
        memory.copy_(place[: self.size])
        if stamp.item() != self.batch:
            raise RuntimeError(f"batch {self.batch} of loader process {self.worker} was overwritten before it was read")
        return Packed(memory, self.parts)

    def pin_memory(self) -> Packed:
        """Copy the batch to pinned memory for the GPU; called by torch."""
        return self.take(pinned=True)


class Places:
    """Shared memory for the batches of loader processes; each fills its places in turn.

    torch allocates shared memory for each batch, which costs 1.4 ms per MB in page faults; a copy costs 0.05 ms.

    Args:
        workers: processes.
        count: places per process.
        size: largest batch in bytes.
    """

    def __init__(self, workers: int, *, count: int, size: int) -> None:
        self.number, self.size = next(_numbers), aligned(size)
        self._memory = torch.zeros(workers, count, _STAMP + self.size, dtype=torch.uint8)
        self._memory.share_memory_()  # type: ignore[no-untyped-call]
        self._filled = 0
        _of_this_process[self.number] = self

    def at(self, worker: int, batch: int) -> tuple[Tensor, Tensor]:
        """Number of the batch in a place, int64 (1,), and the memory of the place, uint8 (size,)."""
        place = self._memory[worker, batch % self._memory.shape[1]]
        return place[:_STAMP].view(torch.int64), place[_STAMP:]

    def fill(self, batch: Packed) -> Packed | HandedOver:
        """Copy a batch to the next place of this loader process; a batch that is too large is returned as it is."""
        worker = get_worker_info()
        if worker is None or batch.memory.nbytes > self.size:
            return batch
        self._filled += 1
        stamp, place = self.at(worker.id, self._filled)
        stamp.fill_(self._filled)  # before the memory, so that a reader of the old batch notices
        place[: batch.memory.nbytes] = batch.memory
        return HandedOver(self.number, worker.id, self._filled, batch.memory.nbytes, batch.parts)


class Loader(DataLoader[dict[str, Tensor]]):
    """Loads batches of a data set that packs them, and unpacks them."""

    def __init__(self, dataset: Dataset[Any], **options: Any) -> None:
        self._hand_over = _HandOver()
        super().__init__(dataset, collate_fn=self._hand_over, **options)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:  # type: ignore[override]
        """Yield tensors by name."""
        if self.num_workers and self._hand_over.places is None and len(self):
            self._hand_over.places = Places(self.num_workers, count=self._count(), size=self._batch_bytes())
        batches = super().__iter__()
        return ((batch if isinstance(batch, Packed) else batch.take()).unpacked() for batch in batches)

    @property
    def shared_bytes(self) -> int:
        """Bytes of shared memory that its processes use."""
        if not self.num_workers or not len(self):
            return 0
        return self.num_workers * self._count() * (_STAMP + self._batch_bytes())

    def _count(self) -> int:
        assert self.prefetch_factor is not None, "loaders with processes have one"
        return min(self.prefetch_factor, len(self)) + 1  # one is copied while the others are prepared

    def _batch_bytes(self) -> int:
        assert self.batch_size is not None, "no sampler of batches is given"
        row: Packed = self.dataset.__getitems__([next(iter(self.sampler))])  # type: ignore[attr-defined]
        return sum(aligned(part.nbytes * self.batch_size) for part in row.parts.values())


class _HandOver:
    """Collate function, copied to each loader process."""

    places: Places | None = None

    def __call__(self, batch: Any) -> Packed | HandedOver:
        return batch if self.places is None else self.places.fill(batch)
