"""The best checkpoint of a run, over all its parts."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint

from faceflow.files import whole_file

log = logging.getLogger(__name__)


class BestCheckpoint(ModelCheckpoint):
    """A ModelCheckpoint that a resumed run copies into its own folder.

    Lightning forgets the best epoch when the folder changes, so a resumed run would test a worse one.
    """

    _resumed_from: Path | None = None

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the resumed checkpoint: the best one is beside it, even if the folder was moved."""
        self._resumed_from = Path(trainer.ckpt_path) if trainer.ckpt_path else None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Copy the best checkpoint so far and continue from its score."""
        assert self.dirpath is not None, "the config names the folder"
        if state_dict["dirpath"] == self.dirpath or not state_dict["best_model_path"]:
            super().load_state_dict(state_dict)
            return
        stated = Path(state_dict["best_model_path"])
        places = [self._resumed_from.with_name(stated.name)] if self._resumed_from else []
        found = next((place for place in [*places, stated] if place.is_file()), None)
        if found is None:
            log.warning("the best checkpoint so far is missing at '%s'; only later epochs can become the best", stated)
            return
        copied = Path(self.dirpath) / found.name
        with whole_file(copied) as partial:
            shutil.copyfile(found, partial)
        score = state_dict["best_model_score"]
        here = {"dirpath": self.dirpath, "best_model_path": str(copied), "kth_best_model_path": str(copied)}
        super().load_state_dict({**state_dict, **here, "best_k_models": {str(copied): score}, "last_model_path": ""})
