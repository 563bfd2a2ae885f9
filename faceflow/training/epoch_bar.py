"""Progress of a training: bars on a terminal, as for all commands; elsewhere one line per epoch."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

from faceflow.checks import check_whole
from faceflow.progress import PATIENCE_S, Bar, progress_bar, shows_bars

log = logging.getLogger(__name__)


class EpochBar(ProgressBar):
    """Shows the steps of an epoch with their loss, and the batches of its validation.

    Lightning's own rich bar reads the loss at every step, and removes the bars of others.

    Args:
        refresh_rate: steps between two updates of the loss, each of which waits for the GPU.
        monitor: metric shown with the loss once an epoch has ended, if any.
    """

    def __init__(self, *, refresh_rate: int, monitor: str | None) -> None:
        super().__init__()
        check_whole(refresh_rate, key="callbacks.progress.refresh_rate", lowest=1)
        self.refresh_rate, self.monitor = refresh_rate, monitor
        self.enabled = True
        self.patience_s = PATIENCE_S  # of the whole training: short epochs of a long one have their bars
        self._open = contextlib.ExitStack()
        self._bar: Bar | None = None
        self._fit_began = self._epoch_began = 0.0
        self._reached = ""

    def disable(self) -> None:
        """Show nothing: this process is not the first of the run."""
        self.enabled = False

    def enable(self) -> None:
        """Show progress again."""
        self.enabled = True

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the delay before the first bar."""
        self._fit_began, self._reached = time.monotonic(), ""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the bar of the epoch's steps."""
        self._epoch_began = time.monotonic()
        self._steps(trainer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a step, and update the loss from time to time."""
        if self._bar is None:  # a validation within the epoch took its place
            self._steps(trainer).advance(batch_idx)
        assert self._bar is not None
        if self.enabled and (batch_idx + 1) % self.refresh_rate == 0:
            self._bar.note(f"{_loss(pl_module)}{self._reached}")
        self._bar.advance()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the bar of the validation."""
        self._show("Validating", int(sum(trainer.num_val_batches)), "batches")

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch."""
        if self._bar is not None:
            self._bar.advance()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remove the bar of the validation."""
        self._close()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the result of the epoch, unless a bar shows it."""
        self._close()
        metrics = trainer.callback_metrics  # read by every process: it may gather over them
        if self.monitor is not None and self.monitor in metrics:
            self._reached = f", {self.monitor} {float(metrics[self.monitor]):.3f}"
        if self.enabled and not shows_bars():
            seconds = time.monotonic() - self._epoch_began
            log.info("%s: %s%s, %.0f s", _title(trainer), _loss(pl_module), self._reached, seconds)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Remove the bar before the error is printed."""
        self._close()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Remove the bar."""
        self._close()

    def _steps(self, trainer: L.Trainer) -> Bar:
        total = self.total_train_batches
        return self._show(_title(trainer), int(total) if total != float("inf") else 0, "steps")

    def _show(self, title: str, total: int, unit: str) -> Bar:
        self._close()
        patience = max(0.0, self.patience_s - (time.monotonic() - self._fit_began))
        shown = progress_bar(title, total, unit=unit, visible=self.enabled, patience_s=patience)
        self._bar = self._open.enter_context(shown)
        return self._bar

    def _close(self) -> None:
        self._open.close()
        self._bar = None


def _title(trainer: L.Trainer) -> str:
    of = "" if trainer.max_epochs in (None, -1) else f" of {trainer.max_epochs}"
    return f"Epoch {trainer.current_epoch + 1}{of}"


def _loss(module: L.LightningModule) -> str:
    loss = getattr(module, "loss", None)
    return "" if loss is None else f"loss {float(loss):.3f}"
