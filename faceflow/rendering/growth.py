"""Proportions of children, for which the face model has no shapes.

After Farkas 1994, "Anthropometry of the head and face": younger children have relatively larger eyes and craniums, and
shorter, narrower noses, jaws and necks.
"""

from __future__ import annotations

import numpy as np

from faceflow.rendering.arrays import Floats
from faceflow.rendering.face_model import FaceModel
from faceflow.rendering.people import YOUNGEST

_EYES_Y = 3.6  # cm
_NOSE_Z = 9.6  # depth at which the nose starts


def years(age: float) -> int:
    """Age in years."""
    return round(20 + 60 * age)


def with_proportions(face: FaceModel, vertices: Floats, age: float) -> Floats:
    """Vertices (V, 3) of an adult, changed to the proportions of an age; adult ages change nothing."""
    youth = np.float32(min(max(-age / -YOUNGEST, 0.0), 1.0))
    if not youth:
        return vertices
    child = vertices.copy()
    x, y, z = (vertices[:, axis] for axis in range(3))
    below, above = np.minimum(y - _EYES_Y, 0), np.maximum(y - _EYES_Y, 0)
    child[:, 1] = _EYES_Y + below * (1 - 0.20 * youth) + above * (1 + 0.08 * youth)
    jaw = np.clip(-below / 10, 0, 1)
    child[:, 0] = x * (1 - 0.10 * youth * jaw)
    child[:, 2] = np.where(z > _NOSE_Z, _NOSE_Z + (z - _NOSE_Z) * (1 - 0.35 * youth), z)
    for eye in face.eyes:
        centre = child[eye].mean(0)
        near = np.exp(-0.5 * (((child[:, 0] - centre[0]) / 1.6) ** 2 + ((child[:, 1] - centre[1]) / 1.1) ** 2))
        child[:, :2] += (0.14 * youth * near)[:, None].astype(np.float32) * (child[:, :2] - centre[:2])
    return child
