"""Parts of a run from plain values: network, objectives, callbacks, trainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger

from faceflow.checks import check_boolean, check_whole
from faceflow.config.instantiate import instantiate
from faceflow.data.transforms import EVAL, Pipeline, build_pipeline
from faceflow.data.views import stream_and_pipeline, with_labeled
from faceflow.encoding import cutpoints
from faceflow.errors import CheckpointError, ConfigError, DataError, suggest
from faceflow.evaluation.known_faces import check_same_faces
from faceflow.evaluation.scoring import SplitScorer
from faceflow.methods.objective import Objective
from faceflow.metrics.metric import column_named
from faceflow.models.backbone import check_backbone, input_statistics
from faceflow.models.checkpoint import read_checkpoint
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.models.weights import read_weights
from faceflow.training.checkpoint_io import AtomicCheckpointIO
from faceflow.training.module import AUModule
from faceflow.training.resume import check_left
from faceflow.training.warm_start import read_start

# What a resumed run repeats. The rest may change: paths, loader, trainer (more epochs, another device), callbacks.
_CONTINUED = (
    *("seed", "levels", "monitor", "split", "flip", "method", "optimizer", "scheduler"),
    *("layer_decay", "head_lr_mult", "average"),
)
_GONE = {"cutoff_step"}  # keys of earlier versions, which say nothing of how a run goes on
_WHOLE = {"max_epochs": -1, "max_steps": -1, "accumulate_grad_batches": 1, "check_val_every_n_epoch": 1}  # lowest


def build_spec(
    model: Mapping[str, Any], *, aus: Sequence[str], levels: int, points: Sequence[float] | None, occurrence_min: float
) -> NetworkSpec:
    """Network spec of a `model` config; mean and deviation default to the backbone's own."""
    check_backbone(model["backbone"])
    mean, std = input_statistics(model["backbone"])
    return NetworkSpec(
        backbone=model["backbone"],
        aus=tuple(aus),
        levels=levels,
        cutpoints=cutpoints(levels, points, occurrence_min),
        occurrence_min=occurrence_min,
        image_size=model["image_size"],
        mean=_statistics(model, "mean", mean),
        std=_statistics(model, "std", std),
    )


def build_network(
    spec: NetworkSpec, model: Mapping[str, Any], *, init_weights: str | None, channels_last: bool
) -> AUNetwork:
    """Network with its starting weights: a FaceFlow checkpoint, a timm file, the hub, or random."""
    check_boolean(model["pretrained"], key="model.pretrained")
    start = read_start(init_weights, spec) if init_weights else None
    weights = read_weights(model["weights"], key="model.weights") if model["weights"] and start is None else None
    network = AUNetwork(
        spec,
        pretrained=model["pretrained"] and weights is None and start is None,
        weights=weights if start is None else start.backbone,
        dropout=model["dropout"],
        drop_path=model["drop_path"],
    )
    if start is not None:
        start.give_heads(network)
    return network.to(memory_format=torch.channels_last) if channels_last else network


def build_pipelines(transforms: Mapping[str, Any], views: Iterable[str]) -> dict[str, Pipeline]:
    """Augmentations of the views that are read, and of evaluation."""
    steps = with_labeled(transforms)
    wanted = sorted({stream_and_pipeline(view)[1] for view in views} | {EVAL})
    return {name: build_pipeline(steps[name], key=f"transforms.{name}") for name in wanted}


def build_objectives(method: Mapping[str, Any]) -> dict[str, Objective]:
    """Objectives of a method by name."""
    objectives = {name: instantiate(node, key=f"method.{name}") for name, node in method.items() if node is not None}
    for name, objective in objectives.items():
        if not isinstance(objective, Objective):
            raise ConfigError(f"method.{name}: expected an Objective, got {type(objective).__name__}")
    if not objectives:
        raise ConfigError("method: expected at least one objective, got none; choose method=supervised")
    return objectives


def build_trainer(
    trainer: Mapping[str, Any],
    *,
    callbacks: Mapping[str, Any],
    watchers: Sequence[L.Callback],
    loggers: Sequence[Logger],
    output: Path,
) -> L.Trainer:
    """Trainer that writes under `output`, checkpoints whole or not at all; `watchers` are callbacks of no config."""
    for key, lowest in _WHOLE.items():
        if trainer.get(key) is not None:
            check_whole(trainer[key], key=f"trainer.{key}", lowest=lowest)
    listeners = [instantiate(node, key=f"callbacks.{name}") for name, node in callbacks.items() if node]
    if not trainer["enable_progress_bar"]:
        listeners = [listener for listener in listeners if not isinstance(listener, ProgressBar)]
    arguments = {key: _built(value, key=f"trainer.{key}") for key, value in trainer.items()}
    try:
        return L.Trainer(
            **arguments,
            callbacks=[*listeners, *watchers],
            logger=list(loggers),
            plugins=[AtomicCheckpointIO()],
            default_root_dir=output,
            use_distributed_sampler=False,  # EpochSampler deals the rows out itself
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error


def _built(value: Any, *, key: str) -> Any:
    """Object of a node that names one, such as a profiler or strategy; plain values as they are."""
    return instantiate(value, key=key) if isinstance(value, Mapping) and "_target_" in value else value


def check_resume(path: str, module: AUModule) -> None:
    """Check that a checkpoint continues this very run.

    Raises:
        CheckpointError: other settings, persons that moved between the splits, or parameters that this run lacks.
        ConfigError: fewer epochs or steps than are done.
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


def check_monitor(monitor: str, scorer: SplitScorer, *, callbacks: Mapping[str, Any]) -> None:
    """Check before training that the monitored metric exists and is defined on the validation labels.

    Raises:
        ConfigError: no metric of that name, or a callback that takes its worst value for the best.
        DataError: validation labels on which any prediction leaves it undefined.
    """
    shape = (scorer.total, len(scorer.spec.aus), scorer.spec.levels)
    guess, rows = scorer.decode(np.random.default_rng(0).random(shape)), np.arange(scorer.total)
    known = scorer.named("val", scorer.score(rows, guess, scorer.tune(rows, guess)))
    if monitor not in known:
        raise ConfigError(f"monitor: expected a validation metric, got '{monitor}'; {suggest(monitor, known)}")
    column = column_named(monitor.rpartition("/")[2])
    mode = "min" if column is not None and column.metric.lower_is_better else "max"
    for name, node in callbacks.items():
        if node and node.get("monitor") == monitor and node.get("mode", mode) != mode:
            raise ConfigError(f"callbacks.{name}.mode: expected {mode} for monitor={monitor}, got {node['mode']}")
    if not np.isfinite(known[monitor]):
        wanted = "both classes" if column is None else column.metric.defined_on
        raise DataError(
            f"validation labels: expected {wanted} of at least one AU for monitor={monitor}, got none; take more "
            "persons with split.val, or others with split.seed"
        )


def _statistics(model: Mapping[str, Any], key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    chosen = default if model[key] is None else model[key]
    if not isinstance(chosen, list | tuple):
        raise ConfigError(f"model.{key}: expected three numbers [R,G,B] in 0..1, or null, got {chosen!r}")
    return tuple(chosen)


def _first_difference(key: str, theirs: Any, ours: Any) -> tuple[str, Any, Any] | None:
    """Dotted key of the first value that differs, and both values; None where all are equal."""
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
