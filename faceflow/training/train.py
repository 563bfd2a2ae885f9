"""`faceflow-train`: from a composed config to a trained and tested network, or one for every fold of a protocol."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from faceflow.checks import check_whole
from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.config.running_job import overridden
from faceflow.data.datamodule import check_loader
from faceflow.data.protocols.protocol import EvaluationProtocol
from faceflow.data.sources import UNLABELED
from faceflow.data.splits import SplitConfig
from faceflow.data.views import computed_views, stream_and_pipeline
from faceflow.encoding import cutpoints
from faceflow.errors import ConfigError
from faceflow.evaluation.advice import silence_advice
from faceflow.evaluation.evaluation_data import read_faces
from faceflow.evaluation.intervals import check_bootstrap
from faceflow.methods.objective import TEACHER
from faceflow.training.build import build_objectives
from faceflow.training.fold import prepare_fold, report_data, train_fold
from faceflow.training.folds import train_folds

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a training left behind.

    Attributes:
        folder: of its results.
        monitor: metric that chose the checkpoint.
        best: its best value, over folds the mean; None after a preview or a data report, and in all processes but the
            first.
        checkpoint: the best one; None where `best` is, and where there are several folds.
        folds: folder of every fold by name; empty where the protocol has one only.
    """

    folder: Path
    monitor: str
    best: float | None
    checkpoint: Path | None
    folds: dict[str, Path]


def train(config: DictConfig) -> TrainResult:
    """Train by a config and test the best checkpoint, once for every fold of its protocol."""
    started, cfg = time.time(), config
    silence_advice()
    views = _check_settings(cfg)
    split, protocol = SplitConfig(**cfg.split), _protocol(cfg)
    folds = protocol.folds(read_faces(cfg, levels=cfg.levels), split)
    folder, best, checkpoint = Path(cfg.paths.output), None, None
    if any(fold.name is not None for fold in folds):
        best = train_folds(cfg, protocol, split, folds, views)
    else:
        run = prepare_fold(cfg, folds[0], split, views)
        report_data(run)
        if not (cfg.preview or cfg.report_only):
            run.check()
            best = train_fold(run, whole=cfg, started=started, resume=cfg.resume)
            checkpoint = None if best is None else folder / "checkpoints" / "best.ckpt"
    own = {str(fold.name): folder / str(fold.name) for fold in folds if fold.name is not None}
    return TrainResult(folder=folder, monitor=cfg.monitor, best=best, checkpoint=checkpoint, folds=own)


def _check_settings(cfg: DictConfig) -> dict[str, str]:
    """Check what needs no data, and settle what to monitor; return the views of the method, see `computed_views`."""
    if cfg.monitor is None:
        cfg.monitor = "val/f1_val" if cfg.levels == 1 else "val/icc"
    cutpoints(cfg.levels, cfg.cutpoints)
    check_loader(cfg.loader.batch_size, cfg.loader.workers, cfg.loader.timeout_s)
    SplitConfig(**cfg.split)
    objectives = build_objectives(plain_dict(cfg.method))
    read = {view.removeprefix(TEACHER) for objective in objectives.values() for view in objective.views}
    views = computed_views(read, plain_dict(cfg.transforms))
    expected = "a whole number in 0..4294967295"
    check_whole(cfg.seed, key="seed", lowest=0, highest=2**32 - 1, expected=expected)
    check_bootstrap(cfg.bootstrap)
    check_whole(cfg.preview, key="preview", lowest=0, expected="a count of faces")
    if cfg.unlabeled is not None and not any(view.startswith(UNLABELED) for view in views):
        log.warning("unlabeled=%s is not opened: no view of this method reads it; see method=fixmatch", cfg.unlabeled)
    for pipeline in ("weak", "strong"):
        if overridden(f"transforms.{pipeline}") and pipeline not in {stream_and_pipeline(view)[1] for view in views}:
            log.warning(
                "transforms.%s is not used: no view of this method reads it; labelled faces show transforms.labeled, "
                "see augment=light|medium|strong",
                pipeline,
            )
    return views


def _protocol(cfg: DictConfig) -> EvaluationProtocol:
    protocol = instantiate(cfg.protocol, key="protocol")
    if not isinstance(protocol, EvaluationProtocol):
        raise ConfigError(f"protocol: expected an EvaluationProtocol, got {type(protocol).__name__}")
    return protocol
