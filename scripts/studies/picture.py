"""Plots a dot per method: the difference of its F1@val from that of supervised training."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from faceflow.report.figure_page import HEADING, MEDIUM, SMALL, save
from faceflow.report.palette import BLUE, GRAY, INK, PALE
from studies.parts import BASELINE
from studies.results import MEAN

DPI = 150


def draw_differences(compared: pd.DataFrame, path: Path, *, title: str) -> None:
    """Draw the mean over seeds with its interval, in points of F1@val; the mean of several tests is in colour.

    Nothing is drawn if no method is compared with supervised training.

    Args:
        compared: result of `differences`.
        path: path of the PNG.
        title: headline.
    """
    shown = compared[(compared["reference"] == BASELINE) & (compared["metric"] == "f1_val")]
    rows = [(str(row["method"]), str(row["test"]), row) for _, row in shown.iterrows()]
    if not rows:
        return
    figure = Figure(figsize=(6.4, 0.9 + 0.28 * len(rows)), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color=GRAY, linewidth=1)
    several = len({test for _, test, _ in rows}) > 1
    for place, (_, test, row) in enumerate(rows):
        color = BLUE if test == MEAN or not several else GRAY
        axes.plot([100 * row["low"], 100 * row["high"]], [place, place], color=color, linewidth=1.5)
        axes.plot(100 * row["mean"], place, "o", color=color, markersize=5)
    labels = [f"{method}, {test}" if several else method for method, test, _ in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=MEDIUM, length=0, colors=INK)
    axes.set_xlabel("points of F1@val above supervised; 95 % interval over seeds and subjects", size=SMALL)
    figure.suptitle(title, size=HEADING, x=0.01, ha="left")
    save(figure, path, dpi=DPI)
