"""Head pose from landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Landmark, weight, and x, y, z in cm of MediaPipe's canonical face, y upwards and z towards the camera: the landmarks
# that MediaPipe itself uses to fit the face (Apache-2.0), as expressions hardly move them.
_FACE = """
    4 0.0709 0.000 -0.463 7.587, 6 0.0321 0.000 2.473 5.789, 10 0.0084 0.000 8.262 4.482, 33 0.0587 -4.446 2.664
    3.173, 54 0.0077 -6.279 6.615 1.426, 67 0.0091 -3.524 8.006 3.729, 117 0.0098 -5.259 0.946 2.974, 119 0.0146
    -3.301 0.862 3.873, 121 0.0186 -1.821 1.468 4.224, 127 0.0052 -7.743 2.365 -2.005, 129 0.1206 -1.786 -0.978 4.850,
    132 0.0056 -7.271 -2.891 -2.252, 133 0.0533 -1.856 2.585 3.758, 136 0.0669 -5.085 -7.179 0.715, 143 0.0148 -6.408
    2.236 1.561, 147 0.0143 -6.235 -1.944 1.664, 198 0.0255 -1.247 0.230 5.681, 205 0.0473 -3.833 -1.537 4.138, 263
    0.0587 4.446 2.664 3.173, 284 0.0077 6.279 6.615 1.426, 297 0.0091 3.524 8.006 3.729, 346 0.0098 5.259 0.946
    2.974, 348 0.0146 3.301 0.862 3.873, 350 0.0186 1.821 1.468 4.224, 356 0.0052 7.743 2.365 -2.005, 358 0.1206 1.786
    -0.978 4.850, 361 0.0056 7.271 -2.891 -2.252, 362 0.0533 1.856 2.585 3.758, 365 0.0669 5.085 -7.179 0.715, 372
    0.0148 6.408 2.236 1.561, 376 0.0143 6.235 -1.944 1.664, 420 0.0255 1.247 0.230 5.681, 425 0.0473 3.833 -1.537
    4.138
"""
_ROWS = np.array([entry.split() for entry in _FACE.split(",")], np.float64)
_POINTS, _WEIGHTS = _ROWS[:, 0].astype(np.intp), _ROWS[:, 1:2] / _ROWS[:, 1].sum()
_CANONICAL = _ROWS[:, 2:] - (_WEIGHTS * _ROWS[:, 2:]).sum(axis=0)
_DEPTH = 0.7  # factor on MediaPipe's depth, which makes yaw and pitch of rendered heads unbiased in scale


def head_pose(landmarks: Array) -> Array:
    """Yaw to the subject's left, pitch downwards and roll to the right shoulder, in degrees, as in faceflow-render.

    The rotation that fits MediaPipe's canonical face to the landmarks (Kabsch 1976), without perspective: a face has
    the same pose anywhere in an image, in a close-up or not. MediaPipe's own matrix assumes a camera with a field of
    view of 63 degrees for every image. On videos of faceflow-render (929 frames of 10 subjects,
    video=events, video.motion=25) yaw, pitch and roll are off by 1.4, 2.2 and 0.6 degrees, median, and 4.0, 6.1 and 3.7
    at the 95th percentile; those of the matrix by 1.5, 2.2 and 0.7, and 5.3, 9.5 and 6.1.

    Args:
        landmarks: (N, 3) of MediaPipe, in pixels, y downwards and z away from the camera.
    """
    points = landmarks[_POINTS] * [1, -1, -_DEPTH]
    covariance = (_WEIGHTS * _CANONICAL).T @ points  # the canonical face has its centre at 0
    left, _, right = np.linalg.svd(covariance)
    proper = [1, 1, np.sign(np.linalg.det(left @ right))]  # no mirror image
    return angles(right.T * proper @ left.T)


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Matrix (3, 3) of a turned head; angles in degrees, x to the right of the image, y upwards, z to the camera."""
    (cy, cp, cr), (sy, sp, sr) = (function(np.radians([yaw, pitch, roll])) for function in (np.cos, np.sin))
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return np.asarray(about_z @ about_y @ about_x, np.float64)


def angles(turned: Array) -> Array:
    """Yaw, pitch and roll of a matrix, in degrees: the inverse of `rotation`."""
    yaw = np.arcsin(np.clip(-turned[2, 0], -1, 1))
    pitch, roll = np.arctan2(turned[2, 1], turned[2, 2]), np.arctan2(turned[1, 0], turned[0, 0])
    return np.degrees([yaw, pitch, roll])
