"""How centring by subject changes the scores of each AU."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from faceflow.aus import description
from faceflow.metrics.metric import header_of
from faceflow.report.example_faces import Results
from faceflow.report.figure_page import HEADING, MARGIN, MEDIUM, SMALL, WIDTH, Page, rounded
from faceflow.report.palette import BLUE, GRAY, PALE, VERMILION

_METRICS = ("ap", "auroc", "f1_val", "icc")
# Inches.
_ROW, _ABOVE, _BELOW, _NAMES, _GAP = 0.3, 0.75, 0.45, 2.0, 0.35


def draw_centred(results: Results, title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw a panel per metric, with a line per AU from its raw to its centred score."""
    raw, centred = results.evaluation, results.centred
    assert centred is not None, "only tests with center=subject have this picture"
    shown = [metric for metric in _METRICS if metric in raw.columns and metric in centred.columns]
    shown = [metric for metric in shown if np.isfinite(centred.columns[metric]).any()]
    rows, height = np.arange(len(results.aus)), _ROW * len(results.aus)
    page = Page.open(title, protocol, _ABOVE + height + _BELOW)
    width = (WIDTH - 2 * MARGIN - _NAMES) / max(len(shown), 1)
    top = page.top + _ABOVE
    for place, metric in enumerate(shown):
        left = MARGIN + _NAMES + place * width
        means = [rounded(each.summary[metric]) for each in (raw, centred)]
        page.text(left, top - 0.3, f"{header_of(metric)}, mean {means[0]} -> {means[1]}", HEADING, bold=True)
        axes = page.axes(left, top, width - _GAP, height)
        before, after = raw.columns[metric], centred.columns[metric]
        axes.hlines(rows, before, after, color=GRAY, lw=1.2)
        axes.plot(before, rows, "o", ms=4.5, mfc="white", color=VERMILION, label="raw", clip_on=False)
        axes.plot(after, rows, "o", ms=4.5, color=BLUE, label="centred", clip_on=False)
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(min(0, *np.nan_to_num([*before, *after])), 1), axisbelow=True)
        axes.set_yticks(rows, [f"{au}  {description(au)}" for au in results.aus] if place == 0 else [], size=MEDIUM)
        axes.grid(axis="x", color=PALE, lw=0.6)
        if place == 0:
            axes.legend(
                loc="lower left", bbox_to_anchor=page.point(MARGIN, top - 0.15), bbox_transform=page.figure.transFigure,
                ncols=2, fontsize=SMALL, frameon=False, borderaxespad=0,
            )  # fmt: skip
    return page.figure
