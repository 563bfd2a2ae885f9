"""The tables that commands print, as DataFrames."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from faceflow.aus import description


def read_metrics(folder: Path) -> dict[str, Any]:
    """Content of metrics.json; empty if there is no such file."""
    path = folder / "metrics.json"
    content: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return content


def scores_table(test: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The tests in metrics.json, one row per data set and AU plus one for the mean; undefined numbers are NaN."""
    rows = [
        {"dataset": dataset, "au": au, "description": description(au) if au != "mean" else "", **values}
        for dataset, scores in test.items()
        for au, values in (*scores["per_au"].items(), ("mean", scores["summary"]))
    ]
    frame = pd.DataFrame(rows)
    texts = ["dataset", "au", "description"]
    return frame.astype({str(name): "float64" for name in frame.columns if name not in texts})


def folds_table(folder: Path) -> pd.DataFrame:
    """Content of folds.csv: the folds of a run and their summary rows."""
    return pd.read_csv(folder / "folds.csv")


def facts_table(facts: Mapping[str, str]) -> pd.DataFrame:
    """One row per fact of an exported model."""
    return pd.DataFrame({"model": dict(facts)}).loc[list(facts)]


def clips_table(counts: Mapping[str, Mapping[str, int]]) -> pd.DataFrame:
    """Number of rows by status, for each clip."""
    frame = pd.DataFrame([{"clip": clip, "rows": sum(found.values()), **found} for clip, found in counts.items()])
    return frame.astype({str(name): "Int64" for name in frame.columns if name != "clip"}).fillna(0)


def domains_table(subjects: Mapping[str, int], images: Mapping[str, int]) -> pd.DataFrame:
    """One row per domain of a rendered data set."""
    return pd.DataFrame([{"domain": name, "subjects": subjects[name], "images": images[name]} for name in images])
