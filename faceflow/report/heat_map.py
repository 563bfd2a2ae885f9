"""Heat map of a score over two settings of a sweep, with the cost of each cell."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from faceflow.report.figure_page import save

_CELL, _MARGIN = (2.3, 0.95), (3.0, 2.0)  # inches
_LIGHT = 0.55  # share of the range above which text is dark
_ROWS_FIRST = ("aus", "method")


def heat_map(path: Path, means: pd.DataFrame, *, keys: Sequence[str], metric: str, caption: str) -> None:
    """Draw a cell per combination: mean, standard deviation over seeds, size, speed and time.

    Args:
        path: PNG to write.
        means: a row per combination with `keys`, mean, std, jobs, seconds, images_per_second, parameters.
        keys: varied settings; AU sets or methods go to the rows, all others to the columns.
        metric: name of the score.
        caption: settings that all jobs share.

    Raises:
        DataError: the file cannot be written.
    """
    row_key = next((key for key in _ROWS_FIRST if key in keys and len(keys) > 1), keys[0] if len(keys) > 1 else None)
    rows = _labels(means, [row_key] if row_key else [])
    columns = _labels(means, [key for key in keys if key != row_key])
    row_names, column_names = list(dict.fromkeys(rows)), list(dict.fromkeys(columns))
    values = np.full((len(row_names), len(column_names)), np.nan)
    texts = {}
    for row, column, record in zip(rows, columns, means.to_dict("records"), strict=True):
        place = row_names.index(row), column_names.index(column)
        values[place] = record["mean"]
        texts[place] = _text(record)
    size = (len(column_names) * _CELL[0] + _MARGIN[0], len(row_names) * _CELL[1] + _MARGIN[1])
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(values, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(column_names)), column_names, rotation=20 if len(column_names) > 4 else 0)
    axes.set_yticks(range(len(row_names)), row_names)
    axes.set_xlabel(" / ".join(key for key in keys if key != row_key))
    axes.set_ylabel(row_key or "")
    axes.set_title(metric)
    axes.set_facecolor("0.9")
    low, high = np.nanmin(values), np.nanmax(values)
    for (y, x), text in texts.items():
        light = high > low and (values[y, x] - low) / (high - low) > _LIGHT
        axes.text(x, y, text, ha="center", va="center", fontsize=9, color="black" if light else "white")
    if high > low:
        figure.colorbar(picture, ax=axes, label=metric)
    if caption:
        figure.supxlabel(textwrap.fill(caption, int(16 * figure.get_figwidth())), fontsize=8, color="0.35")
    save(figure, path, dpi=130)


def _labels(means: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    return [" / ".join(str(record[key]) for key in keys) for record in means.to_dict("records")]


def _text(record: Mapping[Hashable, Any]) -> str:
    spread = f" ± {record['std']:.3f}" if np.isfinite(record["std"]) else ""
    costs = [f"{record['seconds']:.0f} s"]
    if np.isfinite(record["images_per_second"]):
        costs.insert(0, f"{record['images_per_second']:.0f} img/s")
    if np.isfinite(record["parameters"]):
        costs.insert(0, f"{record['parameters'] / 1e6:.1f} M")
    return f"{record['mean']:.3f}{spread}\n" + ", ".join(costs)
