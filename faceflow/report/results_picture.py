"""One page of results: F1 and ICC per AU, precision-recall curves, and the best and worst faces of the test set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from faceflow.aus import description
from faceflow.encoding import Array
from faceflow.metrics.curves import precision_recall
from faceflow.report.example_faces import GROUP, Face, Results, best_faces, worst_faces
from faceflow.report.figure_page import HEADING, MARGIN, MEDIUM, SMALL, Page, missing_class, panels_across, rounded
from faceflow.report.palette import BLUE, GRAY, GREEN, INK, PALE, SKY, VERMILION

# Inches.
_AU_ROW, _LEAST_PANELS, _ABOVE_PANELS, _BELOW_PANELS = 0.3, 2.7, 0.55, 0.7
_NAMES, _BARS, _BARS_BESIDE_ICC, _ICC_GAP, _ICC = 2.0, 4.3, 2.7, 0.55, 1.4
_CURVES, _CURVES_WIDTH = 7.65, 6.0
_FACE, _FACE_STEP, _FACE_LINE, _GROUP_GAP = 1.45, 1.63, 0.145, 0.25

_FACE_LINES, _FILE_LETTERS = 8, 26


def draw_results(results: Results, title: str, protocol: Mapping[str, str]) -> Figure:
    """Lay out the page; its height grows with the number of AUs."""
    best, worst = best_faces(results), worst_faces(results)
    panels = max(_LEAST_PANELS, _AU_ROW * len(results.aus))
    most_lines = max((len(_face_lines(results, face.row)) for face in best + worst), default=0)
    strip = 0.55 + _FACE + _FACE_LINE * most_lines if most_lines else 0.0
    page = Page.open(title, protocol, _ABOVE_PANELS + panels + _BELOW_PANELS + strip)
    top = page.top + _ABOVE_PANELS
    _draw_bars(page, results, top, panels)
    _draw_curves(page, results, top, panels)
    if strip:
        _draw_faces(page, results, best, worst, top + panels + _BELOW_PANELS)
    return page.figure


def _draw_bars(page: Page, results: Results, top: float, height: float) -> None:
    columns, summary = results.evaluation.columns, results.evaluation.summary
    rows, ordinal = np.arange(len(results.aus)), "icc" in results.evaluation.columns
    height = min(height, 0.5 * len(rows))
    left, width = MARGIN + _NAMES, _BARS_BESIDE_ICC if ordinal else _BARS
    page.text(MARGIN, top - 0.35, f"F1 at validation thresholds, mean {rounded(summary['f1_val'])}", HEADING, bold=True)
    axes = _bars(page, (left, top, width, height), columns["f1_val"], SKY)
    axes.set_yticks(rows, [f"{au}  {description(au)}" for au in results.aus], size=MEDIUM)
    axes.plot(columns["f1_0.5"], rows, "D", ms=3.5, color=INK, label="F1 at 0.5", clip_on=False)
    base_rate = columns["positives"] / np.where(columns["observed"] > 0, columns["observed"], np.nan)
    axes.plot(base_rate, rows, "|", ms=9, mew=2, color=VERMILION, label="base rate", clip_on=False)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=SMALL, frameon=False, borderaxespad=0.1)
    for row in np.flatnonzero(~np.isfinite(columns["f1_val"])):
        reason = missing_class(columns["positives"][row], columns["observed"][row]) or "no validation threshold"
        axes.text(0.97, float(row), reason, size=SMALL, color=GRAY, ha="right", va="center", style="italic")
    if ordinal:
        left += width + _ICC_GAP
        page.text(left, top - 0.35, f"ICC, mean {rounded(summary['icc'])}", HEADING, bold=True)
        axes = _bars(page, (left, top, _ICC, height), columns["icc"], GREEN)
        axes.set_yticks(rows, [])
        for row in np.flatnonzero(~np.isfinite(columns["icc"])):
            axes.text(
                0.97, float(row), "labels do not vary", size=SMALL, color=GRAY, ha="right", va="center", style="italic"
            )


def _bars(page: Page, place: tuple[float, float, float, float], values: Array, color: str) -> Axes:
    axes = page.axes(*place)
    lengths = np.nan_to_num(values)
    axes.barh(np.arange(len(values)), lengths, height=0.66, color=color)
    axes.set(xlim=(min(0.0, lengths.min()), 1), ylim=(len(values) - 0.5, -0.5), axisbelow=True)
    axes.locator_params(axis="x", nbins=5 if place[2] > 2 else 2)
    axes.grid(axis="x", color=PALE, lw=0.6)
    for row, value in enumerate(values):
        axes.annotate(
            rounded(value),
            (1, row),
            (7, 0),
            textcoords="offset points",
            size=MEDIUM,
            va="center",
            annotation_clip=False,
        )
    return axes


def _draw_curves(page: Page, results: Results, top: float, height: float) -> None:
    page.text(_CURVES, top - 0.35, "Precision-recall curves", HEADING, bold=True)
    handles = [
        Line2D([], [], color=BLUE, label="curve; area = AP"),
        Line2D([], [], color=VERMILION, ls="--", lw=1, label="base rate"),
        Line2D([], [], color=INK, ls="", marker="o", ms=4, label="validation threshold"),
    ]
    place = page.point(_CURVES + _CURVES_WIDTH, top - 0.35)
    page.figure.legend(
        handles=handles,
        loc="center right",
        bbox_to_anchor=place,
        ncols=3,
        fontsize=SMALL,
        frameon=False,
        borderaxespad=0,
    )
    # A panel per AU: in one panel the curves of a dozen AUs would hide each other.
    count = len(results.aus)
    across = panels_across(count, _CURVES_WIDTH / height)
    wide, high = _CURVES_WIDTH / across, height / math.ceil(count / across)
    for index, au in enumerate(results.aus):
        down, right = divmod(index, across)
        axes = page.axes(_CURVES + right * wide + 0.2, top + down * high + 0.1, wide - 0.3, high - 0.3)
        axes.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.05), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.set_xticklabels(["0", "", "1"] if index + across >= count else [])
        axes.set_yticklabels(["0", "", "1"] if right == 0 else [])
        if index + across >= count:
            axes.set_xlabel("recall", size=SMALL, labelpad=-6)
        if right == 0:
            axes.set_ylabel("precision", size=SMALL, labelpad=-2)
        axes.set_title(f"{au}  AP {rounded(results.evaluation.columns['ap'][index])}", size=MEDIUM, pad=2, loc="left")
        _draw_curve(axes, results, index)


def _draw_curve(axes: Axes, results: Results, index: int) -> None:
    columns, seen = results.evaluation.columns, results.judged[:, index]
    truth = results.truth[seen, index]
    if reason := missing_class(truth.sum(), len(truth)):
        axes.text(0.5, 0.5, reason, size=SMALL, color=GRAY, ha="center", style="italic")
        return
    precision, recall = precision_recall(results.probability[seen, index], truth)
    axes.axhline(truth.mean(), color=VERMILION, ls="--", lw=1)
    # Steps, as average precision sums them: the area below them is the AP of the title.
    axes.plot(recall, precision, color=BLUE, lw=1.3, drawstyle="steps-pre")
    axes.plot(columns["recall_val"][index], columns["precision_val"][index], "o", ms=4, color=INK)


def _draw_faces(page: Page, results: Results, best: list[Face], worst: list[Face], top: float) -> None:
    groups = (
        (MARGIN, best, "Best: no errors, most AUs"),
        (MARGIN + GROUP * _FACE_STEP + _GROUP_GAP, worst, "Worst: most confident errors"),
    )
    for left, faces, heading in groups:
        page.text(left, top, heading, HEADING, bold=True)
        if not faces:
            page.text(left, top + 0.4, "none", SMALL, color=GRAY)
        for position, face in enumerate(faces):
            _draw_face(page, results, face, left + position * _FACE_STEP, top + 0.2)
    units = "AU probability" + (" (predicted / true intensity)" if results.intensity else "")
    page.text(MARGIN + 2.3, top, units, SMALL, color=GRAY)


def _draw_face(page: Page, results: Results, face: Face, left: float, top: float) -> None:
    axes = page.axes(left, top, _FACE, _FACE)
    axes.set_axis_off()
    axes.imshow(face.image)
    lines = _face_lines(results, face.row)
    for number, (text, color) in enumerate(lines):
        page.text(left, top + _FACE + _FACE_LINE * (number + 0.8), text, SMALL, color=color)


def _face_lines(results: Results, row: int) -> list[tuple[str, str]]:
    """Text and colour: the file, then the AUs that are labelled or predicted, errors first, as many as fit."""
    wrong, active = results.wrong[row], results.active[row]
    shown = [*np.flatnonzero(wrong), *np.flatnonzero(active & ~wrong)]
    assert results.files is not None, "faces are chosen from files"
    lines = [(Path(results.files[row]).name[-_FILE_LETTERS:], GRAY)]
    for index in shown[:_FACE_LINES]:
        text = f"{results.aus[index]} {results.probability[row, index]:.2f}"
        if results.intensity is not None:
            predicted, true = (part[row, index] for part in results.intensity)
            text += f" ({predicted:.1f} / {f'{true:.2g}' if np.isfinite(true) else '?'})"
        if not wrong[index]:
            lines.append((text, INK))
        else:
            lines.append((f"missed {text}", VERMILION) if active[index] else (f"false {text}", BLUE))
    hidden = len(shown) - _FACE_LINES
    return [*lines, (f"and {hidden} more", GRAY)] if hidden > 0 else lines
