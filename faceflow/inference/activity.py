"""Summary at the end of a run: number of faces, and how active each AU was."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from faceflow.aus import description
from faceflow.console import plain_table
from faceflow.inference.contract import ModelContract
from faceflow.inference.decision import thresholds_of
from faceflow.inference.pipeline import FramePrediction


class Tally:
    """Counts frames, statuses and active AUs during a run, and measures its time.

    Args:
        contract: gives AUs and thresholds.
        suffix: suffix of the estimates that `table` shows, "" for those of the model.
    """

    def __init__(self, contract: ModelContract, *, suffix: str = "") -> None:
        self.contract = contract
        self.suffix = suffix
        self.frames = 0
        self.statuses: Counter[str] = Counter()
        self.scored = 0  # faces
        self.counted = 0  # faces with estimates of this suffix: a running median has none at first
        self._thresholds = thresholds_of(contract)
        self._active = np.zeros(len(contract.aus), np.int64)
        self._sum = np.zeros(len(contract.aus), np.float64)
        self._highest = np.zeros(len(contract.aus), np.float64)
        self._started = time.monotonic()

    def add(self, frame: FramePrediction) -> None:
        """Count the next frame."""
        self.frames += 1
        for face in frame.faces:
            self.statuses[face.face.status] += 1
            self.scored += bool(face.estimates)
            if found := face.estimates.get(self.suffix):
                values: NDArray[np.float32] = found.probability if found.intensity is None else found.intensity
                self.counted += 1
                self._active += found.probability >= self._thresholds
                self._sum += values
                self._highest = np.maximum(self._highest, values)

    def table(self) -> Table:
        """Share of faces in which each AU is active, mean and highest estimate."""
        what = "intensity" if self.contract.levels > 1 else "probability"
        table = plain_table(
            f"AUs of {self.counted} face{'s' if self.counted > 1 else ''}{self.suffix and f', AU..{self.suffix}'}",
            ["AU", "action"],
            ["active", f"mean {what}", f"highest {what}"],
        )
        faces = max(self.counted, 1)
        for au, index in self.contract.shown.items():
            share = f"{100 * self._active[index] / faces:.1f} %"
            table.add_row(au, description(au), share, f"{self._sum[index] / faces:.2f}", f"{self._highest[index]:.2f}")
        return table

    def line(self) -> str:
        """Frames, statuses and speed in one line."""
        seconds = max(time.monotonic() - self._started, 1e-6)
        return f"{self.seen()}; {self.frames / seconds:.1f} frames/s"

    def seen(self) -> str:
        """Frames, and rows by status."""
        rows = ", ".join(f"{count} {status}" for status, count in self.statuses.most_common())
        return f"{self.frames} frame{'' if self.frames == 1 else 's'}: {rows}"
