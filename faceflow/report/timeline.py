"""AUs over the time of a video: a curve per AU and face, active spans, and gaps without a face."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import FACS_MAX
from faceflow.report.palette import AMBER, BLUE, GREEN, PURPLE, SKY, VERMILION

LANES = 3  # that events of an AU share where they overlap

# The colours of faces and their names in the caption.
_FACES = {"blue": BLUE, "red": VERMILION, "green": GREEN, "pink": PURPLE, "light blue": SKY, "orange": AMBER}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """An event of an AU: times of its first frame, of its highest value and of its last frame."""

    face: int
    au: str
    start: float
    apex: float
    end: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Trace:
    """Estimates of a face in the n frames from its first to its last; `start` is the position of the first frame.

    `values` (n, A) are NaN where the face was not seen; `active` (n, A) is True where they count as occurrence.
    """

    start: int
    values: NDArray[np.float32]
    active: NDArray[np.bool_]

    @property
    def frames(self) -> slice:
        """Positions of the face among the frames of the video."""
        return slice(self.start, self.start + len(self.values))


@dataclass(frozen=True, eq=False, kw_only=True)
class Timeline:
    """Estimates of a video, by face.

    They are probabilities with `thresholds` by AU, or intensities 0-5 (`intensity` is True), where a probability
    that is not drawn decides about occurrence. `time` (N,) is in `unit`: s, or frame if the length of a frame is not
    known. `marks` are events.
    """

    title: str
    aus: Sequence[str]
    time: NDArray[np.float64]
    unit: str
    traces: Mapping[int, Trace]
    thresholds: Mapping[str, float]
    intensity: bool
    marks: Sequence[Mark] = ()

    @property
    def top(self) -> float:
        """Highest value of the scale."""
        return FACS_MAX if self.intensity else 1.0

    @cached_property
    def step(self) -> float:
        """Time between two frames."""
        return float(np.median(np.diff(self.time))) if len(self.time) > 1 else 1.0

    @property
    def caption(self) -> str:
        """Explanation of the drawing."""
        line = "intensity 0-5" if self.intensity else "probability, dashed: threshold"
        events = "; bars: events, with their apex" if self.marks else ""
        return f"{line}{self._faces()}; shaded: active{events}; grey: no face"

    @cached_property
    def colors(self) -> Mapping[int, str]:
        """Colour of every face; they repeat after six."""
        return dict(zip(self.traces, itertools.cycle(_FACES.values()), strict=False))

    def _faces(self) -> str:
        """Which face has which colour."""
        if len(self.traces) == 1:
            return ""
        named = [f"{face} {name}" for face, name in zip(self.traces, _FACES, strict=False)]
        more = ", and so on" if len(self.traces) > len(named) else ""
        return f"; face {', '.join(named)}{more}"

    @cached_property
    def gaps(self) -> list[tuple[float, float]]:
        """Start and end times of spans without a face."""
        seen = np.zeros(len(self.time), np.bool_)
        for trace in self.traces.values():
            seen[trace.frames] |= np.isfinite(trace.values[:, 0])
        return self.spans(~seen)

    def spans_of(self, au: str) -> list[tuple[Mark, float, float, int]]:
        """Events of an AU with start time, end time and lane, counted from 0.

        A frame lasts until the next one. Events of several faces at the same time get different lanes, as far as there
        are enough.
        """
        half, ends, found = self.step / 2, [-np.inf] * LANES, []
        for mark in sorted((mark for mark in self.marks if mark.au == au), key=lambda mark: (mark.start, mark.face)):
            start, end = mark.start - half, mark.end + half
            lane = next((lane for lane, taken in enumerate(ends) if taken <= start), int(np.argmin(ends)))
            ends[lane] = end
            found.append((mark, start, end, lane))
        return found

    def active(self, trace: Trace, au: int) -> list[tuple[float, float]]:
        """Start and end times of the spans in which an AU (by its index) of a face is active."""
        return self.spans(trace.active[:, au], start=trace.start)

    def spans(self, flags: NDArray[np.bool_], *, start: int = 0) -> list[tuple[float, float]]:
        """Start and end times of the spans where `flags` (n,), of the frames from `start` on, are True."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
        half, time = self.step / 2, self.time[start:]
        return [(time[a] - half, time[b - 1] + half) for a, b in edges.reshape(-1, 2)]
