"""Curves of a training run: losses, validation scores and learning rate over its epochs, and the F1 of every AU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from faceflow.metrics.metric import Place, columns_in
from faceflow.report.figure_page import HEADING, MARGIN, SMALL, Page, rounded
from faceflow.report.palette import BLUE, GRAY, GREEN, INK, PALE, PURPLE, SKY, VERMILION

# Inches.
_PANEL, _STEP, _HEIGHT, _ABOVE, _BELOW = 2.75, 3.3, 2.3, 0.7, 0.75
_AU_ROW = 0.16

_LEGEND_LETTERS = 32  # that fit above a panel

_COLORS = (BLUE, VERMILION, GREEN, PURPLE, SKY, INK, GRAY)
_PER_AU = "val/f1_val/AU"


def draw_training(
    history: pd.DataFrame, title: str, protocol: Mapping[str, str], *, monitor: str, best: float
) -> Figure:
    """Draw the epochs of metrics.csv.

    Args:
        history: a row per epoch; missing columns are not drawn.
        title: headline.
        protocol: the caption.
        monitor: column by which the checkpoint was chosen.
        best: value of `monitor` at that checkpoint; its epoch is marked.
    """
    names = [str(name) for name in history]
    validation = {f"val/{column.name}": column.header for column in columns_in(Place.CURVES)}
    aus = [name for name in names if name.startswith(_PER_AU)]
    height = max(_HEIGHT, _AU_ROW * len(aus))
    page = Page.open(title, protocol, _ABOVE + height + _BELOW)
    panels: tuple[tuple[str, dict[str, str]], ...] = (
        ("Training loss", _losses(names)),
        ("Validation, mean over AUs", {name: label for name, label in validation.items() if name in names}),
        ("Learning rate", {name: "" for name in names if name == "train/lr"}),
    )
    epoch = _best_epoch(history, monitor, best)
    for number, (heading, columns) in enumerate(panels):
        _draw_lines(page, history, MARGIN + 0.3 + number * _STEP, heading, columns, epoch)
    if aus:
        _draw_aus(page, history, MARGIN + 0.45 + len(panels) * _STEP, aus, height, epoch)
    if epoch is not None:
        mark = f"Dashed line: best.ckpt, epoch {epoch} by {monitor}"
        page.text(MARGIN + 0.3, page.top + _ABOVE + _HEIGHT + 0.55, mark, SMALL, color=GRAY)
    return page.figure


def _losses(names: Sequence[str]) -> dict[str, str]:
    """Terms of the loss, by method if there are several, and their sum; only the sum if there is one term."""
    terms = [name.split("/", 2) for name in names if name.startswith("train/") and name.endswith("_loss")]
    if len(terms) < 2:
        return {name: "loss" for name in names if name == "train/loss"}
    several = len({method for _, method, _ in terms}) > 1
    labels = {
        f"train/{method}/{term}": (f"{method} " if several else "") + term.removesuffix("_loss").replace("_", " ")
        for _, method, term in terms
    }
    return labels | {name: "sum" for name in names if name == "train/loss"}


def _best_epoch(history: pd.DataFrame, monitor: str, best: float) -> int | None:
    """Epoch whose value is closest to the best one; works for scores and for errors."""
    if monitor not in history or not history[monitor].notna().any():
        return None
    return int(history["epoch"].iloc[int(np.nanargmin((history[monitor] - best).abs()))])


def _draw_lines(
    page: Page, history: pd.DataFrame, left: float, heading: str, columns: Mapping[str, str], best: int | None
) -> None:
    page.text(left, page.top + _ABOVE - 0.35, heading, HEADING, bold=True)
    axes = page.axes(left, page.top + _ABOVE, _PANEL, _HEIGHT)
    for (name, label), color in zip(columns.items(), _COLORS, strict=False):
        known = history[["epoch", name]].dropna()  # epochs without validation leave gaps
        marker = "o" if len(known) < 15 else ""
        axes.plot(known["epoch"], known[name], color=color, lw=1.3, marker=marker, ms=3, label=label)
    if best is not None:
        axes.axvline(best, color=GRAY, ls="--", lw=0.8)
    axes.grid(axis="y", color=PALE, lw=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", size=SMALL)
    if any(columns.values()):
        above = sum(map(len, columns.values())) < _LEGEND_LETTERS
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "ncols": 4} if above else {}
        axes.legend(fontsize=SMALL, frameon=False, borderaxespad=0, handlelength=1.2, columnspacing=1.0, **place)
    elif not columns:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, size=SMALL, color=GRAY, ha="center")


def _draw_aus(
    page: Page, history: pd.DataFrame, left: float, columns: Sequence[str], height: float, best: int | None
) -> None:
    page.text(left, page.top + _ABOVE - 0.35, "Validation F1@val per AU", HEADING, bold=True)
    known = history[["epoch", *columns]].dropna(subset=list(columns), how="all")
    axes = page.axes(left, page.top + _ABOVE, _PANEL - 0.3, height)
    if known.empty:
        return
    values = known[list(columns)].to_numpy(float).T
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    shown = np.unique(np.linspace(0, len(known) - 1, min(6, len(known))).astype(int))
    epochs = known["epoch"].to_numpy(int)
    axes.set_xticks(shown, [str(epochs[index]) for index in shown])
    axes.set_xlabel("epoch", size=SMALL)
    axes.set_yticks(range(len(columns)), [name.rpartition("/")[2] for name in columns])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if best in epochs:
        for row, value in enumerate(values[:, epochs.tolist().index(best)]):
            edge = (len(epochs) - 0.5, row)
            axes.annotate(rounded(value), edge, (4, 0), textcoords="offset points", size=SMALL, va="center")
        page.text(left + _PANEL, page.top + _ABOVE - 0.05, "best.ckpt", SMALL, color=GRAY, align="right")
