"""Which rows make an epoch, and the seed with which each is augmented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Draw = tuple[int, int]  # row, seed of its augmentation


class EpochSampler(Sampler[Draw]):
    """Draws rows, each with a seed, so that an epoch depends only on (seed, epoch).

    Neither the number of workers nor resuming a run changes what the network sees: Lightning calls `set_epoch` with
    the true epoch. Rows are dealt out to processes in turn, so that a step of all processes together has the same rows
    as with one process.

    Args:
        rows: of the data set.
        shuffle: draw a new order in every pass over the rows; otherwise rows come in order with the same seeds.
        seed: one or several numbers, different for each stream of a run.
        draws: rows of an epoch over all processes; None is one pass. With any other number, an epoch continues the pass
            of the one before, so that all rows are seen equally often.
        rank, world_size: of this process.
        pad: whether an epoch that cannot be shared equally among processes is filled with its first rows, so that no
            row is lost (metrics drop the padding by row number); otherwise the remainder is dropped.
    """

    def __init__(
        self,
        rows: int,
        *,
        shuffle: bool,
        seed: int | Sequence[int],
        draws: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        pad: bool = True,
    ) -> None:
        self.rows, self.shuffle, self.draws = rows, shuffle, rows if draws is None else draws
        self.seed = (seed,) if isinstance(seed, int) else tuple(seed)
        self.rank, self.world_size, self.pad = rank, world_size, pad
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Rows that this process sees in an epoch."""
        return -(-self.draws // self.world_size) if self.pad else self.draws // self.world_size

    def __iter__(self) -> Iterator[Draw]:
        """Yield (row, seed) for this process's share of the epoch."""
        # An epoch is a section of the endless sequence of passes.
        first, start = divmod(self.epoch * self.draws, self.rows)
        passes = [self._pass(number) for number in range(first, first - (-(start + self.draws) // self.rows))]
        order, seeds = (np.concatenate(parts) for parts in zip(*passes, strict=True))
        places = start + np.arange(len(self) * self.world_size) % self.draws
        for place in places[self.rank :: self.world_size].tolist():
            yield int(order[place]), int(seeds[place])

    def _pass(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rng = np.random.default_rng((*self.seed, number if self.shuffle else 0))
        order = rng.permutation(self.rows) if self.shuffle else np.arange(self.rows)
        seeds = rng.integers(0, 2**31 - 1, size=self.rows)
        return order, seeds[order]
