"""`train` and `test` from a composed config."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from omegaconf import DictConfig

from faceflow.checks import check_number
from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.config.run_folder import settle
from faceflow.config.running_job import overridden
from faceflow.console import print_tables, save_tables
from faceflow.data.assembly import check_reading, check_shared, describe_protocol
from faceflow.data.datamodule import check_loader
from faceflow.data.protocols.protocol import EvaluationProtocol, apart_by_split
from faceflow.data.sources import UNLABELED
from faceflow.data.splits import SplitConfig
from faceflow.encoding import cutpoints
from faceflow.errors import ConfigError
from faceflow.evaluation.advice import silence_advice
from faceflow.evaluation.data_summary import summarize
from faceflow.evaluation.evaluation_data import eval_pipeline, read_faces, sized
from faceflow.evaluation.intervals import check_bootstrap
from faceflow.evaluation.known_faces import without_seen
from faceflow.evaluation.outcome import describe, log_outcome, test_outcome, trackers_of
from faceflow.evaluation.predictors import open_predictor
from faceflow.evaluation.record import fingerprints, run_record
from faceflow.evaluation.testing import report_test, test_network
from faceflow.interruption import kept
from faceflow.methods.objective import TEACHER
from faceflow.report.tables import data_tables
from faceflow.tracking.tracker import tracked
from faceflow.training.beginning import DATA
from faceflow.training.build import build_loggers, build_objectives
from faceflow.training.fit import RunState
from faceflow.training.fold import prepare_fold, report_data, train_fold
from faceflow.training.folds import train_folds
from faceflow.views import computed_views, stream_and_pipeline

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float | None:
    """Train by a config and test the best checkpoint, once for every fold of its protocol.

    Returns:
        The best value of `monitor`, for sweepers; its mean over folds; None after a preview or a data report.
    """
    started = time.time()
    silence_advice()
    views = _check_settings(cfg)
    split, protocol = SplitConfig(**cfg.split), _protocol(cfg)
    folds = protocol.folds(read_faces(cfg, levels=cfg.levels), split)
    if any(fold.name is not None for fold in folds):
        return train_folds(cfg, protocol, split, folds, views)
    (fold,) = folds
    run = prepare_fold(cfg, fold, split, views)
    report_data(run)
    if cfg.preview or cfg.report_only:
        return None
    run.check()
    return train_fold(run, whole=cfg, started=started, resume=cfg.resume)


def test(cfg: DictConfig) -> float:
    """Test a checkpoint, or a model exported from one, by a config.

    Returns:
        Macro F1 at the thresholds of the checkpoint.
    """
    state = RunState(Path(cfg.paths.output), resume=None, fold=False, speaks=True, overwrite=cfg.overwrite)
    with kept(state.tested):
        return _test(cfg, state.output)


def _test(cfg: DictConfig, output: Path) -> float:
    started = time.time()
    silence_advice()
    check_loader(cfg.loader.batch_size, cfg.loader.workers, cfg.loader.timeout_s)
    check_bootstrap(cfg.bootstrap)
    if cfg.subset not in ("unseen", "all"):
        raise ConfigError(f"subset: expected unseen or all, got '{cfg.subset}'")
    predictor, payload = open_predictor(cfg.checkpoint, cfg.onnx, accelerator=cfg.accelerator)
    spec = predictor.spec
    tables = read_faces(cfg, levels=spec.levels)
    if cfg.checkpoint is None:
        log.warning("onnx: an exported file does not say whom it was trained on; all subjects are tested")
        note = {"caution": "subjects seen in training are not known, and may be included"}
    else:
        tables, note = without_seen(tables, payload, everybody=cfg.subset == "all", same_subjects=cfg.same_subjects)
    tables = apart_by_split(tables)
    check_shared(spec.aus, tables)
    if cfg.onnx is None:  # an exported file decodes by itself
        check_reading(tables, spec.aus, spec.cutpoints, spec.occurrence_min)
    payload.protocol |= describe_protocol({"test": tables}, rule=payload.protocol["split"]) | note
    splits = {"test": tables}
    data = data_tables(summarize(splits, spec.aus), spec.aus)
    print_tables(*data)
    loggers = build_loggers(plain_dict(cfg.logger))
    result = test_network(
        predictor,
        payload.thresholds,
        tables,
        pipeline=eval_pipeline(cfg, spec.image_size),
        batch_size=cfg.loader.batch_size,
        workers=cfg.loader.workers,
        timeout_s=cfg.loader.timeout_s,
        bootstrap=plain_dict(cfg.bootstrap),
    )
    settle()
    save_tables(*data, path=Path(cfg.paths.output) / DATA)
    record = run_record(seed=cfg.seed, protocol=payload.protocol, splits=splits, started=started)
    files = {key: str(cfg[key]) for key in ("checkpoint", "onnx") if cfg[key] is not None}
    title = f"Test of {Path(cfg.onnx or cfg.checkpoint)}"
    whole = sized(cfg, spec.image_size)
    described = describe(whole, fold=None, resume=None, job_type="test", fingerprints=fingerprints(splits))
    with tracked(trackers_of(loggers), described):
        report_test(result, tables, payload, whole, title=title, splits=splits, extra={**files, "run": record})
        outcome = test_outcome(result, tables, spec)
        log_outcome(loggers, outcome, cfg, checkpoint=None, splits=splits)
    return result.evaluations[result.pooled.name].summary["f1_val"]


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
    check_number(cfg.seed, key="seed", expected=expected, valid=lambda x: 0 <= x < 2**32, whole=True)
    check_bootstrap(cfg.bootstrap)
    check_number(cfg.preview, key="preview", expected="a count of faces", valid=lambda x: x >= 0, whole=True)
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
