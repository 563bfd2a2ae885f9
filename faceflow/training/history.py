"""One tidy row per epoch, on disk as soon as the epoch ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
from torch import Tensor

from faceflow.report.result_files import write_table


class EpochHistory(L.Callback):
    """Writes what every epoch logged to a CSV; a resumed run goes on in its own file."""

    def __init__(self, *, path: str) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, float]] = []
        self.earlier: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the epochs of a resumed run: it may have none to add."""
        if self.rows and trainer.is_global_zero:
            write_table(self.path, pd.DataFrame(self.rows))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note what earlier epochs logged: Lightning keeps it, so that an epoch without validation would repeat it."""
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
        """Go on after the rows of the checkpoint."""
        self.rows = list(state_dict["rows"])
