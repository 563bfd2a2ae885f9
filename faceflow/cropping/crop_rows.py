"""`crops.csv`: one row per decoded frame and face, also for frames without a face."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.faces.selection import Status
from faceflow.files import whole_file

STATUSES: tuple[Status, ...] = ("ok", "tracked", "no_face", "low_confidence", "decode_error")

_POINTS = ("eye_left", "eye_right", "nose", "mouth_left", "mouth_right")  # on the image's left and right
_BOX = ("x1", "y1", "x2", "y2")
_AFFINE = ("a11", "a12", "a13", "a21", "a22", "a23")
COLUMNS = (
    *("file", "frame", "time_s", "face", "status", "score"),
    *_BOX,
    *(f"{point}_{axis}" for point in _POINTS for axis in "xy"),
    *_AFFINE,
    "crop",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceRow:
    """A frame and, if found, a face in it.

    `box` (4,) is x1, y1, x2, y2 and `points` (5, 2) are eyes, nose and mouth corners as detected, in pixels of the
    frame; `affine` (2, 3) maps them to the crop, after smoothing; `crop` is the file below `crops/`.
    """

    file: str
    frame: int
    time_s: float | None
    status: Status
    face: int | None = None
    score: float | None = None
    box: NDArray[np.float64] | None = None
    points: NDArray[np.float64] | None = None
    affine: NDArray[np.float64] | None = None
    crop: str = ""

    def cells(self) -> list[str]:
        """Cells in the order of `COLUMNS`; unknown values are empty."""
        return [
            *(self.file, str(self.frame), _number(self.time_s, 4), "" if self.face is None else str(self.face)),
            *(self.status, _number(self.score, 4)),
            *_numbers(self.box, len(_BOX), 2),
            *_numbers(self.points, 2 * len(_POINTS), 2),
            *_numbers(self.affine, len(_AFFINE), 6),
            self.crop,
        ]


def write_rows(path: Path, rows: Iterable[FaceRow]) -> None:
    """Write rows with a header.

    Raises:
        DataError: the file cannot be written.
    """
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(row.cells() for row in rows)


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a `crops.csv` by column."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def join_rows(parts: Iterable[Path], path: Path) -> None:
    """Write several row files as one."""
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as joined:
        joined.write(",".join(COLUMNS) + "\n")
        for part in parts:
            with part.open(encoding="utf-8", newline="") as file:
                next(file)
                joined.writelines(file)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def _numbers(values: NDArray[np.float64] | None, count: int, digits: int) -> list[str]:
    return [""] * count if values is None else [_number(value, digits) for value in values.ravel()]
