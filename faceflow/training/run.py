"""One run: check its settings against its data, train, test the best checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor

from faceflow.config.run_folder import settle
from faceflow.config.stored import store_config
from faceflow.console import print_lines, save_tables
from faceflow.data.transforms import Pipeline
from faceflow.evaluation.baseline import check_baseline, score_baseline
from faceflow.evaluation.calibrated import check_probabilities
from faceflow.evaluation.centred import CENTRED, centred_test, check_center
from faceflow.evaluation.data_summary import DATA
from faceflow.evaluation.evaluation_data import eval_pipeline
from faceflow.evaluation.known_faces import check_start
from faceflow.evaluation.outcome import build_loggers, describe, log_outcome, trackers_of
from faceflow.evaluation.predictors import TorchPredictor
from faceflow.evaluation.record import run_record
from faceflow.evaluation.run_context import RunContext
from faceflow.evaluation.run_report import report_run
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.test_report import publish_test
from faceflow.evaluation.testing import test_network
from faceflow.files import remove_leftovers
from faceflow.interruption import kept
from faceflow.losses.elementwise import LabelCounts
from faceflow.metrics.thresholds import DEFAULT_THRESHOLD
from faceflow.models.checkpoint import load_network
from faceflow.models.network import NetworkSpec
from faceflow.report.result_files import write_json
from faceflow.storage.mirror import Mirror
from faceflow.tracking.tracker import Outcome, tracked
from faceflow.training.batches import build_batches
from faceflow.training.build import build_module, build_spec, build_trainer
from faceflow.training.fit import RunState, best_checkpoint, fit
from faceflow.training.monitor import check_monitor
from faceflow.training.payload import describe_run
from faceflow.training.rank import is_rank_zero
from faceflow.training.resume import check_resume
from faceflow.training.run_data import RunData
from faceflow.training.run_settings import RunSettings
from faceflow.training.start_test import check_comparable, compare_start, report_start
from faceflow.training.warm_start import Start
from faceflow.training.watching import training_cost, watchers


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run whose settings fit its data, ready to begin; `compared` describes its baseline for the protocol."""

    context: RunContext
    settings: RunSettings
    data: RunData
    counts: LabelCounts
    features: Tensor | None
    spec: NetworkSpec
    scorer: SplitScorer
    compared: Mapping[str, str]
    start: Start | None


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The best value of the monitored metric, and its checkpoint."""

    best: float
    checkpoint: Path


def prepare_run(context: RunContext, settings: RunSettings, data: RunData, start: Start | None) -> Run:
    """Refuse labels or settings that make training or checkpoint selection impossible.

    Raises:
        ConfigError, DataError: see `RunData.count`, `build_spec`, `check_start`, `check_monitor`, `check_center` and
            `check_baseline`.
    """
    counts = data.count()
    if settings.compare_start:
        check_comparable(start, image_size=settings.module.model["image_size"], tested=settings.test)
    if settings.test and start is not None:
        check_start(start.payload, data.streams["test"], key=start.weights.key)
    spec = build_spec(
        settings.module.model,
        aus=data.aus,
        levels=settings.data.levels,
        points=settings.data.cutpoints,
        occurrence_min=data.occurrence_min,
    )
    threshold = DEFAULT_THRESHOLD if data.legacy else None
    scorer = SplitScorer(data.streams["val"], spec, threshold=threshold, probabilities=settings.probabilities)
    check_probabilities(scorer)
    check_monitor(settings.monitor, scorer, callbacks=settings.callbacks)
    if settings.test:
        check_center(settings.center, data.streams["test"])
    compared = {}
    if settings.baseline is not None and data.streams["test"]:
        compared = check_baseline(settings.baseline, spec, data.streams["test"])
    return Run(
        context=context,
        settings=settings,
        data=data,
        counts=counts,
        features=data.features() if spec.features else None,
        spec=spec,
        scorer=scorer,
        compared=compared,
        start=start,
    )


def train_run(
    run: Run, *, command: RunContext, started: float, resume: str | None, mirror: Mirror | None
) -> Trained | None:
    """Train, then test the best checkpoint with what `faceflow-test` runs.

    Args:
        run: from `prepare_run`.
        command: context of the command; the same as that of the run, unless the run is one of several folds.
        started: time.time() at the start of the run.
        resume: checkpoint of an interrupted run to continue.
        mirror: of the command's folder on a store, if there is one.

    Returns:
        None in all processes but the first.
    """
    context, settings, data = run.context, run.settings, run.data
    if is_rank_zero():
        remove_leftovers(context.output, older_than_s=0)  # of an earlier start in this folder that was killed
    L.seed_everything(context.seed, workers=True, verbose=False)
    module = build_module(
        settings.module,
        start=run.start,
        features=run.features,
        computed=data.views,
        counts=run.counts,
        scorer=run.scorer,
        payload=describe_run(context, data, run.spec, run.start),
        seed=context.seed,
    )
    batches = build_batches(settings.batches, data, spec=run.spec, seed=context.seed)
    loggers = build_loggers(settings.loggers)
    pipeline = eval_pipeline(settings.batches.transforms)
    shown = pipeline if context.log_images else None
    trainer = build_trainer(
        settings.trainer,
        callbacks=settings.callbacks,
        watchers=watchers(loggers, data.streams["val"], pipeline=shown, seed=context.seed, mirror=mirror),
        loggers=loggers,
        output=context.output,
    )
    if resume:
        check_resume(resume, module)
    described = describe(context, resume=resume, fingerprints=data.fingerprints)
    if is_rank_zero():  # from here on only training itself can fail
        settle()
        for each in (command, context):
            store_config(each.config, each.output)
        save_tables(*data.tables(), path=context.output / DATA)
    state = RunState(
        context.output,
        resume=resume,
        fold=context.fold is not None,
        first=is_rank_zero(),
        overwrite=settings.overwrite,
    )
    with kept(state.kept), tracked(trackers_of(loggers), described):
        fit(trainer, module, batches, state)
        if not trainer.is_global_zero:
            return None
        with kept(state.trained):
            return _finish(run, trainer, pipeline, started=started)


def _finish(run: Run, trainer: L.Trainer, pipeline: Pipeline, *, started: float) -> Trained:
    """Test the best checkpoint and close the record."""
    context, settings, data = run.context, run.settings, run.data
    best = best_checkpoint(trainer)
    score, checkpoint = float(best.best_model_score), best.best_model_path
    network, payload = load_network(checkpoint, key="checkpoint")
    payload.protocol |= run.compared
    center = None
    if settings.test and data.streams["test"]:
        center = centred_test(settings.center, payload.centring, data.streams["test"])
        payload.protocol |= {} if center is None else {CENTRED: center.protocol}
    record: dict[str, Any] = {
        "monitor": {"metric": settings.monitor, "best": score},
        "checkpoint": checkpoint,
        "training": training_cost(trainer, network),
        "run": run_record(seed=context.seed, protocol=payload.protocol, data=data.fingerprints, started=started),
    }
    if settings.test and data.streams["test"]:
        accelerator, loading = settings.trainer["accelerator"], settings.batches.loading
        scores = test_network(
            TorchPredictor(network, accelerator=accelerator),
            payload.thresholds,
            data.streams["test"],
            pipeline=pipeline,
            loading=loading,
            bootstrap=settings.bootstrap,
            center=center,
            audit=settings.audit if context.fold is None else None,  # of folds together, see `report_folds`
        )
        comparisons = []
        if settings.compare_start and run.start is not None:
            comparisons = compare_start(
                run.start,
                network,
                payload.thresholds,
                scores,
                data.streams,
                accelerator=accelerator,
                pipeline=pipeline,
                loading=loading,
                bootstrap=settings.bootstrap,
            )
            record["start"] = {each.faces: each.to_dict() for each in comparisons}
        baseline = None
        if settings.baseline is not None:
            baseline = score_baseline(settings.baseline, scores, loading=loading, bootstrap=settings.bootstrap)
        title = ("Legacy test" if data.legacy else "Test") + (f" of {context.fold}" if context.fold else "")
        publish_test(
            scores,
            payload,
            context,
            loggers=trainer.loggers,
            checkpoint=Path(checkpoint),
            title=title,
            splits=data.streams,
            extra=record,
            baseline=baseline,
        )
        if comparisons and run.start is not None:
            report_start(comparisons, run.start, data.streams)
    else:
        record["protocol"] = payload.protocol
        if context.pictures:
            report_run(context, record, title="Training", aus=data.aus, splits=data.streams)
        if context.fold is not None:  # the summary over folds reads it
            write_json(context.output / "metrics.json", record)
        log_outcome(trainer.loggers, Outcome(), context, checkpoint=Path(checkpoint), splits=data.streams)
    mark = " (legacy)" if data.legacy else ""
    print_lines(f"Best {settings.monitor}{mark}: {score:.4f}", f"Checkpoint: {checkpoint}")
    return Trained(best=score, checkpoint=Path(checkpoint))
