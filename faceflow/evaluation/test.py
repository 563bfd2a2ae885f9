"""`faceflow-test`: score a checkpoint, or a model exported from one, by a composed config."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from faceflow.checks import check_choice
from faceflow.config.instantiate import plain_dict
from faceflow.config.run_folder import settle
from faceflow.console import print_tables, save_tables
from faceflow.data.assembly import check_reading, check_shared, describe_protocol
from faceflow.data.datamodule import check_loader
from faceflow.data.protocols.protocol import apart_by_split
from faceflow.evaluation.advice import silence_advice
from faceflow.evaluation.data_summary import DATA, summarize
from faceflow.evaluation.evaluation_data import eval_pipeline, read_faces, sized
from faceflow.evaluation.intervals import check_bootstrap
from faceflow.evaluation.known_faces import find_seen, without_seen
from faceflow.evaluation.outcome import build_loggers, describe, log_outcome, test_outcome, trackers_of
from faceflow.evaluation.predictors import open_predictor
from faceflow.evaluation.record import fingerprints, run_record
from faceflow.evaluation.testing import report_test, test_network
from faceflow.files import FileWatch
from faceflow.interruption import kept
from faceflow.metrics.au_scores import Evaluation
from faceflow.report.tables import data_tables
from faceflow.tracking.tracker import tracked

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """What a test left behind: the folder of its results, macro F1 at the checkpoint's thresholds, scores by data set.

    The last of `scores` is that of all data sets together.
    """

    __test__ = False  # not a pytest class

    folder: Path
    f1_val: float
    scores: Mapping[str, Evaluation]


def test(config: DictConfig) -> TestResult:
    """Test a checkpoint, or a model exported from one, by a config."""
    output = Path(config.paths.output)
    watch = FileWatch(output / "metrics.json")

    def state() -> str:
        if watch.written(output / "metrics.json"):
            return f"all results are in {output}"
        return "the test is not finished, and none of its results are kept; start the same command again"

    with kept(state):
        return _test(config, output)


test.__test__ = False  # type: ignore[attr-defined]


def _test(cfg: DictConfig, output: Path) -> TestResult:
    started = time.time()
    silence_advice()
    check_loader(cfg.loader.batch_size, cfg.loader.workers, cfg.loader.timeout_s)
    check_bootstrap(cfg.bootstrap)
    check_choice(cfg.subset, key="subset", options=("unseen", "all"))
    predictor, payload = open_predictor(cfg.checkpoint, cfg.onnx, accelerator=cfg.accelerator)
    spec = predictor.spec
    tables = read_faces(cfg, levels=spec.levels)
    if cfg.checkpoint is None:
        log.warning("onnx: an exported file does not say whom it was trained on; all subjects are tested")
        note = {"caution": "subjects seen in training are not known, and may be included"}
    else:
        overlaps = find_seen(tables, payload)
        tables, note = without_seen(tables, overlaps, everybody=cfg.subset == "all", same_subjects=cfg.same_subjects)
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
    save_tables(*data, path=output / DATA)
    record = run_record(seed=cfg.seed, protocol=payload.protocol, splits=splits, started=started)
    files = {key: str(cfg[key]) for key in ("checkpoint", "onnx") if cfg[key] is not None}
    title = f"Test of {Path(cfg.onnx or cfg.checkpoint)}"
    whole = sized(cfg, spec.image_size)
    described = describe(whole, fold=None, resume=None, job_type="test", fingerprints=fingerprints(splits))
    with tracked(trackers_of(loggers), described):
        report_test(result, tables, payload, whole, title=title, splits=splits, extra={**files, "run": record})
        outcome = test_outcome(result, tables, spec)
        log_outcome(loggers, outcome, cfg, checkpoint=None, splits=splits)
    summary = result.evaluations[result.pooled.name].summary
    return TestResult(folder=output, f1_val=summary["f1_val"], scores=result.evaluations)
