"""A comparison as a picture: each difference with its interval, in a panel per run and score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from faceflow.comparing.differences import LOSS, MEAN, WIN, Comparison
from faceflow.comparing.tables import explanation
from faceflow.report.figure_page import HEADING, MARGIN, MEDIUM, SMALL, WIDTH, Page, save
from faceflow.report.palette import BLUE, GRAY, INK, PALE, VERMILION

_ROW, _HEAD, _FOOT, _GAP = 0.22, 0.65, 0.55, 0.9  # inches
_WIDEST = 6.0
_DPI = 130
_TICKS = 5  # at most
_COLORS = {WIN: BLUE, LOSS: VERMILION}


def draw_comparison(comparison: Comparison) -> Page:
    """Draw a row of panels per run, a panel per metric; blue is better than the reference, red is worse."""
    aus = comparison.rows["au"].unique().tolist()
    tall = _ROW * len(aus)
    body = (_HEAD + tall + _FOOT) * len(comparison.runs) + 0.2
    title = f"{', '.join(comparison.runs)} against {comparison.reference}"
    page = Page.open(
        title, {"compared": " ".join([*explanation(comparison), "Blue: win; red: loss; grey: tie."])}, body
    )
    count = len(comparison.metrics)
    wide = min(_WIDEST, (WIDTH - 2 * MARGIN - _GAP * count) / count)
    for down, run in enumerate(comparison.runs):
        top = page.top + (_HEAD + tall + _FOOT) * down
        page.text(MARGIN, top + 0.25, run, HEADING, bold=True)
        for across, column in enumerate(comparison.metrics):
            left = MARGIN + _GAP + (wide + _GAP) * across
            rows = comparison.rows
            shown = rows[(rows["metric"] == column.name) & (rows["run"] == run)]
            axes = page.axes(left, top + _HEAD, wide, tall)
            page.text(left, top + _HEAD - 0.14, f"{column.header}: difference", MEDIUM, bold=True)
            axes.axvline(0, color=INK, linewidth=0.8)
            axes.axhline(len(aus) - 1.5, color=PALE, linewidth=0.8)
            for place, row in enumerate(shown.to_dict("records")):
                if not np.isfinite(row["difference"]):
                    axes.text(
                        0.02,
                        place,
                        "no score",
                        size=SMALL,
                        color=GRAY,
                        va="center",
                        transform=axes.get_yaxis_transform(),
                    )
                    continue
                color = _COLORS.get(row["verdict"], GRAY)
                axes.plot([row["low"], row["high"]], [place, place], color=color, linewidth=1.6, solid_capstyle="butt")
                axes.plot(row["difference"], place, "D" if row["au"] == MEAN else "o", color=color, markersize=5)
            axes.set_yticks(range(len(aus)), aus)
            axes.set_ylim(len(aus) - 0.5, -0.5)
            axes.grid(axis="x", color=PALE, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.set_xlim(_limits(rows[rows["metric"] == column.name]))
            axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
            better, worse = f"better than {comparison.reference}", f"worse than {comparison.reference}"
            left_of_zero, right = (better, worse) if column.metric.lower_is_better else (worse, better)
            axes.set_xlabel(f"< {left_of_zero}   |   {right} >", size=SMALL, parse_math=False)
    return page


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Range of a metric, the same for all runs; zero is in it."""
    found = rows[["low", "high", "difference"]].to_numpy(np.float64)
    values = np.append(found[np.isfinite(found)], 0.0)
    margin = 0.05 * max(float(np.ptp(values)), 0.02)
    return float(values.min()) - margin, float(values.max()) + margin


def save_comparison(page: Page, path: Path) -> None:
    """Write the picture.

    Raises:
        DataError: the file cannot be written.
    """
    save(page.figure, path, dpi=_DPI)
