"""What trackers receive from a run: its name and data before it starts, its results when it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from faceflow.config.instantiate import instantiate
from faceflow.config.running_job import choices, sweep_folder
from faceflow.data.sources import SPLITS
from faceflow.data.splits import Tables
from faceflow.errors import ConfigError
from faceflow.evaluation.centred import CENTRED
from faceflow.evaluation.run_context import RunContext
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.curves import precision_recall
from faceflow.report.confusion import intensity_confusion, occurrence_confusion
from faceflow.report.example_faces import Results
from faceflow.report.result_files import write_table
from faceflow.tracking.identity import recall
from faceflow.tracking.mlflow_tracker import MLflowTracker
from faceflow.tracking.tracker import AUCurve, Outcome, TrackedRun, Tracker, tracked
from faceflow.tracking.wandb_tracker import WandbTracker

RESULTS = (
    "metrics.json",
    "per_au.csv",
    "predictions.csv",
    "groups.csv",
    "calibration.csv",
    "unsure.csv",
    "views.csv",
    "label_check.csv",
    "metrics.csv",
)
PICTURES = ("*.png", "pictures/*.png", "report.html")  # any of them may show faces


def build_loggers(loggers: Mapping[str, Any]) -> list[Logger]:
    """Loggers of a `logger` config.

    Raises:
        ConfigError: a logger refuses its settings, or its package is not installed.
    """
    return [instantiate(node, key=f"logger.{name}") for name, node in loggers.items() if node]


def trackers_of(loggers: Sequence[Logger]) -> list[Tracker]:
    """The loggers that take more than numbers."""
    return [logger for logger in loggers if isinstance(logger, Tracker)]


def describe(context: RunContext, *, resume: str | None, fingerprints: Mapping[str, Any]) -> TrackedRun:
    """Describe a run for its trackers."""
    folder, sweep = context.output, sweep_folder()
    chosen = choices("method", "model", "aus")
    alone = "_".join([*chosen, f"s{context.seed}"]) if chosen else folder.name
    protocol = folder.parent.name if context.fold else None
    return TrackedRun(
        name=folder.name if context.fold or sweep else alone,
        group="/".join(filter(None, [sweep, protocol])) or None,
        job_type="fold" if context.fold else context.task,
        folder=folder,
        continues=Path(resume).resolve().parents[1] if resume else None,
        config={**context.config, "data_fingerprints": fingerprints},
        datasets=context.label_files,
        log_images=context.log_images,
    )


def test_outcome(scores: TestScores) -> Outcome:
    """Scores and curves of a test."""
    results, named = scores.results, scores.scorer.named("test", scores.evaluations)
    if scores.centred is not None:
        named |= scores.scorer.named(f"test_{CENTRED}", scores.centred.evaluations)
    tuned, occurrence = np.isfinite(scores.pooled.columns["threshold_val"]), occurrence_confusion(results)
    grades = None if results.intensity is None else intensity_confusion(results)
    return Outcome(
        scores={key: value for key, value in named.items() if np.isfinite(value)},
        curves=[
            _curve(
                results,
                column,
                confusion=occurrence[column] if tuned[column] else None,
                grades=None if grades is None else grades[column],
            )
            for column in range(len(results.aus))
        ],
    )


test_outcome.__test__ = False  # type: ignore[attr-defined]


def log_outcome(
    loggers: Sequence[Logger], outcome: Outcome, context: RunContext, *, checkpoint: Path | None, splits: Tables
) -> None:
    """Hand scores, curves and files of a run to the loggers; pictures, which show faces, only with `log_images`."""
    folder = context.output
    for logger in loggers:
        if outcome.scores and not isinstance(logger, Tracker):
            logger.log_metrics(dict(outcome.scores), step=0)
            logger.save()
    trackers = trackers_of(loggers)
    if not trackers:
        return
    split_file = folder / "split.csv"
    write_table(split_file, split_frame(splits))
    pictures = sorted(file for name in PICTURES for file in folder.glob(name)) if context.log_images else []
    files = {
        "checkpoint": [checkpoint] if checkpoint else [],
        "config": _present(folder, ["config.yaml"]),
        "split": [split_file],
        "results": _present(folder, RESULTS) + pictures,
    }
    for tracker in trackers:
        tracker.log_outcome(dataclasses.replace(outcome, files=files))


def reopened(checkpoint: Path) -> tuple[list[Tracker], TrackedRun]:
    """Reopen the trackers of the run that a checkpoint comes from, to add to that run.

    Raises:
        ConfigError: no tracker followed it.
    """
    folder = checkpoint.resolve().parent.parent
    kinds = (WandbTracker, MLflowTracker)
    found: list[Tracker] = [tracker for kind in kinds if (tracker := kind.reopen(folder))]
    if not found:
        raise ConfigError(
            f"track: expected a run that a tracker followed, got none in '{folder}'; train with logger=wandb or "
            "logger=mlflow, or set track=false"
        )
    noted = recall(folder, "wandb")
    return found, TrackedRun(
        name=str(noted.get("name", folder.name)),
        group=noted.get("group"),
        job_type=str(noted.get("job_type", "train")),
        folder=folder,
        continues=folder,
        config={},
        datasets={},
        log_images=False,
    )


def add_file(trackers: Sequence[Tracker], run: TrackedRun, kind: str, file: Path) -> None:
    """Open a run again to add a file."""
    with tracked(trackers, run):
        for tracker in trackers:
            tracker.log_outcome(Outcome(files={kind: [file]}))


def _present(folder: Path, names: Sequence[str]) -> list[Path]:
    return [folder / name for name in names if (folder / name).is_file()]


def split_frame(splits: Tables) -> pd.DataFrame:
    """Table of the split of each file and subject."""
    tables = [(split, table) for split in SPLITS for table in splits.get(split, [])]
    columns = {
        "split": [np.repeat(split, len(table)) for split, table in tables],
        "dataset": [np.repeat(table.name, len(table)) for _, table in tables],
        "filename": [table.filenames for _, table in tables],
        "subject": [table.subjects for _, table in tables],
    }
    return pd.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()})


def _curve(
    results: Results, column: int, *, confusion: NDArray[np.int64] | None, grades: NDArray[np.int64] | None
) -> AUCurve:
    seen = results.observed[:, column]
    occurs, probability = results.truth[seen, column], results.probability[seen, column]
    both = bool(occurs.any() and not occurs.all())
    precision, recall = precision_recall(probability, occurs) if both else (np.array([]), np.array([]))
    return AUCurve(
        au=results.aus[column],
        precision=precision,
        recall=recall,
        prevalence=float(occurs.mean()) if len(occurs) else float("nan"),
        confusion=confusion,
        grades=grades,
    )
