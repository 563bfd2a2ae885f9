"""What a timeline needs of every frame, kept small: no pictures, float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceflow.inference.contract import ModelContract
from faceflow.inference.decision import threshold_of, thresholds_of
from faceflow.inference.pipeline import FramePrediction
from faceflow.report.timeline import Timeline


class Traces:
    """Collects the estimates of a video frame by frame; intensities where the model has them, else probabilities."""

    def __init__(self, contract: ModelContract, title: str) -> None:
        self.contract = contract
        self.title = title
        self._times: list[float | None] = []
        self._numbers: list[int] = []
        self._rows: dict[int, list[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]] = {}
        self._thresholds = thresholds_of(contract)

    def add(self, frame: FramePrediction) -> None:
        """Take the estimates of the next frame."""
        for face in frame.faces:
            found = face.estimates.get("")
            if found is not None:
                values = found.probability if found.intensity is None else found.intensity
                active = found.probability >= self._thresholds
                self._rows.setdefault(face.face.number or 0, []).append((len(self._times), values, active))
        self._times.append(frame.time_s)
        self._numbers.append(frame.number)

    def timeline(self) -> Timeline:
        """All frames so far; at least one face is among them."""
        shape = len(self._times), len(self.contract.aus)
        values = {face: np.full(shape, np.nan, np.float32) for face in sorted(self._rows)}
        active = {face: np.zeros(shape, np.bool_) for face in values}
        for face, rows in self._rows.items():
            for position, row_values, row_active in rows:
                values[face][position], active[face][position] = row_values, row_active
        times = np.array(self._times, np.float64)  # None becomes NaN
        numbers, known = np.array(self._numbers, np.float64), np.isfinite(times)
        if timed := bool(known.any()):  # a frame that does not decode has no time
            times = np.where(known, times, np.interp(numbers, numbers[known], times[known]))
        return Timeline(
            title=self.title,
            aus=self.contract.aus,
            time=times if timed else numbers,
            unit="s" if timed else "frame",
            values=values,
            active=active,
            thresholds={au: threshold_of(self.contract, au) for au in self.contract.aus},
            intensity=self.contract.levels > 1,
        )
