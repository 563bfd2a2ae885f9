"""Loaders: the streams that a method reads, and evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import lightning as L
import torch
from lightning.pytorch.utilities import CombinedLoader
from torch import Tensor
from torch.utils.data import DataLoader

from faceflow.data.dataset import FaceDataset, collate
from faceflow.data.sampling import EpochSampler
from faceflow.data.sources import FaceTable
from faceflow.data.splits import Tables
from faceflow.data.transforms import Pipeline
from faceflow.errors import ConfigError

Loader = DataLoader[dict[str, Tensor]]


class AUDataModule(L.LightningDataModule):
    """Training streams and the validation loader over tables that are already split.

    Args:
        tables: split -> one table per data set.
        aus, points: targets, see `faceflow.encoding`.
        views: "stream/view" names that the method reads, for example "labeled/weak"; no other is computed.
        pipelines: view -> augmentation, and "eval".
        flip: probability of a horizontal flip in training.
        batch_size, workers: rows a step and loader processes, per device.
        seed: of the order of rows and of every augmentation.
    """

    def __init__(
        self,
        tables: Tables,
        *,
        aus: Sequence[str],
        points: Sequence[float],
        views: Iterable[str],
        pipelines: Mapping[str, Pipeline],
        flip: float,
        batch_size: int,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        check_loader(batch_size, workers)
        if not isinstance(flip, int | float) or not 0 <= flip <= 1:
            raise ConfigError(f"flip: expected a probability in [0, 1], got {flip!r}")
        self.tables, self.aus, self.points = tables, tuple(aus), tuple(points)
        self.views = sorted(views)
        self.pipelines, self.flip = pipelines, flip
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.first_epoch = 0

    def train_dataloader(self) -> CombinedLoader:
        """One loader per stream; the longest stream sets the length of an epoch."""
        views = {view: self.pipelines[view] for stream, view in self._named_views() if stream == "labeled"}
        labeled = FaceDataset(self.tables["train"], aus=self.aus, points=self.points, views=views, flip=self.flip)
        # A last batch of one row has no batch statistics; a rest is dropped only where a full batch remains.
        loader = self._loader(labeled, shuffle=True, drop_last=len(labeled) >= self.batch_size * self._world_size())
        return CombinedLoader({"labeled": loader}, mode="max_size_cycle")

    def val_dataloader(self) -> Loader:
        """All validation rows in order; the rows of a data set follow one another."""
        dataset = evaluation_dataset(self.tables["val"], self.aus, self.points, self.pipelines["eval"])
        return self._loader(dataset, shuffle=False, drop_last=False)

    def state_dict(self) -> dict[str, int]:
        """Say which epoch comes next."""
        assert self.trainer is not None, "Lightning asks while it trains"
        return {"next_epoch": self.trainer.fit_loop.epoch_progress.current.ready}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Start with that epoch: loader processes fetch their first rows before Lightning sets the epoch."""
        self.first_epoch = state_dict["next_epoch"]

    def _named_views(self) -> list[tuple[str, str]]:
        return [(stream, view) for stream, _, view in (name.partition("/") for name in self.views)]

    def _loader(self, dataset: FaceDataset, *, shuffle: bool, drop_last: bool) -> Loader:
        rank = self.trainer.global_rank if self.trainer else 0
        sampler = EpochSampler(len(dataset), shuffle=shuffle, seed=self.seed, rank=rank, world_size=self._world_size())
        sampler.set_epoch(self.first_epoch)
        return make_loader(dataset, sampler, batch_size=self.batch_size, workers=self.workers, drop_last=drop_last)

    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1


def evaluation_dataset(
    tables: Sequence[FaceTable], aus: Sequence[str], points: Sequence[float], pipeline: Pipeline
) -> FaceDataset:
    """Rows as they are scored: resized, never flipped or augmented."""
    return FaceDataset(tables, aus=aus, points=points, views={"eval": pipeline}, flip=0)


def make_loader(
    dataset: FaceDataset, sampler: EpochSampler, *, batch_size: int, workers: int, drop_last: bool
) -> Loader:
    """Batches of a data set in the order of a sampler."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_start_worker,
        drop_last=drop_last,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )


def check_loader(batch_size: int, workers: int) -> None:
    """Check what a user sets of a loader.

    Raises:
        ConfigError: names the key.
    """
    for key, value, lowest in (("batch_size", batch_size, 1), ("workers", workers, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise ConfigError(f"loader.{key}: expected a whole number >= {lowest}, got {value!r}")


def _start_worker(worker: int) -> None:
    cv2.setNumThreads(0)  # the workers are the parallelism
