r"""Calibration to a subject: subtracts the estimates of the face at rest from all estimates of this face.

Networks mistake wrinkles and the shape of a brow for action, so the neutral face of a subject gets scores above 0.
OpenFace subtracts the median face of a video (Baltrušaitis, Mahmoud and Robinson 2015, "Cross-dataset learning and
person-specific normalisation for automatic Action Unit detection"); here the estimates are corrected, not the features.

If the model has the constants and thresholds of centred scores, the median face is subtracted as described in
`faceflow.centring`. Otherwise, and if the face at rest comes from an image or from the first seconds, with b the
estimate at rest of the same subject:

    intensity     i_cal = min(max(i - b, 0), 5)
    probability   logit p_cal = logit p - max(0, logit b - logit p_0)

p_0 is the highest probability that is accepted at rest (`neutral_probability`): an AU whose b is below it is not
corrected, and no estimate ever rises. Thresholds are then those of the model.

The median is the face at rest if an AU is at rest in more than half of the frames: a subject who smiles through most of
a video needs a neutral image.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from faceflow.centring import LEAST_FRAMES, Rest, centred, rest_of
from faceflow.encoding import FACS_MAX
from faceflow.inference.pipeline import Estimates, FacePrediction, FramePrediction

SUFFIX = "_cal"
RUNNING_FRAMES = 64  # of a face, before its running median is used as the face at rest

_SMALLEST = 1e-7  # of a probability at rest: keeps its logit finite
_KEPT = 1024  # frames; with more, the running median uses an evenly spaced part of them, at least half as many
_FACES = 100  # faces whose running medians are kept: those seen last

Correct = Callable[[Estimates], Estimates]  # a face's estimates, without what it shows at rest
Calibration = Callable[[Estimates], Correct]  # what a face showed in N frames, (N, A), to how it is corrected


def calibration(*, usual: Rest | None, neutral_probability: float) -> Calibration:
    """How estimates are corrected: centred on `usual`, the constants of a model, or if None by the excess at rest."""
    if usual is not None:
        return partial(_centring, usual=usual)
    return lambda shown: partial(calibrate, neutral=median(shown), neutral_probability=neutral_probability)


def calibrate(estimates: Estimates, neutral: Estimates, *, neutral_probability: float) -> Estimates:
    """Subtract the estimates of a neutral face from others of the same subject."""
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
    correct = partial(calibrate, neutral=neutral, neutral_probability=neutral_probability)
    for frame in frames:
        yield _added(frame, dict.fromkeys((face.face.number for face in frame.faces), correct))


def calibrated_to_median(
    frames: Iterator[FramePrediction], *, seconds: float, calibration: Calibration
) -> Iterator[FramePrediction]:
    """Add estimates calibrated to the median of each face over the `seconds` from its first frame.

    A frame is held until the median of each of its faces is known; with infinite `seconds`, until the end.
    """
    started: dict[int | None, float] = {}
    found: dict[int | None, list[Estimates]] = {}
    known: dict[int | None, Correct] = {}
    held: deque[FramePrediction] = deque()
    now = 0.0
    for frame in frames:
        now = now if frame.time_s is None else frame.time_s
        for face in _scored(frame):
            if now - started.setdefault(face.face.number, now) < seconds:
                found.setdefault(face.face.number, []).append(face.estimates[""])
        for number in [number for number in found if now - started[number] >= seconds]:
            known[number] = calibration(stacked(found.pop(number)))
        held.append(frame)
        while held and all(face.face.number in known for face in _scored(held[0])):
            yield _added(held.popleft(), known)
    known |= {number: calibration(stacked(estimates)) for number, estimates in found.items()}
    for frame in held:
        yield _added(frame, known)


def calibrated_to_running_median(
    frames: Iterator[FramePrediction], *, calibration: Calibration
) -> Iterator[FramePrediction]:
    """Add estimates calibrated to the median of each face so far, from its `RUNNING_FRAMES`th frame on.

    No frame is held, and no later frame is used. Before that frame, a face has no calibrated estimates.
    """
    faces: dict[int | None, _Shown] = {}  # the one seen last is at the end
    for frame in frames:
        known = {}
        for face in _scored(frame):
            number, estimates = face.face.number, face.estimates[""]
            faces[number] = shown = faces.pop(number, None) or _Shown(estimates)
            shown.add(estimates)
            if shown.count >= RUNNING_FRAMES:
                known[number] = calibration(shown.estimates)
        while len(faces) > _FACES:
            del faces[next(iter(faces))]
        yield _added(frame, known)


def median(shown: Estimates) -> Estimates:
    """Median of every AU over frames (N, A)."""
    intensity = None if shown.intensity is None else np.median(shown.intensity, axis=0).astype(np.float32)
    return Estimates(probability=np.median(shown.probability, axis=0).astype(np.float32), intensity=intensity)


def stacked(estimates: Sequence[Estimates]) -> Estimates:
    """Estimates of several frames stacked, (N, A)."""
    intensities = [item.intensity for item in estimates if item.intensity is not None]
    return Estimates(
        probability=np.stack([item.probability for item in estimates]),
        intensity=np.stack(intensities) if intensities else None,
    )


class _Shown:
    """Estimates of a face so far, in bounded memory: beyond `_KEPT` frames every second one, every fourth, ..."""

    def __init__(self, first: Estimates) -> None:
        self.count = 0
        self._kept, self._step = 0, 1
        self._rows = [  # probabilities, and intensities if there are any
            np.empty((_KEPT, len(values)), np.float32)
            for values in (first.probability, first.intensity)
            if values is not None
        ]

    def add(self, estimates: Estimates) -> None:
        if self.count % self._step == 0:
            for rows, values in zip(self._rows, (estimates.probability, estimates.intensity), strict=False):
                rows[self._kept] = values
            self._kept += 1
        self.count += 1
        if self._kept == _KEPT:
            for rows in self._rows:
                rows[: _KEPT // 2] = rows[::2].copy()
            self._kept, self._step = _KEPT // 2, 2 * self._step

    @property
    def estimates(self) -> Estimates:
        probability, *intensity = (rows[: self._kept] for rows in self._rows)
        return Estimates(probability=probability, intensity=intensity[0] if intensity else None)


def _centring(shown: Estimates, usual: Rest) -> Correct:
    if len(shown.probability) < LEAST_FRAMES:
        return lambda estimates: estimates
    rest = rest_of(shown)

    def correct(estimates: Estimates) -> Estimates:
        found = centred(estimates, rest, usual)
        intensity = None if found.intensity is None else found.intensity.astype(np.float32)
        return Estimates(probability=found.probability.astype(np.float32), intensity=intensity)

    return correct


def _scored(frame: FramePrediction) -> list[FacePrediction]:
    return [face for face in frame.faces if "" in face.estimates]


def _added(frame: FramePrediction, known: Mapping[int | None, Correct]) -> FramePrediction:
    """Add calibrated estimates for faces whose rest is known."""
    faces = [
        face.with_estimates(SUFFIX, known[face.face.number](face.estimates[""]))
        if "" in face.estimates and face.face.number in known
        else face
        for face in frame.faces
    ]
    return replace(frame, faces=faces)


def _logit(probability: NDArray[np.float32] | np.float32) -> NDArray[np.float64]:
    clipped = np.clip(np.asarray(probability, np.float64), _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), np.float64)
