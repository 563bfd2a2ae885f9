"""Hand-made predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from faceflow.faces.detector import Detection
from faceflow.faces.selection import NO_FACE, Face
from faceflow.inference.face_crops import Picture
from faceflow.inference.pipeline import Estimates, FacePrediction, FramePrediction


def estimates(probability: Sequence[float], intensity: Sequence[float] | None = None) -> Estimates:
    return Estimates(
        probability=np.array(probability, np.float32),
        intensity=None if intensity is None else np.array(intensity, np.float32),
    )


def face(
    probability: Sequence[float] | None,
    intensity: Sequence[float] | None = None,
    *,
    number: int = 0,
    status: Any = "ok",
    box: tuple[float, float, float, float] = (10, 20, 40, 60),
    score: float = 0.75,
) -> FacePrediction:
    """A found face; without probabilities, it cannot be scored."""
    found = Detection(box=np.array(box, np.float64), points=np.full((5, 2), np.nan), score=score)
    scored = {} if probability is None else {"": estimates(probability, intensity)}
    return FacePrediction(face=Face(number=number, status=status, detection=found), estimates=scored)


NOBODY = FacePrediction(face=NO_FACE, estimates={})
BROKEN = FacePrediction(face=Face(number=None, status="decode_error", detection=None), estimates={})


def frame(
    number: int,
    *faces: FacePrediction,
    time_s: float | None = None,
    picture: Picture | None = None,
    file: str = "a.mp4",
) -> FramePrediction:
    return FramePrediction(file=file, number=number, time_s=time_s, picture=picture, faces=faces or [NOBODY])
