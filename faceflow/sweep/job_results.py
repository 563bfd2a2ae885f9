"""Results of a sweep, read back from its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from faceflow.errors import DataError
from faceflow.metrics.guesses import GUESSES, guessed_f1
from faceflow.metrics.occurrence import macro
from faceflow.sweep.job import FINISHED, RECORD, Job, read_job

SEED = "seed"
LEGACY = "legacy"
COSTS = ("updates", "seconds", "images_per_second", "parameters")


def read_sweep(folder: Path) -> list[tuple[Path, Job]]:
    """Folders and records of all jobs, by number.

    Raises:
        DataError: there is no job, or a record cannot be read.
    """
    jobs = [(path.parent, job) for path in folder.glob(f"*/{RECORD}") if (job := read_job(path.parent)) is not None]
    if not jobs:
        raise DataError(f"{folder}: expected the folder of a sweep, with */{RECORD}, got none; see runs/train/sweep_*")
    return sorted(jobs, key=lambda pair: pair[1].number)


def varied_keys(jobs: Sequence[Job]) -> list[str]:
    """Keys in which jobs differ, in the order of the command line, the seed last."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.settings))
    varied = [key for key in keys if len({job.settings.get(key) for job in jobs}) > 1]
    return sorted(varied, key=lambda key: key == SEED)


def sweep_frame(jobs: Sequence[tuple[Path, Job]]) -> pd.DataFrame:
    """A row per job: number, folder, the keys that vary, status, costs, monitor, test scores, error.

    A column `protocol` marks jobs with legacy numbers.
    """
    keys = varied_keys([job for _, job in jobs])
    rows = []
    for folder, job in jobs:
        metrics = _read(folder / "metrics.json") if job.status == FINISHED else {}
        rows.append(
            {"job": job.number, "folder": folder.name}
            | {key: job.settings.get(key) for key in keys}
            | {"status": job.status, "seconds": job.seconds}
            | _training(folder, metrics)
            | {"monitor": metrics.get("monitor", {}).get("metric"), "best": job.value}
            | _scores(metrics)
            | {"protocol": LEGACY if LEGACY in metrics.get("protocol", {}) else None, "error": job.error}
        )
    frame = pd.DataFrame(rows)
    protocol, error = frame.pop("protocol"), frame.pop("error")
    return (frame.assign(protocol=protocol) if protocol.notna().any() else frame).assign(error=error)


def aggregate(frame: pd.DataFrame, keys: Sequence[str], metric: str) -> pd.DataFrame:
    """Mean, sample standard deviation and number of finished jobs that differ only in their seed.

    With mean costs and, if the test has it, the mean F1 of guessing.
    """
    done = frame[frame["status"] == FINISHED]
    columns = [key for key in keys if key != SEED]
    named = done.assign(**{key: done[key].fillna("-") for key in columns})
    groups = named.groupby(columns, sort=False) if columns else named.groupby(lambda _: "all")
    guesses = [name for name in GUESSES if name in frame]
    mean = groups[[metric, *guesses, *COSTS]].mean().rename(columns={metric: "mean"})
    return mean.assign(std=groups[metric].std(ddof=1), jobs=groups[metric].count()).reset_index()


def differing_updates(frame: pd.DataFrame) -> str | None:
    """Warning of one line if finished jobs made different numbers of updates; None if not."""
    updates = frame.loc[frame["status"] == FINISHED, "updates"].dropna()
    if updates.nunique() < 2:
        return None
    return (
        f"Warning: the jobs made different numbers of updates ({updates.min():.0f} to {updates.max():.0f}), so their "
        "scores also depend on the length of training; give all of them the same loader.steps_per_epoch"
    )


def _training(folder: Path, metrics: dict[str, Any]) -> dict[str, float]:
    """Updates, speed and size of the network, or their means over folds."""
    parts = [metrics] if "training" in metrics else [_read(path) for path in sorted(folder.glob("*/metrics.json"))]
    known = [part["training"] for part in parts if "training" in part]
    keys = [key for key in COSTS if key != "seconds"]  # those are the job's
    return {key: pd.Series([part.get(key) for part in known], dtype=float).mean() for key in keys}


def _scores(metrics: dict[str, Any]) -> dict[str, float]:
    """Means over AUs of the test, for several data sets those of all pooled, for folds the mean over folds.

    With the F1 of guessing.
    """
    if "mean" in metrics:
        return _floats(metrics["mean"])
    tests = list(metrics.get("test", {}).values())
    if not tests:
        return {}
    rows = [row for row in tests[-1].get("per_au", {}).values() if "positives" in row and "observed" in row]
    guesses = guessed_f1([row["positives"] for row in rows], [row["observed"] for row in rows])
    return {**_floats(tests[-1]["summary"]), **(dict(zip(GUESSES, map(macro, guesses), strict=True)) if rows else {})}


def _floats(scores: dict[str, Any]) -> dict[str, float]:
    return {name: np.nan if value is None else float(value) for name, value in scores.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected the results of a run, got {error}; remove its folder and resume") from error
    return content
