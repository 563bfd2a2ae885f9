"""Parts of a run from plain values: network, objectives, callbacks, trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch

from faceflow.artifacts.checkpoint import (
    AtomicCheckpointIO,
    load_state,
    network_state,
    read_checkpoint,
)
from faceflow.config.instantiate import instantiate
from faceflow.data.transforms import Pipeline, build_pipeline
from faceflow.encoding import cutpoints
from faceflow.errors import CheckpointError, ConfigError, suggest
from faceflow.methods.objective import Objective
from faceflow.models.backbone import check_backbone, input_statistics
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.training.module import AUModule

EVAL = "eval"


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
        cutpoints=cutpoints(levels, points),
        occurrence_min=occurrence_min,
        image_size=model["image_size"],
        mean=tuple(model["mean"] or mean),
        std=tuple(model["std"] or std),
    )


def build_network(
    spec: NetworkSpec, model: Mapping[str, Any], *, init_weights: str | None, channels_last: bool
) -> AUNetwork:
    """Network with its starting weights: a FaceFlow checkpoint, a timm file, the hub, or random."""
    if not isinstance(model["pretrained"], bool):
        raise ConfigError(f"model.pretrained: expected true or false, got {model['pretrained']!r}")
    network = AUNetwork(
        spec,
        pretrained=model["pretrained"] and model["weights"] is None and init_weights is None,
        weights=None if init_weights else model["weights"],
        dropout=model["dropout"],
        drop_path=model["drop_path"],
    )
    if init_weights:
        checkpoint, payload = read_checkpoint(init_weights, key="init_weights")
        for key in ("backbone", "aus", "levels"):
            theirs, ours = getattr(payload.spec, key), getattr(spec, key)
            if theirs != ours:
                raise CheckpointError(
                    f"init_weights: expected a network with {key} {_short(ours)}, got {_short(theirs)} in "
                    f"'{init_weights}'; set this run to the same"
                )
        load_state(network, network_state(checkpoint, source=init_weights), source=init_weights)
    return network.to(memory_format=torch.channels_last) if channels_last else network


def build_pipelines(transforms: Mapping[str, Any], views: Sequence[str]) -> dict[str, Pipeline]:
    """Augmentations of the views that are read, and of evaluation."""
    wanted = sorted({view.partition("/")[2] for view in views} | {EVAL})
    return {view: build_pipeline(transforms[view], key=f"transforms.{view}") for view in wanted}


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
    trainer: Mapping[str, Any], *, callbacks: Mapping[str, Any], loggers: Mapping[str, Any], output: Path
) -> L.Trainer:
    """Trainer that writes under `output`, checkpoints whole or not at all."""
    try:
        return L.Trainer(
            **trainer,
            callbacks=[instantiate(node, key=f"callbacks.{name}") for name, node in callbacks.items() if node],
            logger=[instantiate(node, key=f"logger.{name}") for name, node in loggers.items() if node],
            plugins=[AtomicCheckpointIO()],
            default_root_dir=output,
            use_distributed_sampler=False,  # EpochSampler deals the rows out itself
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
    except (ValueError, TypeError, RuntimeError) as error:  # MisconfigurationException is a ValueError or RuntimeError
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error


def check_resume(path: str, module: AUModule, *, method: Mapping[str, Any]) -> None:
    """Check that a checkpoint continues this very run.

    Raises:
        CheckpointError: another method, or parameters that this run does not have.
    """
    checkpoint, payload = read_checkpoint(path, key="resume")
    theirs = payload.config.get("method")
    if isinstance(theirs, Mapping) and sorted(theirs) != sorted(method):
        raise CheckpointError(
            f"resume: expected a run with method {sorted(method)}, got {sorted(theirs)} in '{path}'; resume with that "
            "method, or start from its network with init_weights=PATH"
        )
    if payload.spec == module.payload.spec and (other := checkpoint["state_dict"].keys() ^ module.state_dict().keys()):
        raise CheckpointError(
            f"resume: expected the parameters of this run, got others in '{path}' ('{min(other)}', ...); "
            "resume with the settings of that run (ema_decay, method)"
        )


def check_monitor(monitor: str, logged: Mapping[str, Any]) -> None:
    """Check that the monitored metric exists.

    Raises:
        ConfigError: it was not logged.
    """
    if monitor not in logged:
        raise ConfigError(f"monitor: expected a logged metric, got '{monitor}'; {suggest(monitor, logged)}")


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
