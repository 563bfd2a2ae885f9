"""A timeline as a self-contained page: SVG curves, with the values at the pointer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.aus import description
from faceflow.report.html import render
from faceflow.report.palette import ACTIVE, GAP, GRAY, INK, PALE
from faceflow.report.timeline import Timeline, Trace

_LEFT, _PLOT, _RIGHT, _ROW, _GAP = 210, 1160, 60, 44, 16  # pixels
_COLUMNS = 2000  # points of a curve; more could not be seen


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """Drawing of an AU.

    Shaded spans and events (left, width, colour), events also with apex and top; curves (colour, path); the threshold,
    if it is drawn.
    """

    top: int
    au: str
    description: str
    spans: Sequence[tuple[float, float, str]]
    curves: Sequence[tuple[str, str]]
    threshold: float | None
    events: Sequence[tuple[float, float, str, float, int]]


def timeline_page(timeline: Timeline) -> str:
    """Draw a timeline as HTML; the values at the pointer are those of the first face."""
    return render(
        "timeline.html.jinja",
        timeline=timeline,
        panels=[_panel(timeline, index) for index in range(len(timeline.aus))],
        bottom=len(timeline.aus) * (_ROW + _GAP),
        ticks=[(tick, _x(timeline, tick)) for tick in _ticks(timeline.time[0], timeline.time[-1])],
        data=_numbers(timeline),
        left=_LEFT,
        plot=_PLOT,
        right=_RIGHT,
        row=_ROW,
        gap=_GAP,
        ink=INK,
        gray=GRAY,
        pale=PALE,
    )


def _panel(timeline: Timeline, index: int) -> _Panel:
    au, top = timeline.aus[index], index * (_ROW + _GAP)
    active = [span for trace in timeline.traces.values() for span in timeline.active(trace, index)]
    shaded = [*((span, GAP) for span in timeline.gaps), *((span, ACTIVE) for span in active)]
    return _Panel(
        top=top,
        au=au,
        description=description(au),
        spans=[(_x(timeline, a), _x(timeline, b) - _x(timeline, a), color) for (a, b), color in shaded],
        curves=[
            (timeline.colors[face], _curve(timeline, trace, index, top)) for face, trace in timeline.traces.items()
        ],
        threshold=None if timeline.intensity else timeline.thresholds[au],
        events=[
            (_x(timeline, a), _x(timeline, b) - _x(timeline, a), timeline.colors[mark.face], _x(timeline, mark.apex), y)
            for mark, a, b, y in ((mark, a, b, top - 5 - 4 * lane) for mark, a, b, lane in timeline.spans_of(au))
        ],
    )


def _curve(timeline: Timeline, trace: Trace, au: int, top: int) -> str:
    """Path through the values of an AU, broken at gaps; of several frames per pixel, the lowest and the highest."""
    parts, begun = [], False
    time, values = timeline.time[trace.frames], trace.values[:, au]
    for index in _shown(values, len(timeline.time)):
        if not np.isfinite(values[index]):
            begun = False
            continue
        y = top + _ROW * (1 - float(np.clip(values[index] / timeline.top, 0, 1)))
        # A point alone between two gaps shows as the round cap of a line without length.
        place = f"{_x(timeline, time[index]):.1f} {y:.1f}"
        parts.append(f"L{place}" if begun else f"M{place}h0")
        begun = True
    return "".join(parts)


def _shown(values: NDArray[np.float32], frames: int) -> Iterator[int]:
    """Positions of the values that a curve goes through, in a timeline of `frames` frames."""
    if frames <= _COLUMNS:
        yield from range(len(values))
        return
    for block in np.array_split(np.arange(len(values)), math.ceil(len(values) * _COLUMNS / 2 / frames)):
        part = values[block]
        if not np.isfinite(part).all():
            yield int(block[int(np.argmin(np.isfinite(part)))])
        if np.isfinite(part).any():
            yield from sorted({int(block[int(np.nanargmin(part))]), int(block[int(np.nanargmax(part))])})


def _ticks(start: float, end: float) -> Iterator[float]:
    span = max(end - start, 1e-6)
    step = float(10 ** np.floor(np.log10(span)))
    step = next((step / part for part in (1, 2, 5, 10) if span / (step / part) >= 5), step / 10)
    yield from np.arange(np.ceil(start / step - 1e-9) * step, end + 1e-9, step).round(6) + 0.0  # no -0


def _x(timeline: Timeline, time: float) -> float:
    half = timeline.step / 2
    start, end = timeline.time[0] - half, timeline.time[-1] + half
    return float(_LEFT + _PLOT * (time - start) / (end - start))


def _numbers(timeline: Timeline) -> dict[str, object]:
    half = timeline.step / 2
    first = next(iter(timeline.traces.values()))
    values = np.full((len(timeline.time), len(timeline.aus)), np.nan, np.float32)
    values[first.frames] = first.values
    return {
        "unit": timeline.unit,
        "from": round(float(timeline.time[0] - half), 4),
        "to": round(float(timeline.time[-1] + half), 4),
        "time": [round(float(time), 4) for time in timeline.time],
        "values": [[round(float(v), 3) if np.isfinite(v) else None for v in column] for column in values.T],
    }
