"""Checks that a checkpoint belongs to the run to be resumed, and that the run is not already done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faceflow.errors import CheckpointError, ConfigError
from faceflow.evaluation.known_faces import check_same_faces
from faceflow.models.checkpoint import read_checkpoint
from faceflow.training.module import AUModule

# Settings that a resumed run repeats. Others can change: paths, loader, trainer (more epochs, device), callbacks.
_CONTINUED = (
    *("seed", "levels", "monitor", "split", "flip", "method", "optimizer", "scheduler"),
    *("layer_decay", "head_lr_mult", "average"),
)
_GONE = {"cutoff_step"}  # keys of earlier versions, which do not affect how a run continues
_STATE = ("loops", "optimizer_states", "lr_schedulers", "callbacks", "state_dict")


def check_resume(path: str, module: AUModule) -> None:
    """Check that a checkpoint continues this very run.

    Raises:
        CheckpointError: settings or parameters differ, or subjects moved between the splits.
        ConfigError: fewer epochs or steps are set than are done.
    """
    checkpoint, payload = read_checkpoint(path, key="resume")
    for setting in _CONTINUED:
        if found := _first_difference(setting, payload.config.get(setting), module.payload.config.get(setting)):
            key, theirs, ours = found
            raise CheckpointError(
                f"resume: expected {key}={_short(theirs)} as in '{path}', got {_short(ours)}; repeat the settings of "
                "that run, or start from its weights with init_weights=PATH"
            )
    if payload.spec.aus == module.payload.spec.aus:  # other AUs have other labels, and are refused with the network
        check_same_faces(path, payload, faces=module.payload.faces, seen=module.payload.seen, key="resume")
    if payload.spec.cutpoints != module.payload.spec.cutpoints:
        theirs, ours = list(payload.spec.cutpoints), list(module.payload.spec.cutpoints)
        raise CheckpointError(
            f"resume: expected cutpoints={theirs} as in '{path}', got {ours}; set cutpoints to those of that run"
        )
    if payload.spec == module.payload.spec and (other := checkpoint["state_dict"].keys() ^ module.state_dict().keys()):
        raise CheckpointError(
            f"resume: expected the parameters of this run, got others in '{path}' ('{min(other)}', ...); "
            "resume with the settings of that run (average, method)"
        )
    if payload.spec == module.payload.spec:  # another network is refused where its weights are loaded
        check_left(checkpoint, module.payload.config["trainer"], path=path)


def check_left(checkpoint: Mapping[str, Any], trainer: Mapping[str, Any], *, path: str) -> None:
    """Check that a run can continue from a checkpoint, and has not already done more than is set.

    Args:
        checkpoint: as Lightning wrote it.
        trainer: of the config of the run that resumes.
        path: of the checkpoint.

    Raises:
        CheckpointError: the checkpoint has only weights, or its counters cannot be read.
        ConfigError: fewer epochs or steps are set than are done.
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


def _first_difference(key: str, theirs: Any, ours: Any) -> tuple[str, Any, Any] | None:
    """Dotted key of the first value that differs, and both values; None if all are equal."""
    if not theirs or not ours or not isinstance(theirs, Mapping) or not isinstance(ours, Mapping):
        return None if theirs == ours else (key, theirs, ours)
    shared = [name for name in theirs if name in ours]
    found = (_first_difference(f"{key}.{name}", theirs[name], ours[name]) for name in shared)
    named = None if theirs.keys() - _GONE == ours.keys() else (key, tuple(theirs), tuple(ours))
    return next(filter(None, found), named)


def _short(value: object) -> str:
    if isinstance(value, Mapping):  # a component, or a group without one
        value = value.get("_target_", "none").rpartition(".")[2]
    text = "null" if value is None else ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
