"""Five points of a face from its landmarks."""

from __future__ import annotations

import numpy as np

from faceflow.faces.detector import Array

# Outer and inner corner of each eye, nose tip, mouth corners; the subject's right side first.
_MESH_EYES = ((33, 133), (263, 362))
_MESH_NOSE_AND_MOUTH = (1, 61, 291)


def points_of_mesh(landmarks: Array) -> Array:
    """Five points (5, 2) of MediaPipe's 468 or 478 landmarks (N, 2).

    An eye is the mean of its corners, which are fixed to the skull. Irises follow the gaze and the lids' contour
    follows blinks, so a crop centred on either would move with the Action Units that it should show.
    """
    eyes = [landmarks[list(corners)].mean(axis=0) for corners in _MESH_EYES]
    return np.stack([*eyes, *landmarks[list(_MESH_NOSE_AND_MOUTH)]])
