"""Whether a checkpoint holds a run that can go on, and how much of it there is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faceflow.errors import CheckpointError, ConfigError

_STATE = ("loops", "optimizer_states", "lr_schedulers", "callbacks", "state_dict")


def check_left(checkpoint: Mapping[str, Any], trainer: Mapping[str, Any], *, path: str) -> None:
    """Check that a run can go on from a checkpoint, and has not done more already than it is asked for.

    Args:
        checkpoint: as Lightning wrote it.
        trainer: of the config of the run that resumes.
        path: of the checkpoint.

    Raises:
        CheckpointError: the checkpoint has weights only, or counters that cannot be read.
        ConfigError: fewer epochs or steps than are done.
    """
    if missing := [key for key in _STATE if key not in checkpoint]:
        raise CheckpointError(
            f"resume: expected the state of a run, got '{path}' without its '{missing[0]}'; start a new run from its "
            "weights with init_weights=PATH"
        )
    try:
        loop = checkpoint["loops"]["fit_loop"]
        epochs, batches = loop["epoch_progress"]["current"], loop["epoch_loop.batch_progress"]
        done = {
            "max_epochs": int(epochs["ready"] if batches["is_last_batch"] else epochs["processed"]),
            "max_steps": int(checkpoint["global_step"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: expected the counters of a run, got none; the file is damaged") from error
    for key, count in done.items():
        asked = trainer.get(key)
        if asked is not None and -1 < asked < count:
            raise ConfigError(
                f"trainer.{key}: expected at least the {count} that the run of '{path}' has done, got {asked}; raise "
                "it, or test that checkpoint with faceflow-test"
            )
