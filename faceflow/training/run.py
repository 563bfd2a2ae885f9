"""`train` and `test` from a composed config."""

from __future__ import annotations

import logging
import time
import warnings
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from faceflow.artifacts.checkpoint import Payload, load_network
from faceflow.config.checks import check_number
from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.data.assembly import check_shared, describe_protocol, read_tables
from faceflow.data.datamodule import check_loader
from faceflow.data.protocols import EvaluationProtocol, apart_by_split
from faceflow.data.sources import UNLABELED, FaceTable
from faceflow.data.splits import SplitConfig, without_persons
from faceflow.data.transforms import build_pipeline
from faceflow.encoding import cutpoints
from faceflow.errors import ConfigError, DataError
from faceflow.methods.objective import TEACHER
from faceflow.report.tables import data_tables, show
from faceflow.training.build import EVAL, build_objectives
from faceflow.training.fold import prepare_fold, report_data, train_fold
from faceflow.training.folds import train_folds
from faceflow.training.record import run_record
from faceflow.training.summary import summarize
from faceflow.training.testing import report_test, test_network

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float | None:
    """Train by a config and test the best checkpoint, once for every fold of its protocol.

    Returns:
        The best value of `monitor`, for sweepers; its mean over folds; None after a preview or a data report.
    """
    started = time.time()
    _quiet()
    views = _check_settings(cfg)
    split, protocol = SplitConfig(**cfg.split), _protocol(cfg)
    folds = protocol.folds(_tables(cfg, levels=cfg.levels), split)
    if any(fold.name is not None for fold in folds):
        return train_folds(cfg, protocol, split, folds, views)
    (fold,) = folds
    run = prepare_fold(cfg, fold, split, views)
    report_data(run)
    if cfg.preview or cfg.report_only:
        return None
    run.check()
    return train_fold(run, started=started, resume=cfg.resume)


def test(cfg: DictConfig) -> float:
    """Test a checkpoint by a config.

    Returns:
        Macro F1 at the thresholds of the checkpoint.
    """
    started = time.time()
    _quiet()
    output = Path(cfg.paths.output)
    check_loader(cfg.loader.batch_size, cfg.loader.workers)
    if cfg.subset not in ("unseen", "all"):
        raise ConfigError(f"subset: expected unseen or all, got '{cfg.subset}'")
    network, payload = load_network(cfg.checkpoint, key="checkpoint")
    tables, note = _unseen(_tables(cfg, levels=network.spec.levels), payload, everybody=cfg.subset == "all")
    tables = apart_by_split(tables)
    check_shared(network.spec.aus, tables)
    payload.protocol |= describe_protocol({"test": tables}, rule=payload.protocol["split"]) | note
    splits = {"test": tables}
    show(*data_tables(summarize(splits, network.spec.aus), network.spec.aus), saved_to=output / "data.txt")
    result = test_network(
        network,
        payload.thresholds,
        tables,
        pipeline=build_pipeline(_eval_steps(cfg, network.spec.image_size), key=f"transforms.{EVAL}"),
        batch_size=cfg.loader.batch_size,
        workers=cfg.loader.workers,
        accelerator=cfg.accelerator,
    )
    record = run_record(seed=cfg.seed, protocol=payload.protocol, splits=splits, started=started)
    extra = {"checkpoint": str(cfg.checkpoint), "run": record}
    report_test(result, tables, payload, title=f"Test of {Path(cfg.checkpoint)}", output=output, extra=extra)
    return result.evaluations[result.pooled.name].summary["f1_val"]


def _check_settings(cfg: DictConfig) -> list[str]:
    """Check what needs no data, and settle what to monitor; return the views that the method reads."""
    if cfg.monitor is None:
        cfg.monitor = "val/f1_val" if cfg.levels == 1 else "val/icc"
    cutpoints(cfg.levels, cfg.cutpoints)
    check_loader(cfg.loader.batch_size, cfg.loader.workers)
    SplitConfig(**cfg.split)
    objectives = build_objectives(plain_dict(cfg.method))
    views = sorted({view.removeprefix(TEACHER) for objective in objectives.values() for view in objective.views})
    expected = "a whole number in 0..4294967295"
    check_number(cfg.seed, key="seed", expected=expected, valid=lambda x: 0 <= x < 2**32, whole=True)
    check_number(cfg.preview, key="preview", expected="a count of faces", valid=lambda x: x >= 0, whole=True)
    if cfg.unlabeled is not None and not any(view.startswith(UNLABELED) for view in views):
        log.warning("unlabeled=%s is not opened: no view of this method reads it; see method=fixmatch", cfg.unlabeled)
    return views


def _protocol(cfg: DictConfig) -> EvaluationProtocol:
    protocol = instantiate(cfg.protocol, key="protocol")
    if not isinstance(protocol, EvaluationProtocol):
        raise ConfigError(f"protocol: expected an EvaluationProtocol, got {type(protocol).__name__}")
    return protocol


def _tables(cfg: DictConfig, *, levels: int) -> list[FaceTable]:
    data = plain_dict(cfg.data)
    if data.get("prepare"):
        instantiate(data["prepare"], key="data.prepare")
    return read_tables(data["sources"], levels=levels)


def _unseen(tables: list[FaceTable], payload: Payload, *, everybody: bool) -> tuple[list[FaceTable], dict[str, str]]:
    """Leave out the persons of training and validation, and say so."""
    kept = tables if everybody else [without_persons(table, set(payload.seen)) for table in tables]
    left_out = sum(map(len, tables)) - sum(map(len, kept))
    if not any(map(len, kept)):
        raise DataError(
            f"data: expected persons that the checkpoint has not seen, got none ({left_out} images of training and "
            "validation persons left out); test other data, or subset=all for a number that says nothing of new faces"
        )
    if left_out:
        log.warning("left out %d images of persons that the checkpoint was trained or validated on", left_out)
        return [table for table in kept if len(table)], {"left out": f"{left_out} images of seen persons"}
    overlap = everybody and any(set(table.persons) & set(payload.seen) for table in tables)
    return kept, {"caution": "includes persons seen in training or validation"} if overlap else {}


def _eval_steps(cfg: DictConfig, image_size: int) -> dict[str, Any]:
    """Evaluation transform at the size of the checkpoint's network."""
    sized = OmegaConf.merge(OmegaConf.create({"model": {"image_size": image_size}}), cfg)
    assert isinstance(sized, DictConfig)
    return plain_dict(sized.transforms)[EVAL]  # type: ignore[no-any-return]


def _quiet() -> None:
    """Keep Lightning's advertisements and advice away from the user's results."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("timm").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # Lightning 2.6 with torch 2.15
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # the average is meant to be
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*number of training batches.*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message="The dirpath has changed.*")  # of last.ckpt in a resumed run
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
