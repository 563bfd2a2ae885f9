"""Smooths estimates over the frames of a video, without lag, in addition to the raw ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from faceflow.inference.pipeline import Estimates, FacePrediction, FramePrediction

SUFFIX = "_smooth"


def smoothed(frames: Iterator[FramePrediction], *, radius: int) -> Iterator[FramePrediction]:
    """Add to every estimate its mean over the same face in up to `radius` frames on either side.

    Nearer frames count more: weight 1 - |distance| / (radius + 1). Frames without the face are left out, and get no
    smoothed estimate. Output lags by `radius` frames.

    Args:
        frames: frames of one source, in order.
        radius: frames on either side, >= 1.
    """
    window: deque[FramePrediction] = deque(maxlen=2 * radius + 1)
    waiting = 0
    for frame in frames:
        window.append(frame)
        waiting += 1
        if waiting > radius:
            yield _centered(window, len(window) - 1 - radius, radius)
            waiting -= 1
    for center in range(len(window) - waiting, len(window)):
        yield _centered(window, center, radius)


def _centered(window: Sequence[FramePrediction], center: int, radius: int) -> FramePrediction:
    near = [
        (1 - abs(index - center) / (radius + 1), face)
        for index, frame in enumerate(window)
        if abs(index - center) <= radius
        for face in frame.faces
        if face.estimates
    ]
    return replace(window[center], faces=[_smooth(face, near) for face in window[center].faces])


def _smooth(face: FacePrediction, near: Sequence[tuple[float, FacePrediction]]) -> FacePrediction:
    same = [(weight, other) for weight, other in near if other.face.number == face.face.number]
    result = face
    for suffix in face.estimates:
        known = [(weight, other.estimates[suffix]) for weight, other in same if suffix in other.estimates]
        weights, estimates = np.array([weight for weight, _ in known]), [found for _, found in known]
        intensities = [item.intensity for item in estimates if item.intensity is not None]
        mean = Estimates(
            probability=_mean([item.probability for item in estimates], weights),
            intensity=_mean(intensities, weights) if intensities else None,
        )
        result = result.with_estimates(suffix + SUFFIX, mean)
    return result


def _mean(values: Sequence[NDArray[np.float32]], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.average(values, axis=0, weights=weights).astype(np.float32)
