"""What the trackers of a run are told: its name and data before it starts, its results when it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from faceflow.config.instantiate import instantiate, plain_dict
from faceflow.config.running_job import choices, sweep_folder
from faceflow.config.stored import resolved_config
from faceflow.data.sources import SPLITS, FaceTable
from faceflow.data.splits import Tables
from faceflow.errors import ConfigError
from faceflow.evaluation.scoring import ScoredSet, SplitScorer
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.au_scores import Prediction
from faceflow.models.network import NetworkSpec
from faceflow.report.result_files import write_table
from faceflow.report.results_picture import precision_recall
from faceflow.tracking.identity import recall
from faceflow.tracking.mlflow_tracker import MLflowTracker
from faceflow.tracking.tracker import AUCurve, Outcome, TrackedRun, Tracker, tracked
from faceflow.tracking.wandb_tracker import WandbTracker

RESULTS = ("metrics.json", "per_au.csv", "predictions.csv", "metrics.csv")
PICTURES = ("*.png", "pictures/*.png", "report.html")  # any of them may show faces
_GRADES = 6  # FACS 0-5


def build_loggers(loggers: Mapping[str, Any]) -> list[Logger]:
    """Loggers of a `logger` config.

    Raises:
        ConfigError: settings that one refuses, or one whose package is not installed.
    """
    return [instantiate(node, key=f"logger.{name}") for name, node in loggers.items() if node]


def trackers_of(loggers: Sequence[Logger]) -> list[Tracker]:
    """Those loggers that want more than numbers."""
    return [logger for logger in loggers if isinstance(logger, Tracker)]


def describe(
    cfg: DictConfig, *, fold: str | None, resume: str | None, job_type: str, fingerprints: dict[str, Any]
) -> TrackedRun:
    """Name a run for its trackers."""
    folder, sweep = Path(cfg.paths.output), sweep_folder()
    chosen = choices("method", "model", "aus")
    alone = "_".join([*chosen, f"s{cfg.seed}"]) if chosen else folder.name
    protocol = folder.parent.name if fold else None
    return TrackedRun(
        name=folder.name if fold or sweep else alone,
        group="/".join(filter(None, [sweep, protocol])) or None,
        job_type="fold" if fold else job_type,
        folder=folder,
        continues=Path(resume).resolve().parents[1] if resume else None,
        config={**resolved_config(cfg, folder), "data_fingerprints": fingerprints},
        datasets=_label_files(plain_dict(cfg.data)["sources"]),
        log_images=cfg.log_images,
    )


def test_outcome(result: TestScores, tables: Sequence[FaceTable], spec: NetworkSpec) -> Outcome:
    """Scores and curves of a test."""
    pooled = result.pooled
    named = SplitScorer(tables, spec).named("test", result.evaluations)
    thresholds = result.evaluations[pooled.name].columns["threshold_val"]
    return Outcome(
        scores={key: value for key, value in named.items() if np.isfinite(value)},
        curves=[
            _curve(pooled, result.prediction, column, float(threshold)) for column, threshold in enumerate(thresholds)
        ],
    )


test_outcome.__test__ = False  # type: ignore[attr-defined]


def log_outcome(
    loggers: Sequence[Logger], outcome: Outcome, cfg: DictConfig, *, checkpoint: Path | None, splits: Tables
) -> None:
    """Hand over scores, curves and the files of a run folder; pictures show faces, so only with `log_images`."""
    folder = Path(cfg.paths.output)
    for logger in loggers:
        if outcome.scores and not isinstance(logger, Tracker):
            logger.log_metrics(dict(outcome.scores), step=0)
            logger.save()
    trackers = trackers_of(loggers)
    if not trackers:
        return
    pictures = sorted(file for name in PICTURES for file in folder.glob(name)) if cfg.log_images else []
    files = {
        "checkpoint": [checkpoint] if checkpoint else [],
        "config": _present(folder, ["config.yaml"]),
        "split": [_write_split(folder / "split.csv", splits)],
        "results": _present(folder, RESULTS) + pictures,
    }
    for tracker in trackers:
        tracker.log_outcome(dataclasses.replace(outcome, files=files))


def reopened(checkpoint: Path) -> tuple[list[Tracker], TrackedRun]:
    """Trackers of the run that a checkpoint comes from, to add to it.

    Raises:
        ConfigError: no tracker followed it.
    """
    folder = checkpoint.resolve().parent.parent
    kinds = (WandbTracker, MLflowTracker)
    found: list[Tracker] = [tracker for kind in kinds if (tracker := kind.reopen(folder))]
    if not found:
        raise ConfigError(
            f"track: expected a run that a tracker followed, got none in '{folder}'; train with logger=wandb or "
            "logger=mlflow, or take track=false"
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
    """Open a run once more to add a file."""
    with tracked(trackers, run):
        for tracker in trackers:
            tracker.log_outcome(Outcome(files={kind: [file]}))


def _curve(pooled: ScoredSet, prediction: Prediction, column: int, threshold: float) -> AUCurve:
    truth = pooled.truth
    seen = truth.observed[:, column]
    occurs, probability = truth.occurrence[seen, column], prediction.probability[seen, column]
    both = bool(occurs.any() and not occurs.all())
    precision, recall = precision_recall(probability, occurs) if both else (np.array([]), np.array([]))
    return AUCurve(
        au=truth.aus[column],
        precision=precision,
        recall=recall,
        prevalence=float(occurs.mean()) if len(occurs) else float("nan"),
        confusion=_counts(occurs, probability >= threshold, 2) if np.isfinite(threshold) else None,
        grades=_grades(pooled, prediction, column),
    )


def _present(folder: Path, names: Sequence[str]) -> list[Path]:
    return [folder / name for name in names if (folder / name).is_file()]


def _write_split(path: Path, splits: Tables) -> Path:
    """Which file and person is in which split."""
    tables = [(split, table) for split in SPLITS for table in splits.get(split, [])]
    columns = {
        "split": [np.repeat(split, len(table)) for split, table in tables],
        "dataset": [np.repeat(table.name, len(table)) for _, table in tables],
        "filename": [table.filenames for _, table in tables],
        "person": [table.persons for _, table in tables],
    }
    write_table(path, pd.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()}))
    return path


def _label_files(sources: dict[str, dict[str, Any]]) -> dict[str, list[Path]]:
    keys = ("labels", *SPLITS)
    return {name: [Path(source[key]) for key in keys if source[key]] for name, source in sources.items()}


def _grades(pooled: ScoredSet, prediction: Prediction, column: int) -> Any:
    if prediction.intensity is None:
        return None
    truth = pooled.truth.intensity[:, column]
    graded = pooled.truth.observed[:, column] & np.isfinite(truth)
    return _counts(_whole(truth[graded]), _whole(prediction.intensity[graded, column]), _GRADES)


def _whole(grades: Any) -> Any:
    return np.clip(np.floor(grades + 0.5), 0, _GRADES - 1).astype(int)


def _counts(true: Any, predicted: Any, classes: int) -> Any:
    """True class (rows) by predicted class, (classes, classes)."""
    cells = np.asarray(true, int) * classes + np.asarray(predicted, int)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)
