"""Faces numbered over the frames of a clip, by the overlap of their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceflow.faces.detector import Array

# A head that moves by a third of its width between two frames still overlaps itself by half; two people do not overlap.
_SAME_FACE = 0.3


class Tracks:
    """Numbers faces 0, 1, 2, ... as they appear; a number is never given to another face.

    A face keeps its number through up to `hold` frames that miss it.
    """

    def __init__(self, *, hold: int) -> None:
        self._hold = hold
        self._known: dict[int, _Last] = {}
        self._frame = 0
        self._next = 0

    def end(self) -> None:
        """End all tracks, as at a cut: whatever comes is another face."""
        self._known = {}

    def assign(self, boxes: Sequence[Array]) -> list[int]:
        """Number the faces of the next frame, given their boxes (4,): best overlaps first, each face once."""
        self._frame += 1
        self._known = {n: last for n, last in self._known.items() if self._frame - last.frame <= self._hold + 1}
        overlaps = ((overlap(last.box, box), n, i) for n, last in self._known.items() for i, box in enumerate(boxes))
        numbers: dict[int, int] = {}
        for share, number, index in sorted(overlaps, key=lambda entry: -entry[0]):
            if share >= _SAME_FACE and index not in numbers and number not in numbers.values():
                numbers[index] = number
        for index in range(len(boxes)):
            if index not in numbers:
                numbers[index] = self._next
                self._next += 1
        for index, box in enumerate(boxes):
            self._known[numbers[index]] = _Last(box, self._frame)
        return [numbers[index] for index in range(len(boxes))]


def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes (4,)."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared
    return shared / union if union > 0 else 0.0


@dataclass(frozen=True, eq=False)
class _Last:
    box: Array
    frame: int
