"""Reliability diagrams: how often an AU occurs at each predicted probability."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from faceflow.metrics.calibration import BINS, reliability
from faceflow.report.example_faces import Results
from faceflow.report.figure_page import MARGIN, MEDIUM, SMALL, WIDTH, Page, missing_class, rounded
from faceflow.report.palette import BLUE, GRAY, PALE, SKY

_ACROSS, _ABOVE, _PANEL = 6, 0.5, 2.15  # panels, inches, inches


def draw_calibration(results: Results, title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw a diagram per AU."""
    down = math.ceil(len(results.aus) / _ACROSS)
    page = Page.open(title, protocol, _ABOVE + down * _PANEL + 0.15)
    handles = [
        Line2D([], [], color=BLUE, marker="o", ms=3.5, lw=1.2, label="share of faces where the AU occurs"),
        Line2D([], [], color=GRAY, ls="--", lw=0.8, label="perfectly calibrated"),
        Patch(color=PALE, label="share of all faces in the bin"),
    ]
    place = page.point(MARGIN, page.top + 0.17)
    if results.uncalibrated is not None:
        handles.insert(1, Line2D([], [], color=SKY, marker="o", ms=2.5, lw=1.0, label="before calibration"))
    page.figure.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=place,
        ncols=len(handles),
        fontsize=MEDIUM,
        frameon=False,
        borderaxespad=0,
        borderpad=0,
    )
    step = (WIDTH - 2 * MARGIN) / _ACROSS
    for index, au in enumerate(results.aus):
        row, column = divmod(index, _ACROSS)
        left, top = MARGIN + 0.25 + column * step, page.top + _ABOVE + row * _PANEL + 0.2
        axes = page.axes(left, top, step - 0.5, _PANEL - 0.65)
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.04), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.set_xticklabels(["0", "predicted probability" if index == 0 else "0.5", "1"])
        axes.set_yticklabels(["0", "0.5", "1"])
        _draw_diagram(axes, results, index, au)
    return page.figure


def _draw_diagram(axes: Axes, results: Results, index: int, au: str) -> None:
    seen = results.judged[:, index]
    truth = results.truth[seen, index]
    if reason := missing_class(truth.sum(), len(truth)):
        axes.set_title(au, size=MEDIUM, pad=3, loc="left")
        axes.text(0.5, 0.5, reason, size=SMALL, color=GRAY, ha="center", style="italic")
        return
    found = reliability(results.probability[seen, index], truth)
    before = None if results.uncalibrated is None else reliability(results.uncalibrated[seen, index], truth)
    change = "" if before is None else f"{rounded(before.ece)} → "
    axes.set_title(f"{au}  ECE {change}{rounded(found.ece)}", size=MEDIUM, pad=3, loc="left")
    width = 1 / BINS
    middle = (np.floor(found.confidence / width).clip(0, BINS - 1) + 0.5) * width
    axes.bar(middle, found.count / len(truth), width=width, color=PALE, edgecolor="white", lw=0.5)
    axes.plot([0, 1], [0, 1], color=GRAY, ls="--", lw=0.8)
    if before is not None:
        axes.plot(before.confidence, before.frequency, color=SKY, marker="o", ms=2.5, lw=1.0, clip_on=False)
    axes.plot(found.confidence, found.frequency, color=BLUE, marker="o", ms=3.5, lw=1.2, clip_on=False)
