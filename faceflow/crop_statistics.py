"""Statistics of face crops, and which faces are unlike the training faces. Numpy only.

    brightness  mean grey level, 0-255 (ITU-R BT.601)
    contrast    standard deviation of the grey levels over their mean (RMS contrast, Peli 1990)
    sharpness   variance of the Laplacian of the grey levels (Pech-Pacheco et al. 2000)
    face_size   square root of the area of the landmarks' box, in pixels of the image
    yaw, pitch  of the head, degrees

The first three are of the crop at the input size of the network. `face_size` is at most that size, as a larger face
shows the network no more.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceflow.encoding import Array


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """How far a value may be from those of training.

    Ranges are at least `least` wide, in logarithms for a `ratio`: data of one camera say little about others. A
    statistic that is `harmless_above` has no upper limit.
    """

    least: float
    ratio: bool = False
    harmless_above: bool = False


STATISTICS = {
    "brightness": Statistic(least=math.log(1.25), ratio=True),
    "contrast": Statistic(least=math.log(1.25), ratio=True),
    "sharpness": Statistic(least=math.log(1.25), ratio=True),
    "face_size": Statistic(least=math.log(2), ratio=True, harmless_above=True),
    "yaw": Statistic(least=10.0),
    "pitch": Statistic(least=10.0),
}
QUANTILES = (0.005, 0.05, 0.5, 0.95, 0.995)
# How far limits are beyond the 5 % and 95 % quantiles, in units of the distance between them; further with few
# subjects, who say little about the next one. Chosen on rendered subjects, see docs/how_to/drift.md.
_BEYOND, _FEW, _PER_SUBJECT = 0.35, 0.15, 4.0
_UNKNOWN = 12  # number of subjects assumed if it is not known
_TOO_MANY = 0.2  # share of the faces of a source from which on a line is shown
_SMALLEST = 0.01  # smaller values are raised to this before the logarithm
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def of_pixels(image: NDArray[np.uint8]) -> dict[str, float]:
    """Brightness, contrast and sharpness of an RGB crop (S, S, 3), S >= 3."""
    grey = image.astype(np.float32) @ _GREY
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    mean = float(grey.mean())
    return {"brightness": mean, "contrast": float(grey.std()) / max(mean, 1.0), "sharpness": float(laplacian.var())}


def of_landmarks(landmarks: Array, pose: Array, *, image_size: int) -> dict[str, float]:
    """Size and pose of a face.

    Args:
        landmarks: (N, 2) or more columns, in pixels of the image.
        pose: yaw, pitch and what follows, degrees.
        image_size: side of the network's input, pixels.
    """
    side = math.sqrt(float(np.prod(np.ptp(landmarks[:, :2], axis=0))))
    return {"face_size": min(side, float(image_size)), "yaw": float(pose[0]), "pitch": float(pose[1])}


@dataclass(frozen=True, kw_only=True)
class CropStatistics:
    """Statistics of training crops: `quantiles` by name at `QUANTILES`, over `faces` faces of `subjects` subjects.

    `subjects` is None if unknown.
    """

    faces: int
    subjects: int | None
    quantiles: Mapping[str, tuple[float, ...]]

    @classmethod
    def measured(cls, values: Mapping[str, ArrayLike], *, subjects: int | None) -> Self:
        """Statistics of faces with values (N,) by name, N > 0."""
        found = {name: np.asarray(each, np.float64) for name, each in values.items()}
        return cls(
            faces=max(map(len, found.values()), default=0),
            subjects=subjects,
            quantiles={name: tuple(np.quantile(each, QUANTILES).tolist()) for name, each in found.items()},
        )

    @functools.cached_property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value of faces like those of training; infinite if there is no limit."""
        beyond = max(_BEYOND, _FEW + _PER_SUBJECT / max(1, self.subjects or _UNKNOWN))
        limits = {}
        for name, quantiles in self.quantiles.items():
            rule = STATISTICS[name]
            scaled = np.log(np.maximum(quantiles, _SMALLEST)) if rule.ratio else np.asarray(quantiles)
            margin = beyond * max(scaled[3] - scaled[1], rule.least)
            ends = np.array([scaled[1] - margin, scaled[3] + margin])
            low, high = (np.exp(ends) if rule.ratio else ends).tolist()
            low, high = min(low, quantiles[0]), max(high, quantiles[4])
            limits[name] = low, math.inf if rule.harmless_above else high
        return limits

    def outside(self, values: Mapping[str, float]) -> dict[str, int]:
        """Statistics of a face that are outside the limits: -1 below, 1 above."""
        sides = {
            name: int(values[name] > high) - int(values[name] < low)
            for name, (low, high) in self.limits.items()
            if name in values
        }
        return {name: side for name, side in sides.items() if side}

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for files."""
        quantiles = {name: list(values) for name, values in self.quantiles.items()}
        return {"faces": self.faces, "subjects": self.subjects, "quantiles": quantiles}

    @classmethod
    def from_dict(cls, raw: Any) -> Self:
        """Read what `to_dict` wrote; the source is not trusted. Statistics of a newer version are left out.

        Raises:
            ValueError: it is not valid.
        """
        try:
            faces, subjects = int(raw["faces"]), None if raw["subjects"] is None else int(raw["subjects"])
            quantiles = {
                str(name): tuple(map(float, values)) for name, values in raw["quantiles"].items() if name in STATISTICS
            }
        except (TypeError, LookupError, AttributeError, OverflowError) as error:
            raise ValueError(f"statistics of crops {str(raw)[:80]}") from error
        for name, values in quantiles.items():
            if len(values) != len(QUANTILES) or not all(map(math.isfinite, values)) or [*values] != sorted(values):
                raise ValueError(f"quantiles {values} of {name}")
        return cls(faces=faces, subjects=subjects, quantiles=quantiles)


class OutsideTally:
    """Counts the faces of a source that are unlike those of training, one at a time."""

    def __init__(self, training: CropStatistics) -> None:
        self.training = training
        self.faces = self.outside = 0
        self._counts: dict[tuple[str, int], int] = {}
        self._sums: dict[tuple[str, int], float] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Count a face with these statistics."""
        found = self.training.outside(values)
        self.faces += 1
        self.outside += bool(found)
        for departure in found.items():
            self._counts[departure] = self._counts.get(departure, 0) + 1
            self._sums[departure] = self._sums.get(departure, 0.0) + values[departure[0]]

    def line(self) -> str | None:
        """What differs most from training, if more than a fifth of the faces are outside; else None."""
        if self.outside <= _TOO_MANY * self.faces:
            return None
        (name, side), count = max(self._counts.items(), key=lambda item: item[1])
        low, *_, high = self.training.quantiles[name]
        mean = self._sums[name, side] / count
        return (
            f"{self.outside} of {self.faces} faces are unlike the training faces, most of all in {name}: {count} of "
            f"them average {mean:.3g}, and 99 % of the training faces have {low:.3g} to {high:.3g}"
        )
