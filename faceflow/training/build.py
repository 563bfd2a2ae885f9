"""Parts of a run from values and nodes of its config: network, objectives, module, batches, callbacks, trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger
from torch import Tensor

from faceflow.checks import check_boolean, check_whole
from faceflow.config.instantiate import instantiate
from faceflow.encoding import cutpoints
from faceflow.errors import ConfigError
from faceflow.evaluation.scoring import SplitScorer
from faceflow.losses.elementwise import LabelCounts
from faceflow.methods.objective import Objective
from faceflow.models.backbone import check_backbone, input_statistics
from faceflow.models.checkpoint import Payload
from faceflow.models.features import FeatureSpec
from faceflow.models.network import AUNetwork, NetworkSpec
from faceflow.training.batch_norm import SyncedBatchNorm
from faceflow.training.checkpoint_io import AtomicCheckpointIO
from faceflow.training.companions import launched_here
from faceflow.training.module import AUModule
from faceflow.training.warm_start import Start

_WHOLE = {"max_epochs": -1, "max_steps": -1, "accumulate_grad_batches": 1, "check_val_every_n_epoch": 1}  # lowest


@dataclass(frozen=True, kw_only=True)
class ModuleSettings:
    """Settings of a network and of how it learns.

    Attributes:
        model: backbone, image size and starting weights.
        init_weights: checkpoint of FaceFlow to start from, see `read_start`.
        channels_last: memory layout.
        compile: whether to use torch.compile, which is faster but takes minutes for the first steps.
        method: objectives by name.
        optimizer, average: nodes with a `_target_`; `average` of the weights can be None.
        scheduler: of the learning rate, or None for a constant one.
        warmup, layer_decay, head_lr_mult: see `faceflow.training.optim`.
    """

    model: Mapping[str, Any]
    init_weights: str | None
    channels_last: bool
    compile: bool
    method: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    scheduler: Mapping[str, Any] | None
    warmup: float
    layer_decay: float
    head_lr_mult: float
    average: Mapping[str, Any] | None


def build_spec(
    model: Mapping[str, Any], *, aus: Sequence[str], levels: int, points: Sequence[float] | None, occurrence_min: float
) -> NetworkSpec:
    """Network spec of a `model` config; mean and deviation default to the backbone's own."""
    name, parts = model["backbone"], model.get("features")  # configs of earlier runs have none
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    if name is not None:
        check_backbone(name)
        mean, std = input_statistics(name)
    features = None
    if parts:
        features = FeatureSpec(parts=tuple(parts), hidden=model["hidden"], components=model["components"])
    return NetworkSpec(
        backbone=name,
        aus=tuple(aus),
        levels=levels,
        cutpoints=cutpoints(levels, points, occurrence_min),
        occurrence_min=occurrence_min,
        image_size=model["image_size"],
        mean=_statistics(model, "mean", mean),
        std=_statistics(model, "std", std),
        features=features,
        fusion=model.get("fusion", 0.5),
    )


def build_network(
    spec: NetworkSpec,
    model: Mapping[str, Any],
    *,
    start: Start | None,
    channels_last: bool,
    features: Tensor | None = None,
) -> AUNetwork:
    """Network of a `model` config with its initial weights: from a file, from the hub, or random.

    `features` (N, F) of training faces fit the standardisation of features, unless `start` provides it.
    """
    check_boolean(model["pretrained"], key="model.pretrained")
    if start is not None:
        start.check_backbone(spec)
    weights = start.weights if start is not None and start.weights.tensors else None
    network = AUNetwork(
        spec,
        pretrained=model["pretrained"] and weights is None,
        weights=weights,
        dropout=model["dropout"],
        drop_path=model["drop_path"],
        alone=model.get("alone", 0.0),
    )
    if features is not None:
        network.fit(features)
    if start is not None:
        start.give_heads(network)
    return network.to(memory_format=torch.channels_last) if channels_last else network


def build_module(
    settings: ModuleSettings,
    *,
    start: Start | None,
    features: Tensor | None,
    computed: Mapping[str, str],
    counts: LabelCounts,
    scorer: SplitScorer,
    payload: Payload,
    seed: int,
) -> AUModule:
    """Network and objectives, ready to train; the other arguments are those of `AUModule`."""
    objectives = build_objectives(settings.method)
    network = build_network(
        payload.spec, settings.model, start=start, features=features, channels_last=settings.channels_last
    )
    scheduler, average = settings.scheduler, settings.average
    module = AUModule(
        network=network,
        objectives=objectives,
        computed=computed,
        counts=counts,
        scorer=scorer,
        optimizer=instantiate(settings.optimizer, key="optimizer"),
        scheduler=instantiate(scheduler, key="scheduler") if scheduler else None,
        warmup=settings.warmup,
        layer_decay=settings.layer_decay,
        head_lr_mult=settings.head_lr_mult,
        average=instantiate(average, key="average") if average else None,
        seed=seed,
        payload=payload,
    )
    check_boolean(settings.compile, key="compile")
    if settings.compile:
        network.compile()  # after the average has copied it
    return module


def build_objectives(method: Mapping[str, Any], *, loss: Mapping[str, Any] | None = None) -> dict[str, Objective]:
    """Objectives of a method by name; `loss`: config that their criterion can be a copy of, for messages."""
    copied = {} if loss is None else {"loss": loss}
    objectives = {
        name: instantiate(node, key=f"method.{name}", copied=copied)
        for name, node in method.items()
        if node is not None
    }
    for name, objective in objectives.items():
        if not isinstance(objective, Objective):
            raise ConfigError(f"method.{name}: expected an Objective, got {type(objective).__name__}")
    if not objectives:
        raise ConfigError("method: expected at least one objective, got none; choose method=supervised")
    return objectives


def check_trainer(trainer: Mapping[str, Any]) -> None:
    """Check the numbers among the arguments of the trainer.

    Raises:
        ConfigError: a number is out of range, or would restrict the test to some of the faces.
    """
    for key, lowest in _WHOLE.items():
        if trainer.get(key) is not None:
            check_whole(trainer[key], key=f"trainer.{key}", lowest=lowest)
    for key in ("limit_test_batches", "limit_predict_batches"):
        if trainer.get(key, 1) not in (None, 1):
            raise ConfigError(
                f"trainer.{key}: expected null, as the best checkpoint is tested on all faces, got {trainer[key]!r}; "
                "skip the test with test=false"
            )


def build_trainer(
    trainer: Mapping[str, Any],
    *,
    callbacks: Mapping[str, Any],
    watchers: Sequence[L.Callback],
    loggers: Sequence[Logger],
    output: Path,
) -> L.Trainer:
    """Trainer that writes below `output`, checkpoints atomically; `watchers`: callbacks that no config lists."""
    listeners = [instantiate(node, key=f"callbacks.{name}") for name, node in callbacks.items() if node]
    if not trainer["enable_progress_bar"]:
        listeners = [listener for listener in listeners if not isinstance(listener, ProgressBar)]
    arguments = {  # a profiler or a strategy can be a node that names its class
        key: instantiate(value, key=f"trainer.{key}") if isinstance(value, Mapping) and "_target_" in value else value
        for key, value in trainer.items()
    }
    synced = arguments.pop("sync_batchnorm", False)
    check_boolean(synced, key="trainer.sync_batchnorm")
    try:
        built = L.Trainer(
            **arguments,
            callbacks=[*listeners, *watchers],
            logger=list(loggers),
            plugins=[
                AtomicCheckpointIO(),
                *([SyncedBatchNorm()] if synced else []),
                *launched_here(trainer.get("devices"), trainer.get("num_nodes")),
            ],
            default_root_dir=output,
            use_distributed_sampler=False,  # EpochSampler deals the rows out itself
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
    if synced and built.strategy.root_device.type == "cpu":
        raise ConfigError(
            "trainer.sync_batchnorm: expected GPUs, as torch syncs batch statistics only there, got the CPU; leave it "
            "out"
        )
    return built


def _statistics(model: Mapping[str, Any], key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    chosen = default if model[key] is None else model[key]
    if not isinstance(chosen, list | tuple):
        raise ConfigError(f"model.{key}: expected three numbers [R,G,B] in 0..1, or null, got {chosen!r}")
    return tuple(chosen)
