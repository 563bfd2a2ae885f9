"""`train` and `test` from a composed config; below here functions take values, not configs."""

from __future__ import annotations

import dataclasses
import logging
import time
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from faceflow.artifacts.checkpoint import Payload, load_network
from faceflow.config.checks import check_number
from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.config.stored import store_config
from faceflow.data.assembly import check_levels, check_shared, choose_aus, count_labels, describe_protocol, read_tables
from faceflow.data.datamodule import AUDataModule, check_loader
from faceflow.data.sources import FaceTable
from faceflow.data.splits import SplitConfig, Tables, make_splits, without_persons
from faceflow.data.transforms import build_pipeline
from faceflow.encoding import cutpoints
from faceflow.errors import ConfigError, DataError
from faceflow.losses.elementwise import LabelCounts
from faceflow.report.tables import data_tables, say, show
from faceflow.training.build import (
    EVAL,
    build_network,
    build_objectives,
    build_pipelines,
    build_spec,
    build_trainer,
    check_monitor,
    check_resume,
)
from faceflow.training.module import AUModule
from faceflow.training.preview import preview_faces
from faceflow.training.record import run_record, versions
from faceflow.training.scoring import SplitScorer
from faceflow.training.summary import summarize
from faceflow.training.testing import report_test, test_network

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float | None:
    """Train by a config and test the best checkpoint.

    Returns:
        The best value of `monitor`, for sweepers; None after a preview or a data report.
    """
    started = time.time()
    _quiet()
    output = Path(cfg.paths.output)
    if cfg.monitor is None:
        cfg.monitor = "val/f1_val" if cfg.levels == 1 else "val/icc"
    points = cutpoints(cfg.levels, cfg.cutpoints)
    check_loader(cfg.loader.batch_size, cfg.loader.workers)
    split = SplitConfig(**cfg.split)
    objectives = build_objectives(plain_dict(cfg.method))
    views = sorted(set().union(*(objective.views for objective in objectives.values())))
    expected = "a whole number in 0..4294967295"
    check_number(cfg.seed, key="seed", expected=expected, valid=lambda x: 0 <= x < 2**32, whole=True)
    check_number(cfg.preview, key="preview", expected="a count of faces", valid=lambda x: x >= 0, whole=True)
    L.seed_everything(cfg.seed, workers=True, verbose=False)

    splits = make_splits(_tables(cfg, levels=cfg.levels), split)
    aus = choose_aus(cfg.aus.names, splits["train"])
    rule = check_levels([table for tables in splits.values() for table in tables], levels=cfg.levels)
    if not getattr(rank_zero_only, "rank", 0):  # from the launcher's environment, before there is a trainer
        show(*data_tables(summarize(splits, aus), aus), saved_to=output / "data.txt")
    if cfg.preview:
        transforms = plain_dict(cfg.transforms)
        say(f"Picture: {preview_faces(splits['train'], transforms, faces=cfg.preview, folder=output)}")
    if cfg.preview or cfg.report_only:
        return None
    positives, observed = count_labels(splits["train"], aus, points)

    spec = build_spec(plain_dict(cfg.model), aus=aus, levels=cfg.levels, points=cfg.cutpoints, occurrence_min=rule)
    network = build_network(spec, plain_dict(cfg.model), init_weights=cfg.init_weights, channels_last=cfg.channels_last)
    protocol = describe_protocol(splits, rule=str(split))
    seen = {str(person) for name in ("train", "val") for table in splits[name] for person in table.persons}
    scorer = SplitScorer(splits["val"], spec)
    check_monitor(cfg.monitor, scorer, callbacks=plain_dict(cfg.callbacks))
    config = store_config(cfg, output)
    module = AUModule(
        network=network,
        objectives=objectives,
        counts=LabelCounts(positives=torch.from_numpy(positives), observed=torch.from_numpy(observed)),
        scorer=scorer,
        optimizer=instantiate(cfg.optimizer, key="optimizer"),
        scheduler=instantiate(cfg.scheduler.factory, key="scheduler") if cfg.scheduler.factory else None,
        warmup=cfg.scheduler.warmup,
        layer_decay=cfg.layer_decay,
        head_lr_mult=cfg.head_lr_mult,
        ema_decay=cfg.ema_decay,
        seed=cfg.seed,
        payload=Payload(spec=spec, protocol=protocol, seen=sorted(seen), config=config, versions=versions()),
    )
    data = AUDataModule(
        splits,
        aus=aus,
        points=points,
        views=views,
        pipelines=build_pipelines(plain_dict(cfg.transforms), views),
        flip=cfg.flip,
        batch_size=cfg.loader.batch_size,
        workers=cfg.loader.workers,
        seed=cfg.seed,
    )
    trainer = build_trainer(
        plain_dict(cfg.trainer),
        callbacks=plain_dict(cfg.callbacks),
        loggers=plain_dict(cfg.logger),
        output=output,
    )
    if cfg.resume:
        check_resume(cfg.resume, module)
    _fit(trainer, module, data, resume=cfg.resume)
    if not trainer.is_global_zero:
        return None
    return _finish(cfg, splits, trainer, started=started, output=output)


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
    tables = _by_split(tables)
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


def _fit(trainer: L.Trainer, module: AUModule, data: AUDataModule, *, resume: str | None) -> None:
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into exit code 1
            raise KeyboardInterrupt from stop
        raise


def _finish(cfg: DictConfig, splits: Tables, trainer: L.Trainer, *, started: float, output: Path) -> float:
    """Test the best checkpoint with what `faceflow-test` runs, and close the record."""
    best: Any = trainer.checkpoint_callback
    if best is None or best.best_model_score is None:
        raise ConfigError(
            "trainer: expected a validated epoch, got none; see trainer.max_epochs, trainer.check_val_every_n_epoch, "
            "trainer.limit_val_batches and callbacks.best"
        )
    score = float(best.best_model_score)
    extra = {
        "monitor": {"metric": cfg.monitor, "best": score},
        "checkpoint": best.best_model_path,
    }
    network, payload = load_network(best.best_model_path, key="checkpoint")
    record = run_record(seed=cfg.seed, protocol=payload.protocol, splits=splits, started=started)
    if cfg.test and splits["test"]:
        result = test_network(
            network,
            payload.thresholds,
            splits["test"],
            pipeline=build_pipeline(plain_dict(cfg.transforms)[EVAL], key=f"transforms.{EVAL}"),
            batch_size=cfg.loader.batch_size,
            workers=cfg.loader.workers,
            accelerator=cfg.trainer.accelerator,
        )
        report_test(result, splits["test"], payload, title="Test", output=output, extra={**extra, "run": record})
    say(f"Best {cfg.monitor}: {score:.4f}", f"Checkpoint: {best.best_model_path}")
    return score


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


def _by_split(tables: list[FaceTable]) -> list[FaceTable]:
    """Tell the label files of one data set apart, where it has one per split."""
    names = [table.name for table in tables]
    return [
        dataclasses.replace(table, name=f"{table.name}:{table.split}") if names.count(table.name) > 1 else table
        for table in tables
    ]


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
