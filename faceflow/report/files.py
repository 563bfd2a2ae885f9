"""Result files: JSON and CSV, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from faceflow.aus import description
from faceflow.errors import DataError
from faceflow.metrics.evaluation import Evaluation


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it when the block ends well; missing folders are made.

    Raises:
        DataError: the file cannot be written; what was there before is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: expected a file that can be written, got '{reason}'; check disk and path") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON with keys in their order; what is not a finite number becomes null.

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


def per_au_frame(evaluations: Mapping[str, Evaluation]) -> pd.DataFrame:
    """One row per data set and AU: `dataset`, `au`, `description`, then every metric that any data set has."""
    rows = [
        {"dataset": dataset, "au": au, "description": description(au)}
        | {name: values[index] for name, values in evaluation.columns.items()}
        for dataset, evaluation in evaluations.items()
        for index, au in enumerate(evaluation.aus)
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["dataset", "au", "description"])


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
