r"""Calibration to a person: what a face shows at rest is taken from every estimate of it.

Networks read wrinkles and the shape of a brow as action: a person's neutral face gets a score of its own. OpenFace
takes it away by the median face of a video (Baltrušaitis, Mahmoud and Robinson 2015, "Cross-dataset learning and
person-specific normalisation for automatic Action Unit detection"); here the estimates are corrected, not the features.

With b the estimate at rest, of the same person:

    intensity     i_cal = min(max(i - b, 0), 5)
    probability   logit p_cal = logit p - max(0, logit b - logit p_0)

p_0 is the most that a face at rest may have (`neutral_probability`): an AU whose b lies below it stays as it is, as
nothing needs to be taken away, and no estimate ever rises. Thresholds are those of the model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import FACS_MAX
from faceflow.inference.pipeline import Estimates, FacePrediction, FramePrediction

SUFFIX = "_cal"

_SMALLEST = 1e-7  # of a probability at rest: keeps its logit finite


def calibrate(estimates: Estimates, neutral: Estimates, *, neutral_probability: float) -> Estimates:
    """Take the estimates of a neutral face from others of the same person."""
    excess = np.maximum(_logit(neutral.probability) - _logit(np.float32(neutral_probability)), 0)
    raw = estimates.probability.astype(np.float64)
    probability = np.where(excess > 0, raw / (raw + (1 - raw) * np.exp(excess)), raw)
    intensity = None
    if estimates.intensity is not None and neutral.intensity is not None:
        intensity = np.clip(estimates.intensity - neutral.intensity, 0, FACS_MAX).astype(np.float32)
    return Estimates(probability=probability.astype(np.float32), intensity=intensity)


def calibrated_to(
    frames: Iterator[FramePrediction], neutral: Estimates, *, neutral_probability: float
) -> Iterator[FramePrediction]:
    """Add estimates calibrated to one neutral face."""
    for frame in frames:
        yield _added(frame, dict.fromkeys((face.face.number for face in frame.faces), neutral), neutral_probability)


def calibrated_to_median(
    frames: Iterator[FramePrediction], *, seconds: float, neutral_probability: float
) -> Iterator[FramePrediction]:
    """Add estimates calibrated to the median of each face over the seconds from its first frame on.

    The median is the face at rest where an AU is at rest in more than half of these frames: a person who smiles through
    most of a video needs a neutral picture. A frame is held until the median of each of its faces is known, with
    infinite `seconds` until the end.
    """
    started: dict[int | None, float] = {}
    found: dict[int | None, list[Estimates]] = {}
    neutral: dict[int | None, Estimates] = {}
    held: deque[FramePrediction] = deque()
    now = 0.0
    for frame in frames:
        now = now if frame.time_s is None else frame.time_s
        for face in _scored(frame):
            if now - started.setdefault(face.face.number, now) < seconds:
                found.setdefault(face.face.number, []).append(face.estimates[""])
        for number in [number for number in found if now - started[number] >= seconds]:
            neutral[number] = median(found.pop(number))
        held.append(frame)
        while held and all(face.face.number in neutral for face in _scored(held[0])):
            yield _added(held.popleft(), neutral, neutral_probability)
    neutral |= {number: median(estimates) for number, estimates in found.items()}
    for frame in held:
        yield _added(frame, neutral, neutral_probability)


def median(estimates: Sequence[Estimates]) -> Estimates:
    """Median of every AU."""
    intensities = [item.intensity for item in estimates if item.intensity is not None]
    return Estimates(
        probability=np.median([item.probability for item in estimates], axis=0).astype(np.float32),
        intensity=np.median(intensities, axis=0).astype(np.float32) if intensities else None,
    )


def _scored(frame: FramePrediction) -> list[FacePrediction]:
    return [face for face in frame.faces if "" in face.estimates]


def _added(
    frame: FramePrediction, neutral: Mapping[int | None, Estimates], neutral_probability: float
) -> FramePrediction:
    faces = [
        face.with_estimates(
            SUFFIX,
            calibrate(face.estimates[""], neutral[face.face.number], neutral_probability=neutral_probability),
        )
        if "" in face.estimates
        else face
        for face in frame.faces
    ]
    return replace(frame, faces=faces)


def _logit(probability: NDArray[np.float32] | np.float32) -> NDArray[np.float64]:
    clipped = np.clip(np.asarray(probability, np.float64), _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), np.float64)
