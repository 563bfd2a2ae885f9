"""Early stopping of runs that may be resumed."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import callbacks


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's, with the patience of the config: a checkpoint would bring back that of the run that wrote it."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best score and the epochs without a better one."""
        super().load_state_dict({**state_dict, "patience": self.patience})
