"""The events of all faces of a video: estimates are collected frame by frame, events are found at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.inference.cells import Cell, Field
from faceflow.inference.contract import ModelContract
from faceflow.inference.decision import threshold_of
from faceflow.inference.events import Event, EventRule, find_events, seen_stretches
from faceflow.inference.pipeline import FramePrediction
from faceflow.inference.traces import filled_times
from faceflow.report.timeline import Mark

_FPS = 25.0  # if the duration of a frame is unknown
_PHASES = ("onset", "apex", "offset", "end")
_DIGITS = 6
_WHEN = {
    "onset": "first frame of the rise",
    "apex": "first frame of the highest value",
    "offset": "last frame within a tenth of the rise below the peak",
    "end": "last frame of the fall",
}
EVENT_FIELDS = (
    Field(name="file", kind="text"),
    Field(name="face", kind="whole"),
    Field(name="au", kind="text"),
    *(Field(name=f"{phase}_frame", kind="whole", meaning=_WHEN[phase]) for phase in _PHASES),
    *(Field(name=f"{phase}_s", kind="number") for phase in _PHASES),
    Field(name="duration_s", kind="number", meaning="from the onset to the end, both included"),
    Field(name="peak", kind="number", meaning="highest intensity, 0-5; probability for models without intensities"),
    Field(name="mean", kind="number", meaning="mean of the same value from the onset to the end"),
    Field(
        name="complete",
        kind="whole",
        meaning="1 if the face was seen before the onset and after the end; 0 if the event was cut off",
    ),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceEvent:
    """An event of a face; `frames` and `times` are those of onset, apex, offset and end.

    `times` and `duration` are in s, None if the duration of a frame is unknown.
    """

    file: str
    face: int
    au: str
    frames: tuple[int, ...]
    times: tuple[float, ...] | None
    duration: float | None
    event: Event

    def cells(self) -> list[Cell]:
        """A row of `EVENT_FIELDS`."""
        times = [None] * len(_PHASES) if self.times is None else [round(time, _DIGITS) for time in self.times]
        duration = None if self.duration is None else round(self.duration, _DIGITS)
        found = self.event
        values = round(found.peak, _DIGITS), round(found.mean, _DIGITS), int(found.complete)
        return [self.file, self.face, self.au, *self.frames, *times, duration, *values]

    def mark(self) -> Mark:
        """Mark of the event in a timeline."""
        onset, apex, _, end = self.frames if self.times is None else self.times
        return Mark(face=self.face, au=self.au, start=onset, apex=apex, end=end)


class EventFinder:
    """Collects the estimates of one video after the other.

    Frames in which a face was not detected are ignored, even if its last position was scored (tracked).

    Args:
        contract: gives AUs and thresholds.
        suffix: suffix of the estimates from which events are found.
        rule: what counts as an event.
    """

    def __init__(self, contract: ModelContract, *, suffix: str, rule: EventRule) -> None:
        self._contract, self._suffix, self._rule = contract, suffix, rule
        self._clear()

    def add(self, frame: FramePrediction) -> None:
        """Add the estimates of the next frame."""
        for face in frame.faces:
            found = face.estimates.get(self._suffix)
            if found is not None and face.face.status == "ok":
                values = found.probability if found.intensity is None else found.intensity
                rows = self._rows.setdefault(face.face.number or 0, [])
                rows.append((len(self._times), np.stack([found.probability, values])))
        self._file = frame.file
        self._times.append(frame.time_s)
        self._numbers.append(frame.number)

    def end_video(self) -> list[FaceEvent]:
        """Events since the last call, by face, AU and onset; the next frame belongs to another video."""
        events = list(self._events())
        self._clear()
        return events

    def _clear(self) -> None:
        self._file = ""
        self._times: list[float | None] = []
        self._numbers: list[int] = []
        self._rows: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}

    def _events(self) -> Iterator[FaceEvent]:
        known = filled_times(self._times, self._numbers)
        times = np.array(self._numbers, np.float64) / _FPS if known is None else known
        step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / _FPS
        for face, rows in sorted(self._rows.items()):
            start, stop = rows[0][0], rows[-1][0] + 1
            curves = np.full((2, len(self._contract.aus), stop - start), np.nan)
            for place, values in rows:
                curves[:, :, place - start] = values
            seen, lasting = np.isfinite(curves[0, 0]), times[start:stop]
            stretches = list(seen_stretches(lasting, seen, step=step, bridge_s=self._rule.bridge_s))
            for au, index in self._contract.shown.items():
                for first, last in stretches:
                    part = slice(first, last + 1)
                    probability, values = curves[:, index, part]
                    threshold = threshold_of(self._contract, au)
                    for event in find_events(
                        probability, values, lasting[part], step=step, threshold=threshold, rule=self._rule
                    ):
                        places = [start + first + getattr(event, phase) for phase in _PHASES]
                        yield FaceEvent(
                            file=self._file,
                            face=face,
                            au=au,
                            frames=tuple(self._numbers[place] for place in places),
                            times=None if known is None else tuple(float(times[place]) for place in places),
                            duration=None if known is None else float(times[places[-1]] - times[places[0]] + step),
                            event=event,
                        )
