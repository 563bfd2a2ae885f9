"""One row per epoch, written to disk as soon as the epoch ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
from torch import Tensor

from faceflow.report.result_files import write_table


class EpochHistory(L.Callback):
    """Writes the logged values of every epoch to a CSV; a resumed run has its own file with all epochs."""

    def __init__(self, *, path: str) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, float]] = []
        self.earlier: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the earlier epochs of a resumed run, which may add none."""
        if self.rows and trainer.is_global_zero:
            write_table(self.path, pd.DataFrame(self.rows))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note earlier logged values: Lightning keeps them, so an epoch without validation would repeat them."""
        self.earlier = dict(trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the epoch that ends."""
        # Reading them gathers over processes, so every process must do it.
        metrics = {
            key: float(value) for key, value in trainer.callback_metrics.items() if value is not self.earlier.get(key)
        }
        if not trainer.is_global_zero:
            return
        self.rows.append({"epoch": trainer.current_epoch, "step": trainer.global_step, **metrics})
        write_table(self.path, pd.DataFrame(self.rows))

    def state_dict(self) -> dict[str, Any]:
        """Keep the rows in the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the rows of the checkpoint."""
        self.rows = list(state_dict["rows"])
