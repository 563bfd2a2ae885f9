"""Cost of views, as a table, a file and a picture: scores of one network on the same faces in each view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table

from faceflow.console import add_row, number, plain_table
from faceflow.metrics.au_scores import Evaluation
from faceflow.metrics.metric import header_of
from faceflow.report.figure_page import MARGIN, MEDIUM, SMALL, Page, rounded
from faceflow.report.palette import BLUE, INK, PALE, SKY

_METRICS = ("ap", "auroc", "f1_val", "icc")
_ROW, _NAMES, _BARS, _ABOVE, _BELOW = 0.24, 3.2, 8.5, 0.3, 0.5  # inches


@dataclass(frozen=True, kw_only=True)
class ViewScores:
    """Scores of faces seen through a view, or through only one of its steps; the step "" is the whole view."""

    view: str
    step: str
    evaluation: Evaluation


def kept(scores: Sequence[ViewScores]) -> list[float]:
    """Mean AP of each as a share of the first view's; NaN if that is not above 0."""
    ap = np.array([each.evaluation.summary["ap"] for each in scores])
    return list(np.divide(ap, ap[0], out=np.full_like(ap, np.nan), where=ap[0] > 0))


def views_frame(scores: Sequence[ViewScores]) -> pd.DataFrame:
    """One row per view and step: `view`, `step`, `faces`, means over AUs, and `ap_kept`, the share of the first AP."""
    names = _shown(scores)
    rows = [
        {"view": each.view, "step": each.step, "faces": each.evaluation.rows}
        | {name: each.evaluation.summary[name] for name in names}
        for each in scores
    ]
    return pd.DataFrame(rows).assign(ap_kept=kept(scores))


def views_table(scores: Sequence[ViewScores], *, protocol: Mapping[str, str]) -> Table:
    """Show the scores on the terminal; the others are compared with the first view."""
    first, names = scores[0], _shown(scores)
    caption = (
        f"AP kept: AP as a share of that of {first.view}. Below a view: each of its steps alone, applied as often as "
        "in the view; with a dot: one of the choices of a step, always applied."
    )
    table = plain_table(
        f"What views cost: {first.evaluation.rows} faces",
        ["view", "step"],
        [*map(header_of, names), "AP kept"],
        caption="\n".join([caption, "; ".join(f"{key}: {text}" for key, text in protocol.items())]),
    )
    for each, share in zip(scores, kept(scores), strict=True):
        values = [number(each.evaluation.summary[name]) for name in names]
        cells = ["" if each.step else each.view, each.step, *values, f"{number(100 * share, 0)} %"]
        add_row(table, cells, style="" if each.step else "bold")
    return table


def draw_views(scores: Sequence[ViewScores], title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw a bar with the AP of each view and step, and a line at the AP of the first view."""
    height = _ROW * len(scores)
    page = Page.open(title, protocol, _ABOVE + height + _BELOW)
    axes = page.axes(MARGIN + _NAMES, page.top + _ABOVE, _BARS, height)
    rows, ap = np.arange(len(scores)), np.array([each.evaluation.summary["ap"] for each in scores])
    axes.barh(rows, np.nan_to_num(ap), height=0.7, color=[SKY if each.step else BLUE for each in scores])
    axes.axvline(ap[0], color=INK, lw=0.8, ls="--")
    axes.set_yticks(rows, [f"{each.view}: {each.step}" if each.step else each.view for each in scores], size=MEDIUM)
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), axisbelow=True)
    axes.grid(axis="x", color=PALE, lw=0.6)
    axes.set_xlabel(f"mean AP; dashed: {scores[0].view}", size=SMALL)
    for row, (value, share) in enumerate(zip(ap, kept(scores), strict=True)):
        text = f"{rounded(value)}   {number(100 * share, 0)} %"
        axes.annotate(text, (1, row), (7, 0), textcoords="offset points", size=MEDIUM, va="center")
    return page.figure


def _shown(scores: Sequence[ViewScores]) -> list[str]:
    return [name for name in _METRICS if name in scores[0].evaluation.summary]
