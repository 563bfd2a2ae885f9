"""Callbacks for trackers while a run trains: speed, and a few validation faces over the epochs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.loggers import Logger
from torch import nn

from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.images import read_image
from faceflow.storage.mirror import Mirror
from faceflow.tracking.tracker import Samples, Tracker
from faceflow.training.mirroring import MirrorCheckpoints
from faceflow.training.module import AUModule


class Throughput(L.Callback):
    """Logs training faces per second of an epoch, over all streams and processes, without validation."""

    def __init__(self) -> None:
        self.all_faces, self.all_seconds = 0, 0.0

    @property
    def rate(self) -> float:
        """Faces per second over all epochs so far in this process."""
        return self.all_faces / self.all_seconds if self.all_seconds > 0 else float("nan")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock: a run that is resumed within an epoch gets no epoch start."""
        self.started, self.seconds, self.faces = time.perf_counter(), 0.0, 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restart the clock."""
        self.started, self.seconds, self.faces = time.perf_counter(), 0.0, 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the faces of a batch."""
        self.faces += sum(len(next(iter(stream.values()))) for stream in batch.values())
        self.seconds = time.perf_counter() - self.started

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log without the module: the metrics of an epoch repeat exactly, its time does not."""
        self.all_faces += self.faces * trainer.world_size
        self.all_seconds += self.seconds
        if trainer.is_global_zero and self.seconds > 0:
            speed = {"train/images_per_second": self.faces * trainer.world_size / self.seconds}
            for logger in trainer.loggers:
                logger.log_metrics(speed, step=trainer.global_step - 1)


def training_cost(trainer: L.Trainer, network: nn.Module) -> dict[str, float]:
    """Parameters of the network, its updates, and training faces per second."""
    callbacks: list[L.Callback] = vars(trainer)["callbacks"]  # Lightning does not declare it
    rate = next(callback.rate for callback in callbacks if isinstance(callback, Throughput))
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "updates": trainer.global_step,
        "images_per_second": rate,
    }


class SampleFaces(L.Callback):
    """Shows trackers the same validation faces after every epoch.

    Args:
        trackers: trackers that want samples.
        tables: of validation.
        pipeline: of evaluation; None for no pictures.
        seed: of the choice.
    """

    def __init__(
        self, trackers: Sequence[Tracker], tables: Sequence[FaceTable], *, pipeline: Pipeline | None, seed: int
    ) -> None:
        self.trackers = trackers
        # Row numbers, not file names: these often name subjects.
        self.names = [f"{table.name} {row}" for table in tables for row in range(len(table))]
        order = np.random.default_rng(seed).permutation(len(self.names))
        self.rows = {tracker: np.sort(order[: tracker.samples]) for tracker in trackers}
        self.files = [str(file) for table in tables for file in table.files]
        self.pipeline = pipeline

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hand over this epoch's predictions."""
        assert isinstance(pl_module, AUModule), "callbacks of this package watch its module"
        if not trainer.is_global_zero or pl_module.latest is None:
            return
        seen, decoded = pl_module.latest
        scorer = pl_module.scorer
        prediction, _ = scorer.merged(scorer.pooled, seen, decoded)
        truth = scorer.pooled.truth
        for tracker, chosen in self.rows.items():
            rows = chosen[np.isin(chosen, seen)]  # limit_val_batches leaves some out
            samples = Samples(
                faces=[self.names[row] for row in rows],
                aus=truth.aus,
                probability=prediction.probability[rows],
                occurrence=truth.occurrence[rows],
                observed=truth.observed[rows],
                pictures=None if self.pipeline is None else [self.pipeline(read_image(self.files[r]), 0) for r in rows],
            )
            tracker.log_samples(samples, epoch=trainer.current_epoch, step=trainer.global_step - 1)


def watchers(
    loggers: Sequence[Logger],
    tables: Sequence[FaceTable],
    *,
    pipeline: Pipeline | None,
    seed: int,
    mirror: Mirror | None,
) -> list[L.Callback]:
    """Callbacks that loggers and a mirror need; `pipeline` of evaluation, None if no picture may be shown."""
    curious = [tracker for tracker in loggers if isinstance(tracker, Tracker) and tracker.samples]
    faces = [SampleFaces(curious, tables, pipeline=pipeline, seed=seed)] if curious else []
    return [Throughput(), *faces, *([MirrorCheckpoints(mirror)] if mirror else [])]
