"""What a test leaves behind: numbers, tables, pictures and a page, and the same for the trackers of its run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.loggers import Logger

from faceflow.calibration import PROTOCOL
from faceflow.conformal import COVERAGE
from faceflow.console import print_lines, print_tables
from faceflow.data.splits import Tables
from faceflow.evaluation.audit import attributes_of
from faceflow.evaluation.audit_report import GROUPS, picture_of_groups, write_groups
from faceflow.evaluation.baseline import BaselineScores
from faceflow.evaluation.calibrated import calibration_changes
from faceflow.evaluation.centred import CENTRED
from faceflow.evaluation.label_checks import ENTRY, FILE, write_label_check
from faceflow.evaluation.outcome import log_outcome, test_outcome
from faceflow.evaluation.run_context import RunContext
from faceflow.evaluation.run_report import report_run
from faceflow.evaluation.testing import TestScores
from faceflow.evaluation.unsure import held_coverage
from faceflow.evaluation.view_costs import ViewCosts, draw_costs
from faceflow.metrics.au_scores import Evaluation
from faceflow.models.checkpoint import Payload
from faceflow.report.calibration import calibration_frame, calibration_table
from faceflow.report.face_tiles import DPI
from faceflow.report.figure_page import save
from faceflow.report.groups import groups_content
from faceflow.report.label_check import LabelCheck, label_check_tables
from faceflow.report.pictures import FOLDER, SALIENCY, draw_pictures
from faceflow.report.result_files import by_model, marked, per_au_frame, write_json, write_table
from faceflow.report.saliency import SaliencyMap, draw_saliency
from faceflow.report.tables import results_table
from faceflow.report.unsure import held_frame, held_table
from faceflow.report.view_costs import views_frame, views_table


def report_test(
    scores: TestScores,
    payload: Payload,
    context: RunContext,
    *,
    title: str,
    splits: Tables,
    extra: Mapping[str, Any],
    baseline: BaselineScores | None = None,
    views: ViewCosts | None = None,
    saliency: Sequence[SaliencyMap] = (),
    labels: LabelCheck | None = None,
) -> None:
    """Write metrics.json, per_au.csv, predictions.csv, pictures and report.html, and print a table per data set.

    With calibrated probabilities also calibration.csv, and a table of their errors before and after. With a promised
    coverage also unsure.csv, and a table of what was held. With an audit
    groups.csv, and a table of the groups.

    Args:
        scores: of `test_network`.
        payload: of the checkpoint; its protocol goes beside every number.
        context: of the run.
        title: of the tables.
        splits: all data of the run, for the report.
        extra: further entries of metrics.json.
        baseline: scores of another model on the same faces, which stand beside these.
        views: what they cost this network, in a table, views.csv and pictures of their own.
        saliency: maps of where the network looks, in a picture of their own.
        labels: those that are probably wrong, in tables, label_check.csv and a picture.
    """
    results = scores.results
    if payload.calibration is not None:
        before = payload.calibration.undo(results.probability, results.aus)
        results = dataclasses.replace(results, uncalibrated=before)
    output, centred, beside = context.output, scores.centred, _beside(scores, baseline)
    per_au = {name: per_au_frame(each) for name, each in {"tested": scores.evaluations, **beside}.items()}
    write_table(output / "per_au.csv", marked(by_model(per_au), payload.protocol))
    write_table(output / "predictions.csv", _prediction_frame(scores))
    shown = [
        results_table(
            evaluation,
            title=f"{title}: {name}",
            protocol=payload.protocol,
            beside={other: evaluations[name] for other, evaluations in beside.items()},
            note="" if centred is None else centred.line(name),
        )
        for name, evaluation in scores.evaluations.items()
    ]
    changes = {} if payload.calibration is None else calibration_changes(scores, payload.calibration)
    if payload.calibration is not None:
        write_table(output / "calibration.csv", marked(calibration_frame(changes), payload.protocol))
        said = payload.calibration.protocol
        shown += [calibration_table(change, title=name, protocol=said) for name, change in changes.items()]
    held = held_coverage(scores, payload)
    if payload.conformal is not None:
        write_table(output / "unsure.csv", marked(held_frame(held), payload.protocol))
        said = payload.conformal.protocol
        shown += [held_table(each, title=name, protocol=said) for name, each in held.items()]
    if views is not None:
        write_table(output / "views.csv", views_frame(views.scores))
        shown.append(views_table(views.scores, protocol=payload.protocol))
    if scores.audit is not None:
        shown.append(write_groups(scores.audit, output, title=title, protocol=payload.protocol))
    suspects = []
    if labels is not None:
        shown += label_check_tables(labels, title=title)
        suspects = write_label_check(labels, context, title=title, protocol=payload.protocol)
    for table in shown:
        print_tables(table)
    by_set = {name: evaluation.to_dict() for name, evaluation in scores.evaluations.items()}
    content = {**extra, "protocol": payload.protocol, "test": by_set}
    if changes:
        content[PROTOCOL] = {name: change.means for name, change in changes.items()}
    if held:
        content[COVERAGE] = {name: each.means for name, each in held.items()}
    if centred is not None:
        content[CENTRED] = centred.to_dict()
    if baseline is not None:
        content["baseline"] = baseline.to_dict(scores.evaluations)
    if views is not None:
        content["views"] = views_frame(views.scores).to_dict("records")
    if labels is not None:
        content[ENTRY] = labels.to_dict()
    if scores.audit is not None:
        content[GROUPS] = groups_content(scores.audit.columns)
    if context.pictures:
        pictures = [*draw_pictures(results, title=title, protocol=payload.protocol, output=output), *suspects]
        if scores.audit is not None:
            pictures += picture_of_groups(scores.audit, output, title=title, protocol=payload.protocol)
        if views is not None:
            pictures += draw_costs(views, title=title, protocol=payload.protocol, output=output)
        if saliency:
            figure = draw_saliency(saliency, f"Where the network looks: {title}", payload.protocol)
            pictures.append(save(figure, output / FOLDER / SALIENCY, dpi=DPI))
        aus = payload.spec.aus
        page = report_run(context, content, title=title, aus=aus, splits=splits, results=shown, pictures=pictures)
        print_lines(f"Report: {page}")
    # Last, because it marks a finished run.
    write_json(output / "metrics.json", content)
    written = {
        FILE: labels is not None,
        "groups.csv": scores.audit is not None,
        "unsure.csv": bool(held),
        "calibration.csv": bool(changes),
    }
    files = ["per_au.csv", "predictions.csv", *(name for name, there in written.items() if there)]
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
    views: ViewCosts | None = None,
    saliency: Sequence[SaliencyMap] = (),
    labels: LabelCheck | None = None,
) -> None:
    """Write and print a test, see `report_test`, and hand it to the loggers of its run.

    `checkpoint` is the file that trackers keep of a training; None for a test alone.
    """
    report_test(
        scores,
        payload,
        context,
        title=title,
        splits=splits,
        extra=extra,
        baseline=baseline,
        views=views,
        saliency=saliency,
        labels=labels,
    )
    log_outcome(loggers, test_outcome(scores), context, checkpoint=checkpoint, splits=splits)


def _beside(scores: TestScores, baseline: BaselineScores | None) -> dict[str, Mapping[str, Evaluation]]:
    """Scores that stand beside those of the network, by the name of their rows."""
    beside = {} if scores.centred is None else {CENTRED: scores.centred.evaluations}
    return beside if baseline is None else {**beside, baseline.name: baseline.evaluations}


def _prediction_frame(scores: TestScores) -> pd.DataFrame:
    tables, truth, prediction = scores.tables, scores.scorer.pooled.truth, scores.prediction
    columns: dict[str, Any] = {
        "dataset": np.concatenate([np.repeat(table.name, len(table)) for table in tables]),
        "filename": np.concatenate([table.filenames for table in tables]),
        "person": np.concatenate([table.persons for table in tables]),
    }
    for column, au in enumerate(truth.aus):
        # All digits of the network's own type: rounded, scores that differ would tie, and AP and AUROC with them.
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
