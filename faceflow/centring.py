r"""Centring: a subject's scores relative to the subject's own median, as each person's baseline. Numpy only.

The scores that a network gives to a neutral face differ between subjects. With z = logit p the score of an AU on a
frame, i its intensity, and medians over all frames of the subject,

    probability   z' = z - median z + m,   p' = sigmoid z'
    intensity     i' = min(max(i - median i + c, 0), 5)

m and c are constants of the AU: the means of these medians over validation subjects. They keep centred scores on the
scale of probabilities and intensities, so that one threshold fits all subjects, and change no ranking. Labels are not
used. The decoded values are centred: an exported model does not give levels, and a test and `faceflow-infer` must
agree on the same frames.

The median shows the face at rest if the AU is at rest in more than half of the frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceflow.encoding import FACS_MAX, Array

LEAST_FRAMES = 8  # of a subject; with fewer, its scores are not centred

_LARGEST = 10.0  # logit: up to here, logits are accurate to 0.01 in single precision, also in ONNX Runtime


class Rest(NamedTuple):
    """Scores at rest: logits of probabilities (A,), and intensities (A,) if the network gives them."""

    logit: Array
    intensity: Array | None


class Decoded(Protocol):
    """Probabilities and, for networks with levels, intensities: of N frames (N, A), or of one (A,)."""

    @property
    def probability(self) -> NDArray[Any]: ...  # noqa: D102
    @property
    def intensity(self) -> NDArray[Any] | None: ...  # noqa: D102


class Centred(NamedTuple):
    """Centred scores; a `Decoded` again."""

    probability: Array
    intensity: Array | None


@dataclass(frozen=True, kw_only=True)
class Centring:
    """Constants and thresholds of centred scores, by AU.

    `thresholds` are tuned on the centred scores of validation, including joined sides; `logit` and `intensity` are the
    constants m and c, the latter empty if the network gives no intensities.
    """

    thresholds: Mapping[str, float]
    logit: Mapping[str, float]
    intensity: Mapping[str, float]

    def usual(self, aus: Sequence[str]) -> Rest:
        """The constants of some AUs, in their order."""
        intensity = np.array([self.intensity[au] for au in aus]) if self.intensity else None
        return Rest(np.array([self.logit[au] for au in aus]), intensity)

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Plain containers, for files."""
        return {name: dict(values) for name, values in vars(self).items()}

    @classmethod
    def from_dict(cls, raw: Any, *, aus: Sequence[str], graded: bool) -> Self:
        """Read what `to_dict` wrote; the source is not trusted.

        Args:
            raw: content of a file.
            aus: of the network.
            graded: whether it gives intensities.

        Raises:
            ValueError: it is not valid.
        """
        try:
            found = {
                name: {str(au): float(value) for au, value in raw[name].items()}
                for name in ("thresholds", "logit", "intensity")
            }
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ValueError("thresholds and constants of centred scores that are not numbers per AU") from error
        for au in aus:
            if au not in found["logit"] or (graded and au not in found["intensity"]):
                raise ValueError(f"no constants of centred scores for {au}")
        numbers = [*found["logit"].values(), *found["intensity"].values()]
        if not all(map(math.isfinite, numbers)) or not all(0 <= cut <= 1 for cut in found["thresholds"].values()):
            raise ValueError("thresholds or constants of centred scores that are out of range")
        return cls(**found)


def rest_of(scores: Decoded) -> Rest:
    """The medians over frames."""
    intensity = None if scores.intensity is None else np.median(scores.intensity, axis=0)
    return Rest(np.median(_logit(scores.probability), axis=0), intensity)


def centred(scores: Decoded, rest: Rest, usual: Rest) -> Centred:
    """Centre scores of one subject.

    Args:
        scores: of any of its frames.
        rest: its medians.
        usual: constants of the AUs.
    """
    shifted = _logit(scores.probability) - rest.logit + usual.logit
    intensity = None
    if scores.intensity is not None and rest.intensity is not None and usual.intensity is not None:
        intensity = np.clip(scores.intensity - rest.intensity + usual.intensity, 0, FACS_MAX)
    return Centred(1 / (1 + np.exp(-shifted)), intensity)


def centred_by_subject(scores: Decoded, subjects: ArrayLike, usual: Rest) -> Centred:
    """Centre each subject (N,) by its own medians; subjects with too few frames are not changed."""
    probability = np.array(scores.probability, np.float64)
    intensity = None if scores.intensity is None else np.array(scores.intensity, np.float64)
    for rows in _enough(subjects):
        own = _rows(scores, rows)
        found = centred(own, rest_of(own), usual)
        probability[rows] = found.probability
        if intensity is not None and found.intensity is not None:
            intensity[rows] = found.intensity
    return Centred(probability, intensity)


def usual_rest(scores: Decoded, subjects: ArrayLike) -> Rest | None:
    """Mean of the medians of all subjects (N,); None if no subject has enough frames."""
    rests = [rest_of(_rows(scores, rows)) for rows in _enough(subjects)]
    if not rests:
        return None
    intensities = [rest.intensity for rest in rests if rest.intensity is not None]
    logit = np.mean([rest.logit for rest in rests], axis=0)
    return Rest(logit, np.mean(intensities, axis=0) if intensities else None)


def _enough(subjects: ArrayLike) -> Iterator[NDArray[np.intp]]:
    """Rows of each subject that has enough of them."""
    _, who, counts = np.unique(np.asarray(subjects), return_inverse=True, return_counts=True)
    for rows in np.split(np.argsort(who, kind="stable"), np.cumsum(counts)[:-1]):
        if len(rows) >= LEAST_FRAMES:
            yield rows


def _rows(scores: Decoded, rows: NDArray[np.intp]) -> Centred:
    return Centred(scores.probability[rows], None if scores.intensity is None else scores.intensity[rows])


def _logit(probability: ArrayLike) -> Array:
    p = np.asarray(probability, np.float64)
    with np.errstate(divide="ignore"):  # of 0 and 1, which are bounded
        found: Array = np.clip(np.log(p) - np.log1p(-p), -_LARGEST, _LARGEST)
    return found
