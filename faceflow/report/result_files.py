"""Result files: JSON and CSV."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from faceflow.aus import description
from faceflow.files import whole_file
from faceflow.metrics.au_scores import Evaluation
from faceflow.metrics.guesses import GUESSES, guessed_f1


def write_json(path: Path, content: Any) -> None:
    """Write JSON with keys in their order; numbers that are not finite become null.

    Raises:
        DataError: the file cannot be written.
    """
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a CSV without the index; undefined numbers are empty.

    Raises:
        DataError: the file cannot be written.
    """
    with whole_file(path) as partial:
        frame.to_csv(partial, index=False)


def marked(frame: pd.DataFrame, protocol: Mapping[str, str]) -> pd.DataFrame:
    """Add a last column `protocol` to a table whose numbers are legacy or carry a caution."""
    marks = [*(["legacy"] if "legacy" in protocol else []), *(protocol[key] for key in ("caution",) if key in protocol)]
    return frame.assign(protocol="; ".join(marks)) if marks else frame


def per_au_frame(evaluations: Mapping[str, Evaluation]) -> pd.DataFrame:
    """One row per data set and AU: `dataset`, `au`, `description`, then every metric that any data set has.

    After them `f1_always` and `f1_prior`: F1 of predicting the AU on every face, and of guessing it at its base rate.
    """
    rows = []
    for dataset, evaluation in evaluations.items():
        guesses = guessed_f1(evaluation.columns["positives"], evaluation.columns["observed"])
        columns = {**evaluation.columns, **dict(zip(GUESSES, guesses, strict=True))}
        rows += [
            {"dataset": dataset, "au": au, "description": description(au)}
            | {name: values[index] for name, values in columns.items()}
            for index, au in enumerate(evaluation.aus)
        ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["dataset", "au", "description"])


def by_model(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Stack tables of one kind; if there are several, a first column `model` names the model of each row."""
    if len(frames) == 1:
        return next(iter(frames.values()))
    return pd.concat(frames, names=["model"]).reset_index(level="model").reset_index(drop=True)


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, np.ndarray | np.generic):
        return _plain(content.tolist())
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, os.PathLike):
        return os.fspath(content)
    return content
