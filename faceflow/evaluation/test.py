"""`faceflow-test`: score a checkpoint, or a model exported from one, as a composed config says."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from faceflow.checks import check_choice
from faceflow.config.located import located
from faceflow.config.run_folder import settle
from faceflow.config.stored import stored_config
from faceflow.config.values import plain, with_image_size, with_values
from faceflow.console import print_tables, save_tables
from faceflow.data.assembly import check_reading, check_shared, describe_protocol
from faceflow.data.loading import Loading
from faceflow.data.protocols.protocol import apart_by_split
from faceflow.data.sources import FaceTable
from faceflow.data.transforms import Pipeline
from faceflow.evaluation.advice import silence_advice
from faceflow.evaluation.baseline import Baseline, check_baseline, open_baseline, score_baseline
from faceflow.evaluation.centred import CENTRED, centred_test
from faceflow.evaluation.crop_measures import compare_with_training
from faceflow.evaluation.data_summary import DATA, summarize
from faceflow.evaluation.evaluation_data import eval_pipeline, read_faces
from faceflow.evaluation.intervals import Bootstrap
from faceflow.evaluation.known_faces import find_seen, without_seen
from faceflow.evaluation.label_checks import (
    CHECK,
    check_predicted_labels,
    check_settings,
    check_tested_labels,
    check_unseen,
    labels_finding,
)
from faceflow.evaluation.outcome import build_loggers, describe, trackers_of
from faceflow.evaluation.predictors import open_predictor
from faceflow.evaluation.record import fingerprints, run_record
from faceflow.evaluation.run_context import RunContext, label_files
from faceflow.evaluation.saliency import check_saliency, measure_saliency, saliency_finding
from faceflow.evaluation.test_report import publish_test
from faceflow.evaluation.testing import test_network
from faceflow.evaluation.view_costs import MeasuredViews, views_finding
from faceflow.files import FileWatch
from faceflow.interruption import kept
from faceflow.metrics.au_scores import Evaluation
from faceflow.metrics.audited import Audit, asked_audit
from faceflow.models.checkpoint import Payload
from faceflow.report.tables import data_tables
from faceflow.tracking.tracker import tracked
from faceflow.views import EVAL

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """Results of a test: their folder, macro F1 at the checkpoint's thresholds, and scores by data set.

    With several data sets, the last of `scores` covers all of them together. A check of labels by stored predictions
    has no scores, and its F1 is NaN.
    """

    __test__ = False  # not a pytest class

    folder: Path
    f1_val: float
    scores: Mapping[str, Evaluation]


def test(config: DictConfig) -> TestResult:
    """Test a checkpoint, or a model exported from one, as a config says.

    Raises:
        ConfigError, DataError, CheckpointError, ExportError: settings, data or files cannot be used.
    """
    started, output = time.time(), Path(config.paths.output)
    watch = FileWatch(output / "metrics.json")
    silence_advice()
    with kept(lambda: _kept(output, finished=watch.written(output / "metrics.json"))):
        loading = Loading(
            batch_size=config.loader.batch_size, workers=config.loader.workers, timeout_s=config.loader.timeout_s
        )
        bootstrap = Bootstrap(resamples=config.bootstrap.resamples, seed=config.bootstrap.seed)
        audit = asked_audit(plain(config.get("audit")), config.get("audit_least_subjects"))
        check_choice(config.subset, key="subset", options=("unseen", "all"))
        check_settings(
            config.labels,
            config.predictions,
            subset=config.subset,
            others={key: config[key] for key in ("checkpoint", "onnx", "baseline", "center", "views", "saliency")},
        )
        local = located(config)
        if config.predictions is not None:
            check_predicted_labels(
                config.predictions,
                plain(local.data),
                _context(with_values(config, {"transforms": {}}), local),  # no network, so no pixels to transform
                loggers=build_loggers(plain(config.logger)),
                started=started,
            )
            return TestResult(folder=output, f1_val=float("nan"), scores={})
        predictor, payload = open_predictor(local.checkpoint, local.onnx, accelerator=config.accelerator)
        spec = predictor.spec
        check_saliency(config.saliency, spec.inputs)
        baseline = _baseline(local)
        config = with_image_size(config, spec.image_size)
        context, views = _context(config, local), _views(config, spec.inputs)

        tables, note = _choose_faces(local, payload, levels=spec.levels, audit=audit)
        splits = {"test": apart_by_split(tables)}
        check_shared(spec.aus, splits["test"])
        if config.onnx is None:  # an exported file decodes by itself
            check_reading(splits["test"], spec.aus, spec.cutpoints, spec.occurrence_min)
        payload.protocol |= describe_protocol(splits, rule=payload.protocol["split"]) | note
        if baseline is not None:
            payload.protocol |= check_baseline(baseline, spec, splits["test"])
        center = centred_test(config.get("center"), payload.centring, splits["test"])
        if center is not None:
            payload.protocol |= {CENTRED: center.protocol}
        data = data_tables(summarize(splits, spec.aus), spec.aus)
        print_tables(*data)
        compare_with_training(payload.crop_statistics, splits["test"], image_size=spec.image_size, inputs=spec.inputs)

        loggers, pipeline = build_loggers(plain(config.logger)), eval_pipeline(plain(config.transforms))
        scores = test_network(
            predictor,
            payload.thresholds,
            splits["test"],
            pipeline=pipeline,
            loading=loading,
            bootstrap=bootstrap,
            center=center,
            audit=audit,
        )
        compared = None
        if baseline is not None:
            compared = score_baseline(baseline, scores, loading=loading, bootstrap=bootstrap)
        title, findings = f"Test of {config.onnx or config.checkpoint}", []
        if views is not None:
            costs = views.measure(predictor, payload.thresholds, splits["test"], loading=loading)
            findings.append(views_finding(costs, title=title, protocol=payload.protocol))
        if config.labels == CHECK:
            findings.append(labels_finding(check_tested_labels(scores), title=title, protocol=payload.protocol))
        if config.saliency and config.pictures:
            maps = measure_saliency(predictor, scores, pipeline=pipeline, faces=config.saliency)
            findings.append(saliency_finding(maps, title=title, protocol=payload.protocol))
        settle()
        save_tables(*data, path=output / DATA)
        prints = fingerprints(splits)
        tested = {key: str(config[key]) for key in ("checkpoint", "onnx") if config[key] is not None}
        record = run_record(seed=context.seed, protocol=payload.protocol, data=prints, started=started)
        with tracked(trackers_of(loggers), describe(context, resume=None, fingerprints=prints)):
            publish_test(
                scores,
                payload,
                context,
                loggers=loggers,
                checkpoint=None,
                title=title,
                splits=splits,
                extra={**tested, "run": record},
                baseline=compared,
                findings=findings,
            )
    return TestResult(folder=output, f1_val=scores.pooled.summary["f1_val"], scores=scores.evaluations)


test.__test__ = False  # type: ignore[attr-defined]


def _baseline(config: DictConfig) -> Baseline | None:
    """The model to compare with; it gets crops of its own size."""
    if config.get("baseline") is None:
        return None

    def pipeline(pixels: int) -> Pipeline:
        return eval_pipeline(plain(with_image_size(config, pixels).transforms))

    return open_baseline(config.baseline, pipeline=pipeline)


def _views(config: DictConfig, inputs: Sequence[str]) -> MeasuredViews | None:
    """The views whose cost is requested."""
    if not config.views:
        return None
    transforms = plain(config.transforms)
    return MeasuredViews(plain(config.views), transforms[EVAL], faces=config.view_faces, inputs=inputs)


def _context(config: DictConfig, local: DictConfig) -> RunContext:
    return RunContext(
        task=config.task,
        output=Path(config.paths.output),
        fold=None,
        seed=config.seed,
        pictures=config.pictures,
        log_images=config.log_images,
        label_files=label_files(plain(local.data.sources)),
        config=stored_config(config),
    )


def _choose_faces(
    config: DictConfig, payload: Payload, *, levels: int, audit: Audit | None
) -> tuple[list[FaceTable], dict[str, str]]:
    """Read the faces of subjects that the checkpoint has not seen, or all, and the note for the protocol."""
    tables = read_faces(plain(config.data), levels=levels, audit=audit)
    if config.checkpoint is None:
        log.warning("onnx: an exported file does not list its training subjects; all subjects are tested")
        return tables, {"caution": "subjects seen in training are not known, and may be included"}
    everybody, overlaps = config.subset == "all", find_seen(tables, payload)
    if config.labels == CHECK:
        check_unseen(overlaps)
    return without_seen(tables, overlaps, everybody=everybody, same_subjects=config.same_subjects)


def _kept(output: Path, *, finished: bool) -> str:
    """Say what is kept of a test that was stopped."""
    if finished:
        return f"all results are in {output}"
    return "the test is not finished, and none of its results are kept; rerun the same command"
