r"""Calibrated probabilities: an increasing map of every AU's logit, fitted on validation subjects. Numpy only.

With z the logit of a network's probability of occurrence,

    platt         p' = sigmoid(slope z + offset)      Platt 1999
    temperature   p' = sigmoid(z / T), slope = 1 / T  Guo et al. 2017, arXiv:1706.04599

Rankings do not change, and a threshold passed through the same map gives the same decisions. A network with several
levels also has a map for each level, and its intensity is the expectation over the calibrated levels. Both sides of an
AU share one map, so calibration does not change which side is larger.
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
    """What validation fits to a network's probabilities: a map of `METHODS`, and bands with a coverage, if any."""

    calibration: str = NONE
    coverage: float | None = None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration maps for the AUs of a network.

    `slope` (> 0) and `offset` are by AU, including joined sides; 1 and 0 leave an AU unchanged, and `notes` give the
    reason. `levels` are slope and offset of every level, where there are several. `subjects` counts the validation
    subjects of the fit, 0 if unknown; `chosen` says whether each map was kept only if it helped on held-out ones.
    """

    method: str
    subjects: int
    chosen: bool
    slope: Mapping[str, float]
    offset: Mapping[str, float]
    levels: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def coefficients(self, aus: Sequence[str]) -> tuple[Array, Array]:
        """Slopes and offsets of the given AUs, (A,) each."""
        return np.array([self.slope[au] for au in aus]), np.array([self.offset[au] for au in aus])

    def of_logits(self, logits: ArrayLike, aus: Sequence[str]) -> Array:
        """Calibrated probabilities of logits, (..., A)."""
        slope, offset = self.coefficients(aus)
        return _sigmoid(np.asarray(logits, np.float64) * slope + offset)

    def level_coefficients(self, aus: Sequence[str]) -> tuple[Array, Array]:
        """Slopes and offsets of the levels of the given AUs, (A, L) each."""
        pairs = np.array([self.levels[au] for au in aus], np.float64)
        return pairs[..., 0], pairs[..., 1]

    def of_levels(self, logits: ArrayLike, aus: Sequence[str]) -> Array:
        """Probabilities of levels from their logits, (..., A, L); the network's own if levels are not calibrated."""
        values = np.asarray(logits, np.float64)
        if not self.levels:
            return _sigmoid(values)
        slope, offset = self.level_coefficients(aus)
        return _sigmoid(values * slope + offset)

    def apply(self, probability: ArrayLike, aus: Sequence[str]) -> Array:
        """Calibrated probabilities from the network's own, (..., A)."""
        return self.of_logits(logit(probability), aus)

    def undo(self, probability: ArrayLike, aus: Sequence[str]) -> Array:
        """The network's own probabilities from calibrated ones, (..., A)."""
        slope, offset = self.coefficients(aus)
        return _sigmoid((logit(probability) - offset) / slope)

    def thresholds(self, thresholds: Mapping[str, float]) -> dict[str, float]:
        """Thresholds for calibrated probabilities that decide as the given ones do for the network's own."""
        return {au: float(self.apply([cut], [au])[0]) for au, cut in thresholds.items()}

    def centring(self, centring: Centring) -> Centring:
        """Constants and thresholds of centred scores that give the same decisions: centring and this map commute."""
        return dataclasses.replace(
            centring,
            thresholds=self.thresholds(centring.thresholds),
            logit={au: self.slope[au] * value + self.offset[au] for au, value in centring.logit.items()},
        )

    @property
    def protocol(self) -> str:
        """Describe the calibration in one line."""
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
        """Read what `to_dict` wrote; the source is not trusted.

        Raises:
            ValueError: it is not valid.
        """
        try:
            slope, offset = ({str(au): float(value) for au, value in raw[name].items()} for name in ("slope", "offset"))
            found = cls(
                method=str(raw["method"]),
                subjects=int(raw["subjects"]),
                chosen=bool(raw["chosen"]),
                slope=slope,
                offset=offset,
                levels={
                    str(au): [[float(value) for value in pair] for pair in pairs]
                    for au, pairs in raw.get("levels", {}).items()
                },
                notes={str(au): str(note) for au, note in raw.get("notes", {}).items()},
            )
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ValueError("a calibration of probabilities without numbers per AU") from error
        pairs = [pair for pairs in found.levels.values() for pair in pairs]
        if found.levels and (not set(aus) <= found.levels.keys() or any(len(pair) != 2 for pair in pairs)):
            raise ValueError("a calibration of levels without a slope and an offset for each")
        for au in {*aus, *map(joined, aus)}:
            if au not in slope or au not in offset:
                raise ValueError(f"no calibration of probabilities for {au}")
        slopes = [*slope.values(), *(pair[0] for pair in pairs)]
        if not all(map(math.isfinite, (*slopes, *offset.values(), *(pair[1] for pair in pairs)))) or min(slopes) <= 0:
            raise ValueError("a calibration of probabilities with values out of range")
        return found


def logit(probability: ArrayLike) -> Array:
    """Logits of probabilities; finite also for 0 and 1."""
    p = np.clip(np.asarray(probability, np.float64), _SMALLEST, _LARGEST)
    found: Array = np.log(p) - np.log1p(-p)
    return found


def _sigmoid(logits: Array) -> Array:
    found: Array = np.exp(-np.logaddexp(0.0, -logits))
    return found
