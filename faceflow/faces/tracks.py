"""Numbering faces across the frames of a clip by the overlap of their boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from faceflow.faces.detector import Array

# A head that moves by a third of its width between two frames still overlaps itself by half; two people do not overlap.
_SAME_FACE = 0.3
_ONE_FACE = 0.6  # overlap from which two boxes of a frame are the same face, found twice
_ALIKE = 2.0  # largest ratio of areas at which two faces can be confused


class Tracks:
    """Numbers faces 0, 1, 2, ... as they appear.

    A face keeps its number through up to `hold` frames that miss it. If one passes behind another of similar size,
    boxes do not show which one comes out on which side: when they part, both get new numbers, so that no number is
    given to another face.
    """

    def __init__(self, *, hold: int) -> None:
        self._hold = hold
        self._known: dict[int, _Last] = {}
        self._hidden: dict[int, set[int]] = {}  # face -> faces that were missed while touching it
        self._frame = 0
        self._next = 0

    def end(self) -> None:
        """End all tracks, as at a cut: all later faces are new."""
        self._known, self._hidden = {}, {}

    def assign(self, boxes: Sequence[Array]) -> list[int]:
        """Number the faces of the next frame, given their boxes (4,): best overlaps first, each face once."""
        self._frame += 1
        self._known = {n: last for n, last in self._known.items() if self._frame - last.frame <= self._hold + 1}
        overlaps = ((overlap(last.box, box), n, i) for n, last in self._known.items() for i, box in enumerate(boxes))
        numbers: dict[int, int] = {}
        for share, number, index in sorted(overlaps, key=lambda entry: -entry[0]):
            if share >= _SAME_FACE and index not in numbers and number not in numbers.values():
                numbers[index] = number
        self._hide(boxes, numbers)
        new = [index for index in range(len(boxes)) if index not in numbers]
        parted = [index for index in numbers if self._part(index, new, boxes, numbers)]
        for index in parted:
            del self._known[numbers[index]]
        for index in (*new, *parted):
            numbers[index] = self._next
            self._next += 1
        for index, box in enumerate(boxes):
            self._known[numbers[index]] = _Last(box, self._frame)
        return [numbers[index] for index in range(len(boxes))]

    def _hide(self, boxes: Sequence[Array], numbers: Mapping[int, int]) -> None:
        """Note which faces are missed where they touch another, and which are seen again."""
        seen = set(numbers.values())
        self._hidden = {front: behind - seen for front, behind in self._hidden.items() if front in self._known}
        for number in self._known.keys() - seen:
            last = self._known[number].box
            for index, front in numbers.items():
                if _touch(last, boxes[index]) and _alike(last, boxes[index]):
                    self._hidden.setdefault(front, set()).add(number)

    def _part(self, index: int, new: Sequence[int], boxes: Sequence[Array], numbers: Mapping[int, int]) -> bool:
        """Whether a new face comes out from behind a face."""
        return bool(self._hidden.get(numbers[index])) and any(_touch(boxes[index], boxes[other]) for other in new)


def _touch(a: Array, b: Array) -> bool:
    return 0 < overlap(a, b) < _ONE_FACE


def _alike(a: Array, b: Array) -> bool:
    one, other = np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2])
    return bool(max(one, other) <= _ALIKE * min(one, other))


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
