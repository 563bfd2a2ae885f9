"""Five points of a face from the landmark layouts in use."""

from __future__ import annotations

import numpy as np

from faceflow.faces.detector import Array

# Outer and inner corner of each eye, nose tip, mouth corners; the subject's right side first.
_MESH_EYES = ((33, 133), (263, 362))
_MESH_NOSE_AND_MOUTH = (1, 61, 291)
# The 68 points of 300-W without jaw and inner mouth corners: brows 0-9, nose 10-18, eyes 19-30, mouth 31-48.
_CONTOUR_EYES = (slice(19, 25), slice(25, 31))
_CONTOUR_NOSE_AND_MOUTH = (13, 31, 37)


def points_of_mesh(landmarks: Array) -> Array:
    """Five points (5, 2) of MediaPipe's 468 or 478 landmarks (N, 2).

    An eye is the mean of its corners: they are fixed to the skull, while irises follow the gaze and the lids' contour
    follows blinks, so that a crop centred on either would move with the Action Units that it is to show.
    """
    eyes = [landmarks[list(corners)].mean(axis=0) for corners in _MESH_EYES]
    return np.stack([*eyes, *landmarks[list(_MESH_NOSE_AND_MOUTH)]])


def points_of_49(landmarks: Array) -> Array:
    """Five points (5, 2) of 49 landmarks (49, 2) such as BP4D's, as JAA-Net takes them.

    An eye is the mean of its six contour points. MATLAB counts pixels from 1: subtract 1 from landmarks made with it.
    """
    eyes = [landmarks[contour].mean(axis=0) for contour in _CONTOUR_EYES]
    return np.stack([*eyes, *landmarks[list(_CONTOUR_NOSE_AND_MOUTH)]])
