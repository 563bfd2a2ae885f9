"""Training modules of tiny networks, and a trainer that leaves no files behind."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from faceflow.evaluation.scoring import SplitScorer
from faceflow.losses.bce import BCE
from faceflow.methods.supervised import Supervised
from faceflow.models.checkpoint import Payload
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.training.module import AUModule
from tests.helpers.networks import label_counts, label_table, network_spec

_ADVICE = (
    ".*does not have many workers.*",
    ".*have no `val_dataloader`.*",
    ".*in eval mode at the start of training.*",  # intended for the average
    ".*smaller than the logging interval.*",
    ".*checkpoint that ended before the epoch ended.*",
    ".*isinstance.treespec, LeafSpec.*",  # Lightning 2.6 with torch 2.15
)


def make_module(*, spec: NetworkSpec | None = None, **changes: Any) -> AUModule:
    """Module of a tiny network with plain settings (SGD, constant rate, no average); keyword arguments change them."""
    spec = spec or network_spec()
    levels = [[5] * spec.levels for _ in spec.aus]
    settings: dict[str, Any] = {
        "objectives": {"supervised": Supervised(criterion=BCE(weighting="none", max_weight=1.0))},
        "computed": {},
        "counts": label_counts(levels, [10] * len(spec.aus)),
        "scorer": SplitScorer([label_table("faces", {au: [0.0, 5.0] for au in spec.aus})], spec),
        "optimizer": partial(torch.optim.SGD, lr=0.01),
        "scheduler": None,
        "warmup": 0.0,
        "layer_decay": 1.0,
        "head_lr_mult": 1.0,
        "average": None,
        "seed": 0,
        "payload": Payload(spec=spec, protocol={}, seen=[], config={}, versions={}),
    }
    return AUModule(**({"network": AUNetwork(spec)} | settings | changes))


class _Watch(L.Callback):
    def __init__(self, before_step: Callable[..., Any] | None, after_batch: Callable[..., Any] | None) -> None:
        self.before_step, self.after_batch = before_step, after_batch

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        if self.before_step:
            self.before_step(optimizer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.after_batch:
            self.after_batch()


class SaveAfter(L.Callback):
    """Writes a checkpoint after an epoch, or after a number of its batches."""

    def __init__(self, epoch: int, path: Path, *, batches: int | None = None) -> None:
        self.epoch, self.path, self.batches = epoch, path, batches

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.current_epoch == self.epoch and batch_idx + 1 == self.batches:
            trainer.save_checkpoint(self.path)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == self.epoch and self.batches is None:
            trainer.save_checkpoint(self.path)


def fit(
    module: AUModule,
    batches: Sequence[Any],
    *,
    validation: Sequence[Any] = (),
    before_step: Callable[..., Any] | None = None,
    after_batch: Callable[..., Any] | None = None,
    callbacks: Sequence[L.Callback] = (),
    resume: Path | None = None,
    **trainer_settings: Any,
) -> L.Trainer:
    """Train on prepared batches for one epoch, on the CPU unless the settings name another device.

    `before_step(optimizer)` runs before every optimizer step. `after_batch()` runs after every batch, before the
    module's own hook of that name. Both run after the same hooks of `callbacks`.
    """
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "max_epochs": 1,
        "log_every_n_steps": 1,
        "logger": False,
        "enable_progress_bar": False,
    }
    with warnings.catch_warnings():
        for advice in _ADVICE:
            warnings.filterwarnings("ignore", message=advice)
        trainer = L.Trainer(
            devices=1,
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            callbacks=[*callbacks, _Watch(before_step, after_batch)],
            **(settings | trainer_settings),
        )
        loaders = [DataLoader(list(rows), batch_size=None) for rows in (batches, validation)]
        trainer.fit(module, loaders[0], loaders[1] if validation else None, ckpt_path=resume, weights_only=True)
    return trainer
