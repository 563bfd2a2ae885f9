"""Results of a test as numbers, tables, pictures and a page, and for the trackers of its run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.loggers import Logger

from faceflow.console import print_lines, print_tables
from faceflow.data.splits import Tables
from faceflow.evaluation.audit import attributes_of
from faceflow.evaluation.audit_report import groups_finding
from faceflow.evaluation.baseline import BaselineScores
from faceflow.evaluation.calibrated import calibration_finding
from faceflow.evaluation.centred import CENTRED
from faceflow.evaluation.finding import Finding
from faceflow.evaluation.outcome import log_outcome, test_outcome
from faceflow.evaluation.run_context import RunContext
from faceflow.evaluation.run_report import report_run
from faceflow.evaluation.testing import TestScores
from faceflow.evaluation.unsure import coverage_finding
from faceflow.metrics.au_scores import Evaluation
from faceflow.models.checkpoint import Payload
from faceflow.report.pictures import draw_pictures
from faceflow.report.result_files import by_model, marked, per_au_frame, write_json, write_table
from faceflow.report.tables import results_table


def report_test(
    scores: TestScores,
    payload: Payload,
    context: RunContext,
    *,
    title: str,
    splits: Tables,
    extra: Mapping[str, Any],
    baseline: BaselineScores | None = None,
    findings: Sequence[Finding] = (),
) -> None:
    """Write metrics.json, per_au.csv, predictions.csv, pictures and report.html, and print a table per data set.

    The results of calibration, of a promised coverage and of an audit are written and shown, too.

    Args:
        scores: of `test_network`.
        payload: of the checkpoint; its protocol goes beside every number.
        context: of the run.
        title: of the tables.
        splits: all data of the run, for the report.
        extra: further entries of metrics.json.
        baseline: scores of another model on the same faces, shown beside these.
        findings: further results.
    """
    results, protocol = scores.results, payload.protocol
    if payload.calibration is not None:
        before = payload.calibration.undo(results.probability, results.aus)
        results = dataclasses.replace(results, uncalibrated=before)
    output, centred, beside = context.output, scores.centred, _beside(scores, baseline)
    groups = None if scores.audit is None else groups_finding(scores.audit, title=title, protocol=protocol)
    own = (calibration_finding(scores, payload), coverage_finding(scores, payload), groups)
    found = [*(finding for finding in own if finding is not None), *findings]

    per_au = {name: per_au_frame(each) for name, each in {"tested": scores.evaluations, **beside}.items()}
    write_table(output / "per_au.csv", marked(by_model(per_au), protocol))
    write_table(output / "predictions.csv", _prediction_frame(scores))
    shown = [
        results_table(
            evaluation,
            title=f"{title}: {name}",
            protocol=protocol,
            beside={other: evaluations[name] for other, evaluations in beside.items()},
            note="" if centred is None else centred.line(name),
        )
        for name, evaluation in scores.evaluations.items()
    ]
    for finding in found:
        finding.write(output, protocol)
        shown += finding.tables
    for table in shown:
        print_tables(table)
    by_set = {name: evaluation.to_dict() for name, evaluation in scores.evaluations.items()}
    content = {**extra, "protocol": protocol, "test": by_set}
    content |= {finding.entry: finding.content for finding in found if finding.entry}
    if centred is not None:
        content[CENTRED] = centred.to_dict()
    if baseline is not None:
        content["baseline"] = baseline.to_dict(scores.evaluations)
    if context.pictures:
        pictures = draw_pictures(results, title=title, protocol=protocol, output=output)
        pictures += [picture for finding in found for picture in finding.draw_all(output)]
        aus = payload.spec.aus
        page = report_run(context, content, title=title, aus=aus, splits=splits, results=shown, pictures=pictures)
        print_lines(f"Report: {page}")
    # Last, because it marks a finished run.
    write_json(output / "metrics.json", content)
    files = ["per_au.csv", "predictions.csv", *(finding.file for finding in found if finding.file)]
    print_lines(f"Numbers: {output / 'metrics.json'}, {', '.join(files)}")


def publish_test(
    scores: TestScores,
    payload: Payload,
    context: RunContext,
    *,
    loggers: Sequence[Logger],
    checkpoint: Path | None,
    title: str,
    splits: Tables,
    extra: Mapping[str, Any],
    baseline: BaselineScores | None,
    findings: Sequence[Finding] = (),
) -> None:
    """Write and print a test, see `report_test`, and hand it to the loggers of its run.

    `checkpoint` is the file that trackers keep of a training; None for a test alone.
    """
    report_test(scores, payload, context, title=title, splits=splits, extra=extra, baseline=baseline, findings=findings)
    log_outcome(loggers, test_outcome(scores), context, checkpoint=checkpoint, splits=splits)


def _beside(scores: TestScores, baseline: BaselineScores | None) -> dict[str, Mapping[str, Evaluation]]:
    """Scores shown beside those of the network, by the name of their rows."""
    beside = {} if scores.centred is None else {CENTRED: scores.centred.evaluations}
    return beside if baseline is None else {**beside, baseline.name: baseline.evaluations}


def _prediction_frame(scores: TestScores) -> pd.DataFrame:
    tables, truth, prediction = scores.tables, scores.scorer.pooled.truth, scores.prediction
    columns: dict[str, Any] = {
        "dataset": np.concatenate([np.repeat(table.name, len(table)) for table in tables]),
        "filename": np.concatenate([table.filenames for table in tables]),
        "subject": np.concatenate([table.subjects for table in tables]),
    }
    for column, au in enumerate(truth.aus):
        # All digits of the network's own type: rounding would make different scores tie and change AP and AUROC.
        columns[f"{au}_prob"] = prediction.probability[:, column].astype(np.float32)
        if prediction.intensity is not None:
            columns[f"{au}_int"] = prediction.intensity[:, column].astype(np.float32)
        occurrence = np.where(truth.observed[:, column], truth.occurrence[:, column].astype(float), np.nan)
        columns[f"{au}_occurs"] = pd.array(occurrence, dtype="Int8")
        if np.isfinite(truth.intensity[:, column]).any():
            columns[au] = truth.intensity[:, column]
        if scores.centred is not None:
            centred = scores.centred.prediction
            columns[f"{au}_prob_{CENTRED}"] = centred.probability[:, column].astype(np.float32)
            if centred.intensity is not None:
                columns[f"{au}_int_{CENTRED}"] = centred.intensity[:, column].astype(np.float32)
    audited = dict.fromkeys(name for table in tables for name in table.attributes)
    columns |= {name: texts for name, texts in attributes_of(tables, list(audited)).items() if name not in columns}
    return pd.DataFrame(columns)
