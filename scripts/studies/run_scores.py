"""Results of a finished run: its numbers, and the scores of every tested face."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from faceflow.errors import DataError
from faceflow.metrics.occurrence import macro
from faceflow.metrics.subject_share import subject_share
from studies.commands import training_record
from studies.runs import MONITOR, Conditions, Run

SUMMARY = ("f1_val", "f1_0.5", "ap", "auroc")  # means over AUs from a test
CENTRED = "centred"  # entry, rows and columns of a test with center=subject
_OF_EPOCH = {
    "val/subject_share": "val_subject_share",
    "train/subject_share": "train_subject_share",
    "train/unlabeled_subject_share": "unlabeled_subject_share",
}
# Only if the unlabelled faces have hidden labels.
_OF_LABELS = ("pseudo_precision", "pseudo_recall", "pseudo_negative_precision")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of N tested faces: `faces` and `subjects` (N,), `thresholds` of validation (A,), the others (N, A)."""

    aus: tuple[str, ...]
    faces: NDArray[Any]
    subjects: NDArray[Any]
    probability: NDArray[np.float64]
    truth: NDArray[np.bool_]
    observed: NDArray[np.bool_]
    thresholds: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """One test of one run: `numbers` by name, raw scores, those centred by subject if any, and its protocol."""

    method: str
    seed: int
    test: str
    numbers: Mapping[str, float]
    scored: Scored
    centred: Scored | None
    protocol: Mapping[str, str]


def read_run(run: Run, conditions: Conditions) -> list[RunScores]:
    """Read the tests of a run."""
    folder = run.folder(conditions)
    done = training_record(run, conditions)
    training = {"candidate": run.candidate, "val_ap": done["ap"], "seconds": done["seconds"], **_kept_epoch(folder)}
    found = []
    for name, place in run.test_folders(conditions).items():
        content = json.loads((place / "metrics.json").read_text("utf-8"))
        scored, centred = read_scores(place), read_scores(place, centred=True) if CENTRED in content else None
        numbers = {key: _summary(content)[key] for key in SUMMARY}
        numbers["subject_share"] = macro(subject_share(scored.probability, scored.subjects))
        if centred is not None:
            numbers |= {f"{CENTRED}_{key}": _summary(content[CENTRED])[key] for key in SUMMARY}
        found.append(
            RunScores(
                method=run.method,
                seed=run.seed,
                test=name,
                numbers={key: np.nan if value is None else value for key, value in (training | numbers).items()},
                scored=scored,
                centred=centred,
                protocol=content["protocol"],
            )
        )
    return found


def read_scores(folder: Path, *, centred: bool = False) -> Scored:
    """Read predictions.csv and the thresholds in per_au.csv from a test of one data set.

    Raises:
        DataError: the test covered several data sets.
    """
    faces = pd.read_csv(folder / "predictions.csv", dtype={"subject": str})
    per_au = pd.read_csv(folder / "per_au.csv")
    if "model" in per_au:
        per_au = per_au[per_au["model"] == (CENTRED if centred else "tested")]
    if per_au["dataset"].nunique() != 1:
        raise DataError(f"{folder / 'per_au.csv'}: expected one data set, got several; test one label file at a time")
    aus = tuple(per_au["au"])
    suffix = f"_prob_{CENTRED}" if centred else "_prob"
    occurs = faces[[f"{au}_occurs" for au in aus]].to_numpy(np.float64)
    return Scored(
        aus=aus,
        faces=faces["filename"].to_numpy(),
        subjects=faces["subject"].to_numpy(),
        # They were written with the digits of single precision, so that only as such they are what was scored.
        probability=faces[[f"{au}{suffix}" for au in aus]].to_numpy(np.float32).astype(np.float64),
        truth=occurs == 1,
        observed=np.isfinite(occurs),
        thresholds=per_au["threshold_val"].to_numpy(np.float64),
    )


def _kept_epoch(folder: Path) -> dict[str, float]:
    """Figures of the epoch whose checkpoint was kept, the first of the best epochs."""
    history = pd.read_csv(folder / "metrics.csv")
    kept = history.iloc[int(history[MONITOR].argmax())].to_dict()
    found = {name: kept[column] for column, name in _OF_EPOCH.items() if column in kept}
    found |= {name: kept[column] for name in _OF_LABELS for column in kept if str(column).endswith(f"/{name}")}
    return {"epoch": kept["epoch"], **found}


def _summary(content: Mapping[str, Any]) -> Mapping[str, float | None]:
    tested: Mapping[str, Mapping[str, Any]] = content["test"]
    return next(iter(tested.values()))["summary"]  # type: ignore[no-any-return]
