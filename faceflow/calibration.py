r"""Calibrated probabilities: a rising map of every AU's logit, fitted on validation subjects. Numpy only.

With z the logit of a network's probability of occurrence,

    platt         p' = sigmoid(slope z + offset)      Platt 1999
    temperature   p' = sigmoid(z / T), slope = 1 / T  Guo et al. 2017, arXiv:1706.04599

No ranking changes, and a threshold that goes through the same map decides as before. Intensities stay as they are.
The sides of an AU share its map, so that the larger of two calibrated sides is the calibrated larger side.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from faceflow.aus import joined
from faceflow.centring import Centring
from faceflow.encoding import Array

NONE, PLATT, TEMPERATURE = "none", "platt", "temperature"
METHODS = (NONE, PLATT, TEMPERATURE)
PROTOCOL = "probability_calibration"  # what tables call it

_SMALLEST, _LARGEST = 1e-30, 1 - 2**-25  # probabilities of single precision whose logits are finite


@dataclass(frozen=True, kw_only=True)
class ProbabilitySettings:
    """What validation makes of a network's probabilities: a map of `METHODS`, and the coverage of bands, if any."""

    calibration: str = NONE
    coverage: float | None = None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Maps of a network's AUs.

    `slope` (> 0) and `offset` are by AU, those of joined sides among them; 1 and 0 leave an AU as it is, and `notes`
    say why. `subjects` counts those of validation on whom it was fitted, 0 where they are not known; `chosen` says
    whether held-out ones of them had to confirm each map.
    """

    method: str
    subjects: int
    chosen: bool
    slope: Mapping[str, float]
    offset: Mapping[str, float]
    notes: Mapping[str, str] = field(default_factory=dict)

    def coefficients(self, aus: Sequence[str]) -> tuple[Array, Array]:
        """Slopes and offsets of some AUs in their order, (A,) each."""
        return np.array([self.slope[au] for au in aus]), np.array([self.offset[au] for au in aus])

    def of_logits(self, logits: ArrayLike, aus: Sequence[str]) -> Array:
        """Calibrated probabilities of logits, (..., A)."""
        slope, offset = self.coefficients(aus)
        return _sigmoid(np.asarray(logits, np.float64) * slope + offset)

    def apply(self, probability: ArrayLike, aus: Sequence[str]) -> Array:
        """Calibrated probabilities of a network's own, (..., A)."""
        return self.of_logits(logit(probability), aus)

    def undo(self, probability: ArrayLike, aus: Sequence[str]) -> Array:
        """The network's own probabilities of calibrated ones, (..., A)."""
        slope, offset = self.coefficients(aus)
        return _sigmoid((logit(probability) - offset) / slope)

    def thresholds(self, thresholds: Mapping[str, float]) -> dict[str, float]:
        """Thresholds of calibrated probabilities that decide as these do of the network's own."""
        return {au: float(self.apply([cut], [au])[0]) for au, cut in thresholds.items()}

    def centring(self, centring: Centring) -> Centring:
        """The constants and thresholds of centred scores that decide as before: centring and this map commute."""
        return dataclasses.replace(
            centring,
            thresholds=self.thresholds(centring.thresholds),
            logit={au: self.slope[au] * value + self.offset[au] for au, value in centring.logit.items()},
        )

    @property
    def protocol(self) -> str:
        """What was done, in a line."""
        said = f"{self.method}, fitted on {self.subjects} validation subject{'' if self.subjects == 1 else 's'}"
        said += "" if self.chosen else ", too few to confirm it on held-out ones"
        reasons: dict[str, list[str]] = {}
        for au, reason in self.notes.items():
            reasons.setdefault(reason, []).append(au)
        return "; ".join([said, *(f"left as they are ({why}): {', '.join(aus)}" for why, aus in reasons.items())])

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for files."""
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, raw: Any, *, aus: Sequence[str]) -> Self:
        """Read what `to_dict` wrote; a file may come from anywhere.

        Raises:
            ValueError: it is not that.
        """
        try:
            slope, offset = ({str(au): float(value) for au, value in raw[name].items()} for name in ("slope", "offset"))
            found = cls(
                method=str(raw["method"]),
                subjects=int(raw["subjects"]),
                chosen=bool(raw["chosen"]),
                slope=slope,
                offset=offset,
                notes={str(au): str(note) for au, note in raw.get("notes", {}).items()},
            )
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ValueError("a calibration of probabilities that is no numbers by AU") from error
        for au in {*aus, *map(joined, aus)}:
            if au not in slope or au not in offset:
                raise ValueError(f"no calibration of probabilities for {au}")
        if not all(math.isfinite(each) for each in (*slope.values(), *offset.values())) or min(slope.values()) <= 0:
            raise ValueError("a calibration of probabilities with values out of range")
        return found


def logit(probability: ArrayLike) -> Array:
    """Logits of probabilities; those of 0 and 1 are finite."""
    p = np.clip(np.asarray(probability, np.float64), _SMALLEST, _LARGEST)
    found: Array = np.log(p) - np.log1p(-p)
    return found


def _sigmoid(logits: Array) -> Array:
    found: Array = np.exp(-np.logaddexp(0.0, -logits))
    return found
