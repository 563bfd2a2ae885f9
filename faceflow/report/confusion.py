"""Confusion matrices: occurrence at the validation threshold, and rounded intensities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from faceflow.aus import description
from faceflow.encoding import FACS_MAX
from faceflow.report.example_faces import Results
from faceflow.report.figure_page import MARGIN, MEDIUM, SMALL, WIDTH, Page, missing_class, rounded
from faceflow.report.palette import GRAY, INK

Counts = NDArray[np.int64]

# Inches.
_ACROSS = 6  # panels
_STEP = (WIDTH - 2 * MARGIN) / _ACROSS
_HEAD, _GAP, _ABOVE = 0.42, 0.45, 0.5

_NAME_LETTERS = 30
_DARK = 0.68  # share from which a cell needs white letters


@dataclass(frozen=True)
class _Cell:
    """Size of a cell in inches, names of rows and columns, and the space left of the cells for the names."""

    width: float
    height: float
    names: Sequence[str]
    left: float


_OCCURRENCE = _Cell(0.72, 0.4, ("absent", "occurs"), 0.5)
_INTENSITY = _Cell(0.255, 0.235, tuple(map(str, range(int(FACS_MAX) + 1))), 0.2)


def occurrence_confusion(results: Results) -> Counts:
    """Faces by label and prediction, (A, 2, 2); index 1 is occurrence."""
    predicted = np.greater_equal(results.probability, results.thresholds)
    return _counts(results.truth, predicted, results.judged, 2)


def intensity_confusion(results: Results) -> Counts:
    """Faces by label and prediction, (A, 6, 6), of FACS intensities rounded to whole ones, halves up."""
    assert results.intensity is not None, "the network gives no intensities"
    known = results.graded
    predicted, truth = (
        np.floor(np.where(known, values, 0.0) + 0.5).astype(np.int64).clip(0, int(FACS_MAX))
        for values in results.intensity
    )
    return _counts(truth, predicted, known, int(FACS_MAX) + 1)


def draw_occurrence_confusion(results: Results, title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw a 2 x 2 matrix per AU."""
    columns, tuned = results.evaluation.columns, np.isfinite(results.evaluation.columns["threshold_val"])
    notes = [
        missing_class(columns["positives"][au], columns["observed"][au])
        or f"F1 {rounded(columns['f1_val' if tuned[au] else 'f1_0.5'][au])}   "
        + f"threshold {rounded(results.thresholds[au])}{'' if tuned[au] else ', not tuned'}"
        for au in range(len(results.aus))
    ]
    key = "Rows: label. Columns: prediction at the validation threshold. Shade and %: share of the row's faces."
    page, canvas = _open(title, protocol, key, len(results.aus), _OCCURRENCE)
    for au, counts in enumerate(occurrence_confusion(results)):
        place = _place(page, au, _OCCURRENCE)
        _draw_matrix(canvas, counts, place, _OCCURRENCE, results.aus[au], notes[au])
    return page.figure


def draw_intensity_confusion(results: Results, title: str, protocol: Mapping[str, str]) -> Figure:
    """Draw a 6 x 6 matrix per AU; needs predicted and labelled intensities."""
    icc = results.evaluation.columns.get("icc", np.full(len(results.aus), np.nan))
    key = (
        "Rows: labelled intensity, with the number of faces on the right. Columns: predicted intensity, rounded. "
        "Cells: % of the row."
    )
    page, canvas = _open(title, protocol, key, len(results.aus), _INTENSITY)
    for au, counts in enumerate(intensity_confusion(results)):
        total = counts.sum()
        exact = f"ICC {rounded(icc[au])}   exact {100 * np.trace(counts) / total:.0f} %" if total else "no labels"
        note = exact if not total or counts[1:].any() else f"{exact}   all labels 0"
        _draw_matrix(canvas, counts, _place(page, au, _INTENSITY), _INTENSITY, results.aus[au], note)
    return page.figure


def _counts(truth: NDArray[Any], predicted: NDArray[Any], observed: NDArray[np.bool_], classes: int) -> Counts:
    aus = observed.shape[1]
    cell = (np.arange(aus) * classes + truth) * classes + predicted
    return np.bincount(cell[observed], minlength=aus * classes**2).reshape(aus, classes, classes)


def _open(title: str, protocol: Mapping[str, str], key: str, count: int, cell: _Cell) -> tuple[Page, Axes]:
    page = Page.open(title, protocol, _ABOVE + math.ceil(count / _ACROSS) * _pitch(cell) + 0.1)
    page.text(MARGIN, page.top + 0.17, key, MEDIUM)
    return page, page.canvas()


def _pitch(cell: _Cell) -> float:
    return _HEAD + cell.height * len(cell.names) + _GAP


def _place(page: Page, index: int, cell: _Cell) -> tuple[float, float]:
    down, right = divmod(index, _ACROSS)
    return MARGIN + right * _STEP, page.top + _ABOVE + down * _pitch(cell)


def _draw_matrix(canvas: Axes, counts: Counts, place: tuple[float, float], cell: _Cell, au: str, note: str) -> None:
    left, top = place[0] + cell.left, place[1] + _HEAD
    size, totals = len(cell.names), counts.sum(axis=1)
    share = counts / np.maximum(totals, 1)[:, None]
    corner = np.array([(0, 0), (cell.width, 0), (cell.width, cell.height), (0, cell.height)])
    starts = [(left + c * cell.width, top + r * cell.height) for r in range(size) for c in range(size)]
    colors = mpl.colormaps["Blues"](0.9 * share.ravel())
    canvas.add_collection(
        PolyCollection([corner + start for start in starts], facecolors=colors, edgecolors="white", linewidths=0.8)
    )
    name = f"{au} {description(au)}"
    _write(canvas, place[0], place[1] + 0.05, name[:_NAME_LETTERS], weight="bold")
    _write(canvas, place[0], place[1] + 0.23, note, color=GRAY)
    for index, label in enumerate(cell.names):
        _write(canvas, left - 0.06, top + (index + 0.5) * cell.height, label, color=GRAY, ha="right")
        below = top + size * cell.height + 0.1
        _write(canvas, left + (index + 0.5) * cell.width, below, label, color=GRAY, ha="center")
    for (x, y), count, part in zip(starts, counts.ravel(), share.ravel(), strict=True):
        if size > 2 and not count:
            continue
        percent = f"{100 * part:.0f}"
        text = percent if size > 2 else f"{count}\n{percent} %" if count else "0"
        color = "white" if part > _DARK else INK
        _write(canvas, x + cell.width / 2, y + cell.height / 2, text, color=color, ha="center")
    if size > 2:
        for index, total in enumerate(totals):
            right = left + size * cell.width + 0.05
            _write(canvas, right, top + (index + 0.5) * cell.height, str(total), color=GRAY)


def _write(canvas: Axes, x: float, y: float, text: str, **style: Any) -> None:
    canvas.text(x, y, text, size=SMALL, va="center", parse_math=False, **style)
