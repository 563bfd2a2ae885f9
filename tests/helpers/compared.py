"""Tests to compare: folders and CSVs with predictions of two systems on the same faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

AUS = ("AU1", "AU6", "AU12")
PROTOCOL = {"split": "val 15% of the subjects, seed 0", "labels": "faces: occurrence = intensity >= 2 on a 0-5 scale"}


def predictions(
    seed: int, *, noise: float = 0.3, subjects: int = 8, frames: int = 12, intensity: bool = False
) -> pd.DataFrame:
    """Predictions of a system; the labels are the same for all seeds."""
    fixed, own = np.random.default_rng(99), np.random.default_rng(seed)
    graded = fixed.integers(0, 6, (subjects * frames, len(AUS)))
    columns: dict[str, Any] = {
        "dataset": "faces",
        "filename": [f"s{n}/{frame}.jpg" for n in range(subjects) for frame in range(frames)],
        "subject": [f"faces/s{n}" for n in range(subjects) for _ in range(frames)],
    }
    for place, au in enumerate(AUS):
        level = np.clip(graded[:, place] / 5 + own.normal(0, noise, len(graded)), 0, 1)
        columns[f"{au}_prob"] = level
        if intensity:
            columns[f"{au}_int"] = 5 * level
        columns[f"{au}_occurs"] = (graded[:, place] >= 2).astype(int)
        if intensity:
            columns[au] = graded[:, place].astype(float)
    return pd.DataFrame(columns)


def write_run(
    folder: Path, frame: pd.DataFrame, *, content: str = "abc", threshold: float = 0.4, **protocol: str
) -> Path:
    """Write the files of a test that a comparison reads."""
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / "predictions.csv", index=False)
    aus = [name.removesuffix("_prob") for name in frame.columns if name.endswith("_prob")]
    record = {
        "run": {"data": {"test": {"faces": {"rows": len(frame), "content": content}}}},
        "protocol": PROTOCOL | protocol,
        "test": {"faces": {"per_au": {au: {"threshold_val": threshold} for au in aus}}},
    }
    (folder / "metrics.json").write_text(json.dumps(record), encoding="utf-8")
    return folder
