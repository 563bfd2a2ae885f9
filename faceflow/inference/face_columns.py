"""Columns with further results of the detector: head pose, gaze, blendshapes and landmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from faceflow.faces.detector import Detection
from faceflow.faces.features import BLENDSHAPES, LANDMARKS, FaceFeatures
from faceflow.faces.gaze import gaze
from faceflow.faces.head_pose import rotation
from faceflow.inference.cells import Column, of_detection

GROUPS = ("pose", "gaze", "blendshapes", "landmarks")

_ANGLE, _RADIANS, _SHARE, _PIXEL = 2, 4, 4, 2  # decimals
_OTHER_AXES = np.diag([1.0, -1.0, -1.0])  # x to the right: ours have y upwards and z towards the camera, OpenFace's not

Array = NDArray[np.float64]
Values = Callable[[FaceFeatures], Sequence[float] | Array]


def face_columns(group: str, *, alias: str) -> list[Column]:
    """Columns of a group, one of `GROUPS`; cells are empty if there is no face, or no features of it.

    pose_yaw (positive: to the subject's left), pose_pitch (downwards) and pose_roll (to the right shoulder), gaze_yaw
    and gaze_pitch (relative to the head, both eyes together) are in degrees, as in the labels of faceflow-render. With
    alias openface they are pose_Rx, pose_Ry and pose_Rz in radians, where x is to the right of the image, y downwards
    and z away from the camera and R = Rx Ry Rz, and gaze_angle_x and gaze_angle_y, relative to the camera. Blendshapes
    have MediaPipe's names; landmark0_x ... landmark477_z are pixels. Numbers are rounded: angles to 0.01 degrees or
    0.0001 radians, blendshapes to 0.0001, landmarks to 0.01 pixels.
    """
    if group == "blendshapes":
        return _columns(BLENDSHAPES, lambda found: found.blendshapes, _SHARE)
    if group == "landmarks":
        points = [f"landmark{number}_{axis}" for number in range(LANDMARKS) for axis in "xyz"]
        return _columns(points, lambda found: found.landmarks.ravel(), _PIXEL)
    theirs = alias == "openface"
    names, values, meaning = (_OPENFACE if theirs else _OURS)[group]
    return _columns(names, values, _RADIANS if theirs else _ANGLE, meaning)


def openface_pose(found: FaceFeatures) -> tuple[float, float, float]:
    """Rx, Ry and Rz of OpenFace in radians; see `face_columns`."""
    matrix = _OTHER_AXES @ rotation(*found.pose) @ _OTHER_AXES
    about_y = np.arcsin(np.clip(matrix[0, 2], -1, 1))
    about_x, about_z = np.arctan2(-matrix[1, 2], matrix[2, 2]), np.arctan2(-matrix[0, 1], matrix[0, 0])
    return float(about_x), float(about_y), float(about_z)


def openface_gaze(found: FaceFeatures) -> tuple[float, float]:
    """Gaze angles of OpenFace in radians: horizontal, positive to the right of the image, and downwards."""
    across, up, near = rotation(*found.pose) @ rotation(*gaze(found), 0.0)[:, 2]
    return float(np.arctan2(across, near)), float(np.arctan2(-up, near))


def _columns(names: Sequence[str], values: Values, decimals: int, meaning: str = "") -> list[Column]:
    def cell_of(place: int) -> Callable[[Detection], float | None]:
        return lambda found: None if found.features is None else round(float(values(found.features)[place]), decimals)

    return [
        Column(name=name, kind="number", cell=of_detection(cell_of(place)), meaning=meaning if place == 0 else "")
        for place, name in enumerate(names)
    ]


_Angles = tuple[tuple[str, ...], Values, str]  # names, values and what they mean
_OURS: dict[str, _Angles] = {
    "pose": (
        ("pose_yaw", "pose_pitch", "pose_roll"),
        lambda found: found.pose,
        "rotation of the head in degrees: yaw to the subject's left, pitch downwards, roll to the right shoulder",
    ),
    "gaze": (
        ("gaze_yaw", "gaze_pitch"),
        gaze,
        "direction of both eyes in degrees, relative to the head: yaw to the subject's left, pitch downwards",
    ),
}
_OPENFACE: dict[str, _Angles] = {
    "pose": (
        ("pose_Rx", "pose_Ry", "pose_Rz"),
        openface_pose,
        "rotation of the head in radians, R = Rx Ry Rz: x to the right of the image, y downwards, z away",
    ),
    "gaze": (
        ("gaze_angle_x", "gaze_angle_y"),
        openface_gaze,
        "direction of both eyes in radians, relative to the camera: x to the right of the image, y downwards",
    ),
}
