"""Which rows make an epoch, and the seed with which each is augmented."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

Draw = tuple[int, int]  # row, seed of its augmentation


class EpochSampler(Sampler[Draw]):
    """Draws rows with a seed each, so that an epoch depends on (seed, epoch) alone.

    Neither the number of workers nor a resumed run changes what the network sees: Lightning calls `set_epoch`
    with the true epoch. Across processes the rows are dealt out in turn, padded by wrapping round so that all
    processes make the same number of steps; metrics drop the padding by row number.
    """

    def __init__(self, rows: int, *, shuffle: bool, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.rows, self.shuffle, self.seed = rows, shuffle, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Rows that this process sees in an epoch."""
        return -(-self.rows // self.world_size)

    def __iter__(self) -> Iterator[Draw]:
        """Yield (row, seed) of this process's share of the epoch."""
        rng = np.random.default_rng((self.seed, self.epoch if self.shuffle else 0))
        order = rng.permutation(self.rows) if self.shuffle else np.arange(self.rows)
        seeds = rng.integers(0, 2**31 - 1, size=self.rows)
        padded = np.resize(order, len(self) * self.world_size)
        for row in padded[self.rank :: self.world_size].tolist():
            yield row, int(seeds[row])
