"""The data of a timeline for every frame, kept small: no images, float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceflow.inference.contract import ModelContract
from faceflow.inference.decision import threshold_of, thresholds_of
from faceflow.inference.pipeline import FramePrediction
from faceflow.report.timeline import Mark, Timeline, Trace


def filled_times(times: Sequence[float | None], numbers: Sequence[int]) -> NDArray[np.float64] | None:
    """Times of frames (N,) in s, filled in for frames that did not decode; None if no frame has a time."""
    filled, places = np.array(times, np.float64), np.array(numbers, np.float64)  # None becomes NaN
    known = np.isfinite(filled)
    return np.where(known, filled, np.interp(places, places[known], filled[known])) if known.any() else None


_Row = tuple[int, NDArray[np.float32], NDArray[np.bool_]]  # place of the frame, values and active (A,)


class Traces:
    """Collects the estimates of a video frame by frame; intensities if the model has them, else probabilities.

    Args:
        contract: gives AUs and thresholds.
        title: title of the timeline.
        suffix: suffix of the estimates, "" for those of the model.
    """

    def __init__(self, contract: ModelContract, title: str, *, suffix: str = "") -> None:
        self.contract = contract
        self.title = f"{title}, AU..{suffix}" if suffix else title
        self._suffix = suffix
        self._times: list[float | None] = []
        self._numbers: list[int] = []
        self._rows: dict[int, list[_Row]] = {}
        self._aus = contract.shown
        self._columns = list(self._aus.values())
        self._thresholds = thresholds_of(contract)[self._columns]

    def add(self, frame: FramePrediction) -> None:
        """Add the estimates of the next frame."""
        for face in frame.faces:
            found = face.estimates.get(self._suffix)
            if found is not None:
                values = (found.probability if found.intensity is None else found.intensity)[self._columns]
                active = found.probability[self._columns] >= self._thresholds
                self._rows.setdefault(face.face.number or 0, []).append((len(self._times), values, active))
        self._times.append(frame.time_s)
        self._numbers.append(frame.number)

    def timeline(self, marks: Sequence[Mark] = ()) -> Timeline:
        """Timeline of all frames so far, with at least one face, and of events in the video."""
        times = filled_times(self._times, self._numbers)
        return Timeline(
            title=self.title,
            aus=tuple(self._aus),
            time=np.array(self._numbers, np.float64) if times is None else times,
            unit="frame" if times is None else "s",
            traces={face: _trace(rows) for face, rows in sorted(self._rows.items())},
            thresholds={au: threshold_of(self.contract, au) for au in self._aus},
            intensity=self.contract.levels > 1,
            marks=marks,
        )


def _trace(rows: Sequence[_Row]) -> Trace:
    start, end = rows[0][0], rows[-1][0] + 1
    shape = end - start, len(rows[0][1])
    values, active = np.full(shape, np.nan, np.float32), np.zeros(shape, np.bool_)
    for place, row_values, row_active in rows:
        values[place - start], active[place - start] = row_values, row_active
    return Trace(start=start, values=values, active=active)
