"""`faceflow-test labels=check`: labels contradicted by a network that was not trained on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.loggers import Logger

from faceflow.aus import joined
from faceflow.config.run_folder import settle
from faceflow.console import print_lines, print_tables
from faceflow.data.assembly import check_shared, describe_protocol
from faceflow.data.labels import Truth
from faceflow.data.protocols.protocol import apart_by_split
from faceflow.data.sources import FaceTable
from faceflow.encoding import Array
from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.evaluation_data import read_faces
from faceflow.evaluation.finding import Finding
from faceflow.evaluation.known_faces import Overlap
from faceflow.evaluation.out_of_fold import read_out_of_fold
from faceflow.evaluation.outcome import describe, log_outcome, trackers_of
from faceflow.evaluation.record import fingerprints, run_record
from faceflow.evaluation.run_context import RunContext
from faceflow.evaluation.run_report import report_run
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.label_errors import find_label_errors
from faceflow.report.label_check import LabelCheck, draw_label_check, label_check_frame, label_check_tables
from faceflow.report.pictures import LABEL_FACES
from faceflow.report.result_files import write_json
from faceflow.tracking.tracker import Outcome, tracked

CHECK = "check"
FILE = "label_check.csv"
ENTRY = "label_check"  # of metrics.json
_FOLDS = "train with protocol=kfold, then check with labels=check predictions=RUN"


def check_settings(labels: str | None, predictions: str | None, *, subset: str, others: Mapping[str, object]) -> None:
    """Check the settings of a check of labels.

    Args:
        labels: check, or None.
        predictions: folder of a training, or None.
        subset: which subjects are tested.
        others: further keys of a test, which cannot be set together with predictions.

    Raises:
        ConfigError: `labels` has another value, or settings contradict each other.
    """
    if labels not in (None, CHECK):
        raise ConfigError(
            f"labels: expected check or null, got {labels!r}; name a table of labels with data=csv data.labels=FILE"
        )
    if labels == CHECK and subset == "all":
        raise ConfigError(
            "subset: expected unseen with labels=check, got 'all': a network repeats the labels that it learned, even "
            f"wrong ones; leave subset out, or check all labels by folds: {_FOLDS}"
        )
    if predictions is not None:
        if labels is None:
            raise ConfigError(f"labels: expected check with predictions={predictions}, got null; add labels=check")
        if given := [key for key, value in others.items() if value]:
            raise ConfigError(f"{given[0]}: expected null with predictions={predictions}, got a value; leave one out")


def check_unseen(overlaps: Sequence[Overlap]) -> None:
    """Check that some subjects are new to a network.

    Raises:
        DataError: it was trained or validated on all of them.
    """
    if all(overlap.seen.all() for overlap in overlaps):
        raise DataError(
            "data: expected subjects that the checkpoint has not seen, got none: a network repeats the labels that it "
            f"learned, even wrong ones; {_FOLDS}"
        )


def check_tested_labels(scores: TestScores) -> LabelCheck:
    """Check the labels of a test."""
    return _label_check(scores.tables, scores.scorer.pooled.truth, scores.prediction.probability)


def check_predicted_labels(
    predictions: str, data: Mapping[str, Any], context: RunContext, *, loggers: Sequence[Logger], started: float
) -> LabelCheck:
    """Check labels by the predictions of a training by folds for subjects that each network had not seen.

    Writes label_check.csv, metrics.json, a picture and report.html, and prints tables.

    Args:
        predictions: folder of the training.
        data: `data` of a config: the faces whose labels are checked.
        context: of the command.
        loggers: of the command.
        started: time.time() at the start.

    Raises:
        ConfigError, DataError: see `read_out_of_fold` and `read_faces`; no face or AU in common.
    """
    found, output = read_out_of_fold(predictions), context.output
    tables = read_faces(data, levels=2 if found.graded else 1)
    check_shared(found.aus, tables)
    check = _label_check(tables, _truth(tables, found.aus), found.of_faces(tables))
    splits = {"test": apart_by_split(tables)}
    protocol = describe_protocol(splits, rule=found.protocol["split"])
    protocol |= {key: found.protocol[key] for key in ("legacy",) if key in found.protocol}
    title = f"Labels by {predictions}"
    settle()
    prints = fingerprints(splits)
    finding = labels_finding(check, title=title, protocol=protocol)
    content = {
        "predictions": predictions,
        "run": run_record(seed=context.seed, protocol=protocol, data=prints, started=started),
        "protocol": protocol,
        ENTRY: finding.content,
    }
    with tracked(trackers_of(loggers), describe(context, resume=None, fingerprints=prints)):
        print_tables(*finding.tables)
        finding.write(output, protocol)
        if context.pictures:
            page = report_run(
                context,
                content,
                title=title,
                aus=found.aus,
                splits=splits,
                results=finding.tables,
                pictures=finding.draw_all(output),
            )
            print_lines(f"Report: {page}")
        write_json(output / "metrics.json", content)
        print_lines(f"Suspicious labels: {output / FILE}")
        log_outcome(loggers, Outcome(), context, checkpoint=None, splits=splits)
    return check


def labels_finding(check: LabelCheck, *, title: str, protocol: Mapping[str, str]) -> Finding:
    """Labels that are probably wrong, with the faces of the most suspicious ones."""
    return Finding(
        tables=label_check_tables(check, title=title),
        file=FILE,
        frame=label_check_frame(check),
        entry=ENTRY,
        content=check.to_dict(),
        figures={LABEL_FACES: lambda: draw_label_check(check, title, protocol)},
    )


def _label_check(tables: Sequence[FaceTable], truth: Truth, probability: Array) -> LabelCheck:
    """Check the labels of all rows of some tables."""
    columns: dict[str, list[Any]] = {
        "dataset": [np.repeat(table.name, len(table)) for table in tables],
        "filename": [table.filenames for table in tables],
        "subject": [
            [subject.partition("/")[2] if table.has_subjects else "" for subject in table.subjects.tolist()]
            for table in tables
        ],
    }
    said = {"coder": [table.coders for table in tables], "video": [table.videos for table in tables]}
    for name, parts in said.items():
        if any(part is not None for part in parts):
            pairs = zip(tables, parts, strict=True)
            columns[name] = [np.repeat("", len(table)) if part is None else part for table, part in pairs]
    return LabelCheck(
        aus=truth.aus,
        probability=probability,
        occurs=truth.occurrence,
        errors=find_label_errors(probability, truth.occurrence, truth.observed),
        faces=pd.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()}),
        files=[str(file) for table in tables for file in table.files],
    )


def _truth(tables: Sequence[FaceTable], aus: Sequence[str]) -> Truth:
    """Labels of all rows; AUs of one side are not checked where a data set does not distinguish sides."""
    truths = [table.truth(aus) for table in tables]
    sided = [[joined(au) not in table.unsided(aus) for au in aus] for table in tables]
    return Truth(
        aus=tuple(aus),
        occurrence=np.concatenate([truth.occurrence for truth in truths]),
        intensity=np.concatenate([truth.intensity for truth in truths]),
        observed=np.concatenate([truth.observed & mask for truth, mask in zip(truths, sided, strict=True)]),
    )
