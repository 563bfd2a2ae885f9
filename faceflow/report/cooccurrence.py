"""Which AUs occur together in the labels and in the predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from faceflow.encoding import Array
from faceflow.report.example_faces import Results
from faceflow.report.figure_page import HEADING, MARGIN, MEDIUM, SMALL, WIDTH, Page
from faceflow.report.palette import INK

# Inches.
_SIDE, _CELL, _LEFT, _ABOVE, _BELOW = 3.75, 0.75, 0.5, 0.8, 0.55

_LETTERS = 2.75  # letter heights that "-100" is wide, and "100" in bold
_MOST_NUMBERED = 20  # AUs whose cells have room for a number
_DARK = 0.68


def cooccurrence(active: NDArray[np.bool_], judged: NDArray[np.bool_]) -> Array:
    """P(column | row): share of the faces with one AU that also show another, (A, A).

    The diagonal holds the share of all faces that show the AU. NaN where no face has the labels.

    Args:
        active: where an AU occurs, (N, A); read only where `judged`.
        judged: where that is known, (N, A); a pair counts the faces where both AUs are known.
    """
    known = judged.astype(np.float64)
    on = (active & judged).astype(np.float64)
    shared = on.T @ known
    together = on.T @ on
    np.fill_diagonal(shared, known.sum(axis=0))
    return np.divide(together, shared, out=np.full_like(shared, np.nan), where=shared > 0)


def draw_cooccurrence(results: Results, title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw the labels' and the predictions' matrix side by side, and their difference."""
    judged = results.judged
    truth = cooccurrence(results.truth, judged)
    predicted = cooccurrence(np.greater_equal(results.probability, results.thresholds), judged)
    side = min(_SIDE, _CELL * len(results.aus))
    page = Page.open(title, protocol, _ABOVE + side + _BELOW)
    key = (
        "% of faces with the row's AU that also show the column's AU; on the diagonal, % of all faces with the AU. "
        "Blue: 0 (white) to 100 (dark). Brown: predicted too often; violet: predicted too rarely."
    )
    page.text(MARGIN, page.top + 0.17, key, MEDIUM)
    panels = (
        ("Labels", truth, "Blues", (0, 1)),
        ("Predictions at validation thresholds", predicted, "Blues", (0, 1)),
        ("Predictions minus labels, percentage points", predicted - truth, "PuOr_r", (-0.5, 0.5)),
    )
    step = (WIDTH - 2 * MARGIN - _LEFT - _SIDE) / (len(panels) - 1)
    for number, (heading, values, colors, limits) in enumerate(panels):
        left = MARGIN + _LEFT + number * step
        page.text(left, page.top + _ABOVE - 0.2, heading, HEADING, bold=True)
        _draw_matrix(page, (left, page.top + _ABOVE, side), results.aus, values, colors, limits)
    return page.figure


def _draw_matrix(
    page: Page,
    place: tuple[float, float, float],
    aus: Sequence[str],
    values: Array,
    colors: str,
    limits: tuple[float, float],
) -> None:
    left, top, side = place
    count, pitch = len(aus), 72 * side / len(aus)  # points
    axes = page.axes(left, top, side, side)
    axes.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1], interpolation="nearest")
    size = min(SMALL, 0.9 * pitch)
    axes.set_xticks(range(count), aus, size=size, rotation=90)
    axes.set_yticks(range(count), aus, size=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if count > _MOST_NUMBERED:
        return
    size = min(SMALL, pitch / _LETTERS)
    for row in range(count):
        for column in range(count):
            value = values[row, column]
            text = f"{round(100 * value)}" if np.isfinite(value) else "-"
            color = "white" if abs(value) / limits[1] > _DARK else INK
            weight = "bold" if row == column else "normal"
            axes.text(column, row, text, size=size, color=color, ha="center", va="center", weight=weight)
