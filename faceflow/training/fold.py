"""One fold of a protocol: look at its data, train on it, test the best checkpoint."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig

from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.config.stored import resolved_config
from faceflow.console import print_lines, print_tables
from faceflow.data.assembly import check_levels, check_reading, choose_aus, count_labels, describe_protocol
from faceflow.data.crop_recipe import find_crop_recipe
from faceflow.data.datamodule import AUDataModule
from faceflow.data.protocols.protocol import LEGACY, Fold
from faceflow.data.sources import SPLITS, UNLABELED
from faceflow.data.splits import SplitConfig, Tables
from faceflow.data.streams import training_streams
from faceflow.encoding import cutpoints
from faceflow.evaluation.data_summary import DATA, summarize
from faceflow.evaluation.evaluation_data import eval_pipeline
from faceflow.evaluation.known_faces import check_start, remember, seen_subjects, with_start
from faceflow.evaluation.outcome import build_loggers, describe, log_outcome, test_outcome, trackers_of
from faceflow.evaluation.predictors import TorchPredictor
from faceflow.evaluation.record import fingerprints, provenance, run_record, versions
from faceflow.evaluation.run_report import report_run
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.testing import report_test, test_network
from faceflow.files import remove_leftovers
from faceflow.interruption import kept
from faceflow.losses.elementwise import LabelCounts
from faceflow.metrics.thresholds import DEFAULT_THRESHOLD
from faceflow.models.checkpoint import Faces, Payload, load_network
from faceflow.models.network import NetworkSpec
from faceflow.report.result_files import write_json
from faceflow.report.tables import data_tables
from faceflow.tracking.tracker import Outcome, tracked
from faceflow.training.beginning import begin, is_main_process
from faceflow.training.build import (
    build_network,
    build_objectives,
    build_pipelines,
    build_spec,
    build_trainer,
    check_monitor,
    check_resume,
)
from faceflow.training.fit import RunState, best_checkpoint, fit
from faceflow.training.module import AUModule
from faceflow.training.preview import preview_faces
from faceflow.training.warm_start import start_payload
from faceflow.training.watching import training_cost, watchers


@dataclass(frozen=True, kw_only=True)
class FoldRun:
    """What a training run needs of its fold.

    `cfg.paths.output` is the fold's own folder; `views` are those of `computed_views`; `streams` hold its splits and
    the unlabelled pool; `name` is None where the protocol has one fold only. In a `legacy` run the test faces choose
    the epoch, at threshold 0.5.
    """

    cfg: DictConfig
    name: str | None
    views: Mapping[str, str]
    streams: Tables
    aus: tuple[str, ...]
    occurrence_min: float
    protocol: dict[str, str]
    legacy: bool

    @property
    def output(self) -> Path:
        """Folder of the results."""
        return Path(self.cfg.paths.output)

    @property
    def points(self) -> tuple[float, ...]:
        """Cut points of the levels."""
        return cutpoints(self.cfg.levels, self.cfg.cutpoints, self.occurrence_min)

    @functools.cached_property
    def counts(self) -> LabelCounts:
        """Label counts of the training faces."""
        positives, observed = count_labels(self.streams["train"], self.aus, self.points)
        return LabelCounts(positives=torch.from_numpy(positives), observed=torch.from_numpy(observed))

    @functools.cached_property
    def spec(self) -> NetworkSpec:
        """What the network must be like."""
        model, cfg = plain_dict(self.cfg.model), self.cfg
        return build_spec(
            model, aus=self.aus, levels=cfg.levels, points=cfg.cutpoints, occurrence_min=self.occurrence_min
        )

    @functools.cached_property
    def start(self) -> tuple[str, Payload | None]:
        """Config key and payload of the checkpoint that it starts from."""
        return start_payload(self.cfg.init_weights, self.cfg.model.weights)

    @functools.cached_property
    def faces(self) -> Faces:
        """Hashes of the faces that it trains and validates on."""
        return remember(self.streams, self.aus)

    @functools.cached_property
    def scorer(self) -> SplitScorer:
        """Scorer of the validation faces."""
        return SplitScorer(self.streams["val"], self.spec, threshold=DEFAULT_THRESHOLD if self.legacy else None)

    def check(self) -> None:
        """Refuse data and settings with which training would fail, or choose its checkpoint by nothing.

        Raises:
            ConfigError, DataError: see `count_labels`, `build_spec` and `check_monitor`.
        """
        labelled = [table for split in SPLITS for table in self.streams[split]]
        check_reading(labelled, self.aus, self.points, self.occurrence_min)
        assert len(self.counts.observed) == len(self.aus), "one count per AU"
        if self.cfg.test:
            check_start(self.start[1], self.streams["test"], key=self.start[0])
        check_monitor(self.cfg.monitor, self.scorer, callbacks=plain_dict(self.cfg.callbacks))


def prepare_fold(cfg: DictConfig, fold: Fold, split: SplitConfig, views: Mapping[str, str]) -> FoldRun:
    """Choose the AUs of a fold and open its training streams.

    Raises:
        ConfigError, DataError: see `choose_aus`, `check_levels` and `training_streams`.
    """
    aus = choose_aus(cfg.aus.names, fold.splits["train"])
    rule = check_levels([table for tables in fold.splits.values() for table in tables], aus, levels=cfg.levels)
    streams = training_streams(
        fold.splits,
        split,
        views=views,
        sets=plain_dict(cfg.data).get(UNLABELED, {}),
        include_labeled=cfg.include_labeled,
        prefer="intensity" if cfg.levels > 1 else "occurrence",
    )
    return FoldRun(
        cfg=cfg,
        name=fold.name,
        views=views,
        streams=streams,
        aus=aus,
        occurrence_min=rule,
        protocol=({"legacy": LEGACY} if fold.legacy else {}) | describe_protocol(streams, rule=fold.rule),
        legacy=fold.legacy,
    )


def report_data(run: FoldRun) -> None:
    """Show what is in the data; where that is all that is asked for, write it and draw what the transforms do."""
    only_look = run.cfg.preview or run.cfg.report_only
    if is_main_process():
        tables = data_tables(summarize(run.streams, run.aus), run.aus)
        print_tables(*tables, saved_to=run.output / DATA if only_look else None)
    if run.cfg.preview:
        transforms, faces = plain_dict(run.cfg.transforms), run.cfg.preview
        print_lines(f"Picture: {preview_faces(run.streams['train'], transforms, faces=faces, folder=run.output)}")


def train_fold(run: FoldRun, *, whole: DictConfig, started: float, resume: str | None) -> float | None:
    """Train, then test the best checkpoint with what `faceflow-test` runs.

    Args:
        run: from `prepare_fold`, checked.
        whole: config of the command; that of the run, unless it is one of several folds.
        started: time.time() when the work on it began.
        resume: checkpoint of an interrupted run to go on from.

    Returns:
        The best value of `monitor`; None in all processes but the first.
    """
    cfg = run.cfg
    remove_leftovers(run.output, older_than_s=0)  # of an earlier start in this folder that was killed
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    module, data, loggers = _module(run), _data(run), build_loggers(plain_dict(cfg.logger))
    pipeline = eval_pipeline(cfg, run.spec.image_size)
    trainer = build_trainer(
        plain_dict(cfg.trainer),
        callbacks=plain_dict(cfg.callbacks),
        watchers=watchers(loggers, run.streams["val"], pipeline=pipeline if cfg.log_images else None, seed=cfg.seed),
        loggers=loggers,
        output=run.output,
    )
    if resume:
        check_resume(resume, module)
    described = describe(cfg, fold=run.name, resume=resume, job_type="train", fingerprints=fingerprints(run.streams))
    begin(whole, cfg, data=data_tables(summarize(run.streams, run.aus), run.aus))
    overwrite = bool(whole.get("overwrite"))
    state = RunState(
        run.output, resume=resume, fold=run.name is not None, speaks=is_main_process(), overwrite=overwrite
    )
    with kept(state.kept), tracked(trackers_of(loggers), described):
        fit(trainer, module, data, state)
        if not trainer.is_global_zero:
            return None
        with kept(state.trained):
            return _finish(run, trainer, started=started)


def _module(run: FoldRun) -> AUModule:
    cfg, model = run.cfg, plain_dict(run.cfg.model)
    objectives = build_objectives(plain_dict(cfg.method))
    network = build_network(run.spec, model, init_weights=cfg.init_weights, channels_last=cfg.channels_last)
    faces, seen = with_start(run.faces, seen_subjects(run.streams), run.start[1])
    return AUModule(
        network=network,
        objectives=objectives,
        computed=run.views,
        counts=run.counts,
        scorer=run.scorer,
        optimizer=instantiate(cfg.optimizer, key="optimizer"),
        scheduler=instantiate(cfg.scheduler.factory, key="scheduler") if cfg.scheduler.factory else None,
        warmup=cfg.scheduler.warmup,
        layer_decay=cfg.layer_decay,
        head_lr_mult=cfg.head_lr_mult,
        average=instantiate(cfg.average, key="average") if cfg.average else None,
        seed=cfg.seed,
        payload=Payload(
            spec=run.spec,
            protocol=run.protocol,
            seen=seen,
            config=resolved_config(cfg, run.output),
            versions=versions(),
            crop=find_crop_recipe(run.streams["train"]),
            training_data={name: data["content"] for name, data in fingerprints(run.streams)["train"].items()},
            run=provenance(run.output, fold=run.name is not None),
            faces=faces,
        ),
    )


def _data(run: FoldRun) -> AUDataModule:
    cfg = run.cfg
    return AUDataModule(
        run.streams,
        aus=run.aus,
        points=run.points,
        views=run.views.values(),
        pipelines=build_pipelines(plain_dict(cfg.transforms), run.views.values()),
        flip=cfg.flip,
        batch_size=cfg.loader.batch_size,
        mu=cfg.loader.mu,
        steps_per_epoch=cfg.loader.steps_per_epoch,
        workers=cfg.loader.workers,
        timeout_s=cfg.loader.timeout_s,
        seed=cfg.seed,
    )


def _finish(run: FoldRun, trainer: L.Trainer, *, started: float) -> float:
    """Test the best checkpoint and close the record."""
    cfg, best = run.cfg, best_checkpoint(trainer)
    score = float(best.best_model_score)
    network, payload = load_network(best.best_model_path, key="checkpoint")
    record: dict[str, Any] = {
        "monitor": {"metric": cfg.monitor, "best": score},
        "checkpoint": best.best_model_path,
        "training": training_cost(trainer, network),
        "run": run_record(seed=cfg.seed, protocol=payload.protocol, splits=run.streams, started=started),
    }
    tables, outcome = run.streams["test"], Outcome()
    if cfg.test and tables:
        result = test_network(
            TorchPredictor(network, accelerator=cfg.trainer.accelerator),
            payload.thresholds,
            tables,
            pipeline=eval_pipeline(cfg, run.spec.image_size),
            batch_size=cfg.loader.batch_size,
            workers=cfg.loader.workers,
            timeout_s=cfg.loader.timeout_s,
            bootstrap=plain_dict(cfg.bootstrap),
        )
        title = ("Legacy test" if run.legacy else "Test") + (f" of {run.name}" if run.name else "")
        report_test(result, tables, payload, cfg, title=title, splits=run.streams, extra=record)
        outcome = test_outcome(result, tables, run.spec)
    else:
        record["protocol"] = payload.protocol
        if cfg.pictures:
            report_run(cfg, record, title="Training", aus=run.aus, splits=run.streams)
        if run.name is not None:  # the summary over folds reads it
            write_json(run.output / "metrics.json", record)
    log_outcome(trainer.loggers, outcome, cfg, checkpoint=Path(best.best_model_path), splits=run.streams)
    print_lines(
        f"Best {cfg.monitor}{' (legacy)' if run.legacy else ''}: {score:.4f}", f"Checkpoint: {best.best_model_path}"
    )
    return score
