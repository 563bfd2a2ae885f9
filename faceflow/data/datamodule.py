"""Loaders of the streams that a method reads, and of evaluation."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import lightning as L
import torch
from lightning.pytorch.utilities import CombinedLoader

from faceflow.checks import check_number, check_whole
from faceflow.data.dataset import PIXELS, FaceDataset, Reads
from faceflow.data.decoded import DecodedImages, ImageCache
from faceflow.data.groups import Groups
from faceflow.data.handing import Loader
from faceflow.data.loader_processes import check_shared_memory, print_unless_cut_off
from faceflow.data.loading import Loading
from faceflow.data.sampling import EpochSampler
from faceflow.data.sources import FaceTable
from faceflow.data.splits import Tables
from faceflow.data.transforms import Pipeline
from faceflow.views import EVAL, IMAGES, LABELED, in_order, stream_and_pipeline

_ALONE = {"rank": 0, "world_size": 1}


class AUDataModule(L.LightningDataModule):
    """Training streams and the validation loader for tables that are already split.

    A batch holds one entry per stream that the method reads: `batch_size` rows of "labeled", `mu` times as many of
    "unlabeled". Each has the images of its views, `target`, `mask` and `index` (see `FaceDataset`), and `domain`,
    `subject` and `origin` (B,), int64 (see `Groups`). Without `steps_per_epoch` the stream that takes more steps is
    seen once per epoch; the other one continues where it stopped, and starts again at its end.

    Args:
        tables: split -> one table per data set.
        groups: domains and subjects of their training faces.
        aus, points: targets, see `faceflow.encoding`.
        views: views to compute, such as "labeled" or "unlabeled/strong", see `faceflow.views`; no other stream is
            opened.
        pipelines: augmentations by name, and "eval".
        reads: inputs of the network, and the augmentations of features.
        flip: probability of a horizontal flip in training.
        batch_size: labelled rows per step and device.
        mu: unlabelled rows per labelled one.
        steps_per_epoch: steps of an epoch, or None.
        workers: loader processes per device, shared among the streams by what they load.
        timeout_s: longest wait for a batch from them; 0 waits forever.
        seed: of the order of rows and of every augmentation.
        cache: of decoded images, or None.
    """

    def __init__(
        self,
        tables: Tables,
        *,
        groups: Groups,
        aus: Sequence[str],
        points: Sequence[float],
        views: Iterable[str],
        pipelines: Mapping[str, Pipeline],
        flip: float,
        batch_size: int,
        mu: int,
        steps_per_epoch: int | None,
        workers: int,
        timeout_s: float,
        seed: int,
        reads: Reads = PIXELS,
        cache: ImageCache | None = None,
    ) -> None:
        super().__init__()
        Loading(batch_size=batch_size, workers=workers, timeout_s=timeout_s)  # checks them
        check_whole(mu, key="loader.mu", lowest=1)
        if steps_per_epoch is not None:
            expected = "a whole number >= 1, or null"
            check_whole(steps_per_epoch, key="loader.steps_per_epoch", lowest=1, expected=expected)
        check_flip(flip)
        self.tables, self.groups = tables, groups
        self.aus, self.points = tuple(aus), tuple(points)
        self.views: dict[str, list[str]] = {}
        for stream, pipeline in map(stream_and_pipeline, in_order(views)):
            self.views.setdefault(stream, []).append(pipeline)
        self.pipelines, self.flip, self.reads = pipelines, flip, reads
        self.batch_sizes = {"labeled": batch_size, "unlabeled": mu * batch_size}
        self.steps_per_epoch, self.workers, self.seed = steps_per_epoch, workers, seed
        self.timeout_s, self.cache = timeout_s, cache
        self.first_epoch = 0

    def train_dataloader(self) -> CombinedLoader:
        """One loader per stream; all make the same number of steps."""
        datasets = {stream: self._dataset(stream) for stream in self.views}
        steps = self.steps_per_epoch
        if steps is None and len(datasets) > 1:
            world = self._place()["world_size"]
            steps = max(1, *(len(rows) // (self.batch_sizes[stream] * world) for stream, rows in datasets.items()))
        loaders = {stream: self._train_loader(stream, dataset, steps) for stream, dataset in datasets.items()}
        return CombinedLoader(loaders, mode="max_size_cycle")

    def val_dataloader(self) -> Loader:
        """All validation rows in order; the rows of a data set follow one another."""
        inputs = self.reads.inputs
        dataset = evaluation_dataset(
            self.tables["val"], self.aus, self.points, self.pipelines[EVAL], inputs, self._decoded("val")
        )
        place = self._place()
        sampler = EpochSampler(
            len(dataset), shuffle=False, seed=self.seed, rank=place["rank"], world_size=place["world_size"]
        )
        size = self.batch_sizes["labeled"]
        return self._loader(dataset, sampler, batch_size=size, workers=self.workers, drop_last=False)

    def check_memory(self, *, processes: int) -> None:
        """Check that there is room for the batches of training and validation; warn if decoded images do not all fit.

        Args:
            processes: training processes on this machine.

        Raises:
            ConfigError: see `faceflow.data.loader_processes.check_shared_memory`.
        """
        if not self.workers and (self.cache is None or not self.cache.used):
            return
        loaders: list[Any] = [*self.train_dataloader().flattened, self.val_dataloader()]
        check_shared_memory(loaders, processes=processes)
        for loader in loaders:
            loader.dataset.check_room()

    def state_dict(self) -> dict[str, int]:
        """Next epoch, for the checkpoint."""
        assert self.trainer is not None, "Lightning asks while it trains"
        return {"next_epoch": self.trainer.fit_loop.epoch_progress.current.ready}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Start with that epoch: loader processes fetch their first rows before Lightning sets the epoch."""
        self.first_epoch = state_dict["next_epoch"]

    def _dataset(self, stream: str) -> FaceDataset:
        views = {view: self.pipelines[view] for view in self.views[stream]}
        split = "train" if stream == LABELED else stream
        tables = self.tables[split]
        groups = {name: getattr(self.groups, name)[split] for name in ("domain", "subject", "origin")}
        return FaceDataset(
            tables,
            aus=self.aus,
            points=self.points,
            views=views,
            flip=self.flip,
            numbers=groups,
            reads=self.reads,
            decoded=self._decoded(split),
        )

    def _decoded(self, split: str) -> DecodedImages | None:
        """Open the cache of a split, which gets its share by rows."""
        if self.cache is None or IMAGES not in self.reads.inputs:
            return None
        rows = {name: sum(len(table.files) for table in tables) for name, tables in self.tables.items()}
        return self.cache.open(rows[split] / max(1, sum(rows.values())))

    def _train_loader(self, stream: str, dataset: FaceDataset, steps: int | None) -> Loader:
        place, size = self._place(), self.batch_sizes[stream]
        together = size * place["world_size"]
        draws = None if steps is None else steps * together
        seed = (self.seed,) if stream == "labeled" else (self.seed, 1)
        # A last batch of one row has no batch statistics; a remainder is dropped only if there is a full batch.
        drop_last = (len(dataset) if draws is None else draws) >= together
        rank, world = place["rank"], place["world_size"]
        sampler = EpochSampler(
            len(dataset), shuffle=True, seed=seed, draws=draws, rank=rank, world_size=world, pad=not drop_last
        )
        sampler.set_epoch(self.first_epoch)
        return self._loader(dataset, sampler, batch_size=size, workers=self._workers(stream), drop_last=drop_last)

    def _loader(
        self, dataset: FaceDataset, sampler: EpochSampler, *, batch_size: int, workers: int, drop_last: bool
    ) -> Loader:
        return make_loader(
            dataset, sampler, batch_size=batch_size, workers=workers, timeout_s=self.timeout_s, drop_last=drop_last
        )

    def _workers(self, stream: str) -> int:
        """Processes in proportion to the images that a stream augments."""
        load = {name: self.batch_sizes[name] * len(views) for name, views in self.views.items()}
        return min(self.workers, max(1, round(self.workers * load[stream] / sum(load.values()))))

    def _place(self) -> dict[str, int]:
        trainer = self.trainer
        return {"rank": trainer.global_rank, "world_size": trainer.world_size} if trainer else _ALONE


def evaluation_dataset(
    tables: Sequence[FaceTable],
    aus: Sequence[str],
    points: Sequence[float],
    pipeline: Pipeline,
    inputs: Sequence[str] = (IMAGES,),
    decoded: DecodedImages | None = None,
) -> FaceDataset:
    """Rows as they are scored: resized, never flipped or augmented."""
    reads = Reads(inputs=inputs)
    return FaceDataset(
        tables, aus=aus, points=points, views={EVAL: pipeline}, flip=0, numbers={}, reads=reads, decoded=decoded
    )


def make_loader(
    dataset: FaceDataset,
    sampler: EpochSampler,
    *,
    batch_size: int,
    workers: int,
    timeout_s: float,
    drop_last: bool,
) -> Loader:
    """Batches of a data set in the order of a sampler."""
    return Loader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        worker_init_fn=_start_worker,
        drop_last=drop_last,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        timeout=timeout_s if workers else 0,
    )


def _start_worker(worker: int) -> None:
    cv2.setNumThreads(0)  # the workers are the parallelism
    sys.excepthook = print_unless_cut_off


def check_flip(flip: object) -> None:
    """Raise ConfigError unless the probability of a horizontal flip is in [0, 1]."""
    check_number(flip, key="flip", expected="a probability in [0, 1]", valid=lambda x: 0 <= x <= 1)
