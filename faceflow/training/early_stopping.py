"""Early stopping of runs that can be resumed."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import callbacks


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's, with the patience of the config; Lightning would restore the patience stored in a checkpoint."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the best score and the number of epochs without a better one."""
        super().load_state_dict({**state_dict, "patience": self.patience})
