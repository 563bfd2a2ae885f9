"""Uncertain decisions: a band of probabilities and an interval of intensity per AU, fitted on validation.

With coverage c, probabilities in [low, high] are unsure. Of the faces where the AU occurs, a share c has p >= low; of
the others, a share c has p <= high: label-conditional split conformal prediction (Vovk 2012; Sadinle et al. 2019),
whose level is chosen by leaving out each subject in turn, see `metrics.conformal`. Numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from faceflow.encoding import FACS_MAX, Array

COVERAGE = "conformal_coverage"  # the config key, and what tables call it


@dataclass(frozen=True, kw_only=True)
class Conformal:
    """Bands by AU, including joined sides.

    `low` and `high` bound the unsure probabilities; 0 and 1 leave no probability below or above. `radius` is half the
    width of the interval of intensity, in FACS units, for models with levels. A missing AU has no guaranteed coverage,
    and `notes` give the reason. `subjects` counts the validation subjects.
    """

    coverage: float
    subjects: int
    low: Mapping[str, float]
    high: Mapping[str, float]
    radius: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def unsure(self, probability: ArrayLike, threshold: float, au: str) -> Array:
        """1 where the band does not confirm the decision at a threshold, else 0; NaN for an AU without a band."""
        p = np.asarray(probability, np.float64)
        if au not in self.low:
            return np.full_like(p, np.nan)
        unsure = np.where(p >= threshold, p <= self.high[au], p >= self.low[au])
        return np.where(np.isfinite(p), unsure, np.nan)

    def interval(self, intensity: ArrayLike, au: str) -> tuple[Array, Array]:
        """Ends of the interval around intensities, in FACS units 0-5; NaN for an AU without an interval."""
        center, radius = np.asarray(intensity, np.float64), self.radius.get(au, math.nan)
        return np.maximum(center - radius, 0.0), np.minimum(center + radius, FACS_MAX)

    @property
    def protocol(self) -> str:
        """Describe the coverage in one line."""
        said = f"{100 * self.coverage:g} % of active and of inactive faces, on {self.subjects} validation subjects"
        reasons: dict[str, list[str]] = {}
        for au, reason in self.notes.items():
            reasons.setdefault(reason, []).append(au)
        return "; ".join([said, *(f"no promise ({why}): {', '.join(aus)}" for why, aus in reasons.items())])

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for files."""
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, raw: Any) -> Self:
        """Read what `to_dict` wrote; the source is not trusted.

        Raises:
            ValueError: it is not valid.
        """
        try:
            low, high, radius = (
                {str(au): float(value) for au, value in raw.get(name, {}).items()} for name in ("low", "high", "radius")
            )
            found = cls(
                coverage=float(raw["coverage"]),
                subjects=int(raw["subjects"]),
                low=low,
                high=high,
                radius=radius,
                notes={str(au): str(note) for au, note in raw.get("notes", {}).items()},
            )
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ValueError("a conformal band without numbers per AU") from error
        inside = all(0 <= cut <= 1 for cut in (*low.values(), *high.values()))
        if not 0 < found.coverage < 1 or low.keys() != high.keys() or not inside:
            raise ValueError("a conformal band with values out of range")
        if not all(0 <= each <= FACS_MAX for each in radius.values()):
            raise ValueError("a conformal interval with values out of range")
        return found
