"""AU scores in label units <-> ordinal levels. Numpy only: data, metrics and inference share it.

Level l of an AU answers "is the score at least cutpoint l?", so L levels make an ordinal code:
with cutpoints 1..5 a score of 3 becomes (1, 1, 1, 0, 0).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import ConfigError

Array = NDArray[np.float64]

FACS_MAX = 5.0  # FACS grades intensity A..E, coded 1..5
OCCURRENCE_MIN = 2.0  # lowest FACS intensity that most papers count as occurrence

# 0.6 computed in float32 by another tool may read 0.59999996, and 3 / 5 may differ in the last bit: all mean the same
# score, and no coder grades finer than this.
TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class LabelScale:
    """Units of an AU's labels: 0..`score_max`, occurrence from `occurrence_min` on."""

    score_max: float
    occurrence_min: float

    @property
    def binary(self) -> bool:
        """Labels say only whether an AU occurs."""
        return self.score_max == self.occurrence_min

    @property
    def facs_rule(self) -> float:
        """The occurrence rule in FACS units."""
        return self.occurrence_min * FACS_MAX / self.score_max

    def __str__(self) -> str:
        """Describe it as result tables do."""
        if self.binary:
            return "0/1 labels"
        return f"occurrence = intensity >= {self.occurrence_min:g} on a 0-{self.score_max:g} scale"


Scales = LabelScale | Sequence[LabelScale]  # one for all AUs, or one for each


def cutpoints(
    levels: int, names: Sequence[float] | None = None, occurrence_min: float = OCCURRENCE_MIN
) -> tuple[float, ...]:
    """Scores in FACS units (0-5) at which each level switches on; one level means occurrence and has none.

    By default two levels are cut at 2, 4; three at 2, 3, 4; four at 1, 2, 3, 4; five at 1..5, the only lossless code of
    FACS intensities; more at equal steps up to 5. Except with five levels, the cut nearest to the occurrence rule is
    moved onto it, so that one level is occurrence.

    Args:
        levels: ordinal levels L per AU.
        names: cutpoints chosen by the user, or None for the default.
        occurrence_min: occurrence rule in FACS units.

    Raises:
        ConfigError: `levels` below 1, or cutpoints that are not L rising numbers in (0, 5], or given for one level.
    """
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
        raise ConfigError(f"levels: expected a whole number >= 1, got {levels!r}; 1 = occurrence, 5 = intensity")
    if isinstance(names, int | float):
        raise ConfigError(f"cutpoints: expected a list such as [1,3,5], got {names!r}")
    if levels == 1:
        if names:
            raise ConfigError(f"cutpoints: expected null with levels=1, got {list(names)}; one level means occurrence")
        return ()
    if names is None:
        return _default_cutpoints(levels, occurrence_min)
    numbers = len(names) == levels and all(isinstance(point, int | float) for point in names)
    if not numbers or not all(a < b for a, b in itertools.pairwise([0, *names, FACS_MAX + TOLERANCE])):
        raise ConfigError(
            f"cutpoints: expected {levels} rising numbers in (0, 5], got {list(names)}; "
            "they are FACS intensities, one per level"
        )
    return tuple(float(point) for point in names)


def encode(scores: Array, scale: Scales, points: Sequence[float]) -> NDArray[np.float32]:
    """Ordinal code of scores.

    Args:
        scores: label units of `scale`, any shape S; NaN = missing.
        scale: units of the scores; if one per AU, the last axis of S is AUs.
        points: FACS cutpoints from `cutpoints()`; empty = occurrence.

    Returns:
        (*S, L) of 0 and 1; 0 where the score is missing (the mask says so, never a NaN).
    """
    score_max, occurrence_min = _units(scale)
    levels = np.multiply.outer(score_max / FACS_MAX, points) if points else occurrence_min[..., None]
    reached = np.asarray(scores, np.float64)[..., None] >= levels - TOLERANCE
    return reached.astype(np.float32)


def occurs(scores: Array, scale: Scales) -> NDArray[np.bool_]:
    """Whether each score counts as occurrence; False where missing. Arguments as for `encode`."""
    return np.asarray(scores, np.float64) >= _units(scale)[1] - TOLERANCE


def to_facs(scores: Array, scale: Scales) -> Array:
    """Scores in FACS units 0-5. Arguments as for `encode`."""
    return np.asarray(scores, np.float64) * (FACS_MAX / _units(scale)[0])


def rank_consistent(probabilities: Array) -> Array:
    """Make P(score >= level) non-increasing in the level: running minimum over levels, (..., L)."""
    return np.minimum.accumulate(np.asarray(probabilities, np.float64), axis=-1)


def occurrence_probability(probabilities: Array, points: Sequence[float], occurrence_min: float) -> Array:
    """Probability that an AU occurs: that of the level which `occurrence_level` names.

    Args:
        probabilities: P(score >= cutpoint), (..., L).
        points: FACS cutpoints; empty = the single level is occurrence itself.
        occurrence_min: occurrence rule in FACS units (0-5).

    Returns:
        (...,)
    """
    return rank_consistent(probabilities)[..., occurrence_level(points, occurrence_min)]


def occurrence_level(points: Sequence[float], occurrence_min: float) -> int:
    """Level that stands for occurrence; arguments as for `occurrence_probability`.

    The level cut at the rule; else the nearest one that divides whole intensities in the same way, as every cut in
    (1, 2] does for the rule >= 2; else the nearest one, and the upper one of two equally near.
    """
    if not points:
        return 0
    cuts = np.asarray(points, np.float64)
    distance = np.abs(cuts - occurrence_min)
    alike = np.ceil(cuts - TOLERANCE) == np.ceil(occurrence_min - TOLERANCE)
    if alike.any():
        distance = np.where(alike, distance, np.inf)
    return int(np.flatnonzero(distance <= distance.min() + TOLERANCE)[-1])


def expected_intensity(probabilities: Array, points: Sequence[float]) -> Array:
    """Expected FACS intensity, (..., L) -> (...,): sum over levels of (c_l - c_{l-1}) P(score >= c_l), c_0 = 0."""
    steps = np.diff(np.asarray(points, np.float64), prepend=0.0)
    return np.asarray(rank_consistent(probabilities) @ steps)


def _default_cutpoints(levels: int, occurrence_min: float) -> tuple[float, ...]:
    if levels > FACS_MAX:
        cuts = [FACS_MAX * level / levels for level in range(1, levels + 1)]
    else:
        # Bins of equal width, from the next whole intensity on. The highest cut is below 5, which is so rare that a
        # level of its own would have almost no positives; only five levels have one for it.
        cuts = [float(math.ceil(FACS_MAX * level / (levels + 1))) for level in range(1, levels + 1)]
    nearest = min(range(levels), key=lambda level: abs(cuts[level] - occurrence_min))
    if levels != FACS_MAX and abs(cuts[nearest] - occurrence_min) > TOLERANCE:
        cuts[nearest] = float(occurrence_min)
    return tuple(cuts)


def _units(scale: Scales) -> tuple[Array, Array]:
    """`score_max` and `occurrence_min`, () each for one scale, (A,) for one per AU."""
    if isinstance(scale, LabelScale):
        return np.asarray(scale.score_max, np.float64), np.asarray(scale.occurrence_min, np.float64)
    highest = [one.score_max for one in scale]
    return np.array(highest, np.float64), np.array([one.occurrence_min for one in scale], np.float64)
