"""A timeline as a file: a picture (PNG) or a page (HTML)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import description
from faceflow.checks import check_installed
from faceflow.errors import ConfigError
from faceflow.files import whole_file
from faceflow.report.palette import ACTIVE, GAP, GRAY, INK, PALE
from faceflow.report.timeline import Timeline
from faceflow.report.timeline_html import timeline_page

_WIDTH, _ROW, _ABOVE, _BELOW, _LEFT, _RIGHT = 13.0, 0.62, 0.75, 0.6, 2.25, 0.45  # inches
_DPI = 130


def draw_timeline(path: Path, timeline: Timeline) -> None:
    """Draw a timeline as PNG or HTML, depending on the suffix of the file.

    Raises:
        ConfigError: the suffix is neither, or matplotlib is not installed.
        DataError: the file cannot be written.
    """
    if check_timeline(path) == ".html":
        with whole_file(path) as partial:
            partial.write_text(timeline_page(timeline), encoding="utf-8")
        return
    with whole_file(path) as partial:
        _figure(timeline).savefig(partial, format="png", dpi=_DPI)  # type: ignore[attr-defined]


def check_timeline(path: Path) -> str:
    """Check that a timeline can be drawn into a file and return its suffix; raises as `draw_timeline`."""
    suffix = path.suffix.lower()
    if suffix not in (".png", ".html"):
        raise ConfigError(f"plot: expected a file that ends in .png or .html, got '{path}'")
    if suffix == ".png":
        check_installed("matplotlib", key="plot", install="matplotlib", instead="choose a name that ends in .html")
    return suffix


def _figure(timeline: Timeline) -> object:
    from matplotlib.figure import Figure

    rows = len(timeline.aus)
    height = _ABOVE + rows * _ROW + _BELOW
    figure = Figure(figsize=(_WIDTH, height))
    panels = figure.subplots(rows, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=_LEFT / _WIDTH, right=1 - _RIGHT / _WIDTH, top=1 - _ABOVE / height, bottom=_BELOW / height, hspace=0.22
    )
    figure.text(0.15 / _WIDTH, 1 - 0.3 / height, timeline.title, size=13, weight="bold", color=INK, parse_math=False)
    figure.text(0.15 / _WIDTH, 1 - 0.55 / height, timeline.caption, size=9, color=GRAY)
    half = timeline.step / 2
    for index, (axes, au) in enumerate(zip(panels, timeline.aus, strict=True)):
        axes.set(xlim=(timeline.time[0] - half, timeline.time[-1] + half), ylim=(0, timeline.top))
        axes.set_yticks([0, timeline.top], ["0", f"{timeline.top:g}"], size=7, color=GRAY)
        axes.tick_params(length=2, color=PALE)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(PALE)
        axes.text(
            -0.02, 0.5, f"{au}  {description(au)}", transform=axes.transAxes, ha="right", va="center", size=9, color=INK
        )
        _shade(axes, timeline, timeline.gaps, GAP)
        for face, trace in timeline.traces.items():
            _shade(axes, timeline, timeline.active(trace, index), ACTIVE)
            color, time, values = timeline.colors[face], timeline.time[trace.frames], trace.values[:, index]
            lonely = _lonely(values)
            axes.plot(time, values, color=color, lw=1.1, clip_on=False)
            axes.plot(time[lonely], values[lonely], ".", color=color, ms=3)
        for mark, start, end, lane in timeline.spans_of(au):
            color, height = timeline.colors[mark.face], (1.05 + 0.07 * lane) * timeline.top
            axes.plot([start, end], [height, height], color=color, lw=2.5, solid_capstyle="butt", clip_on=False)
            axes.plot(mark.apex, height, "v", color=color, ms=5, clip_on=False)
        if not timeline.intensity:
            axes.axhline(timeline.thresholds[au], color=INK, lw=0.8, ls=(0, (4, 3)))
    panels[-1].set_xlabel("time, s" if timeline.unit == "s" else "frame", size=9, color=INK)
    panels[-1].tick_params(axis="x", labelsize=8, length=3)
    return figure


def _shade(axes: Any, timeline: Timeline, spans: Sequence[tuple[float, float]], color: str) -> None:
    axes.broken_barh([(start, end - start) for start, end in spans], (0, timeline.top), color=color, lw=0)


def _lonely(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Values between two gaps, which a line does not show."""
    seen = np.concatenate([[False], np.isfinite(values), [False]])
    alone: NDArray[np.bool_] = seen[1:-1] & ~seen[:-2] & ~seen[2:]
    return alone
