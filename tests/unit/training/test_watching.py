"""Cost of a training: every face of every stream counts once."""

from __future__ import annotations

import time
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader

from faceflow.evaluation.advice import silence_advice
from faceflow.training.watching import Throughput, training_cost, watchers
from tests.helpers.networks import label_table


class Mean(L.LightningModule):
    """One parameter, and batches of two streams; a step takes 10 ms."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def training_step(self, batch: dict[str, dict[str, torch.Tensor]]) -> torch.Tensor:
        time.sleep(0.01)
        return sum((stream["image"].mean() * self.weight).sum() for stream in batch.values())  # type: ignore[return-value]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_faces_of_all_streams_are_counted_by_the_seconds_of_training(tmp_path: Path) -> None:
    batch = {"labeled": {"image": torch.ones(2, 3)}, "unlabeled": {"image": torch.ones(6, 3)}}
    (speed,) = watchers([], [label_table("val", {"AU1": [0.0]})], pipeline=None, seed=0, mirror=None)
    assert isinstance(speed, Throughput), "no tracker wants faces"
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[speed],
        logger=CSVLogger(tmp_path),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    module = Mean()
    silence_advice()
    started = time.perf_counter()
    trainer.fit(module, train_dataloaders=DataLoader([batch] * 3, batch_size=None))
    assert speed.all_faces == 2 * 3 * 8
    assert 2 * 3 * 0.01 <= speed.all_seconds <= time.perf_counter() - started
    cost = training_cost(trainer, module)
    assert cost == {"parameters": 1, "updates": 6, "images_per_second": speed.all_faces / speed.all_seconds}
