from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from faceflow.faces.features import FEATURES, FaceFeatures, mirrored
from faceflow.faces.head_pose import _CANONICAL, _DEPTH, _POINTS, angles, head_pose, rotation

Array = NDArray[np.float64]


def turned(*, yaw: float = 0, pitch: float = 0, roll: float = 0) -> Array:
    """Landmarks (478, 3) of a head seen from far away: pitched first, then turned, then rolled; others are noise."""
    y, x, z = np.radians([yaw, pitch, roll])
    # A point before the head (z = 1) goes to the picture's right when the head turns to its left, and down (y = -1)
    # when it nods; one above it (y = 1) goes to the picture's left when it rolls to its right shoulder.
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    landmarks = np.random.default_rng(0).normal(0, 100, (478, 3))
    landmarks[_POINTS] = _CANONICAL @ (about_z @ about_y @ about_x).T * [12, -12, -12 / _DEPTH] + [300, 200, 7]
    return landmarks


@pytest.mark.parametrize(
    "turns",
    [
        {},
        {"yaw": 30.0},
        {"pitch": 20.0},
        {"roll": -70.0},
        {"yaw": -80.0, "pitch": 15.0, "roll": 10.0},
        {"yaw": 25.0, "pitch": -35.0, "roll": 160.0},
    ],
    ids=str,
)
def test_a_head_that_was_turned_has_these_angles(turns: dict[str, float]) -> None:
    expected = [turns.get(name, 0.0) for name in ("yaw", "pitch", "roll")]
    np.testing.assert_allclose(head_pose(turned(**turns)), expected, atol=1e-6)


def test_rotation_and_angles_undo_each_other() -> None:
    pose = (-60.0, 25.0, 130.0)
    np.testing.assert_allclose(angles(rotation(*pose)), pose)
    ahead = np.array([0, 0, 1])
    np.testing.assert_allclose(rotation(90, 0, 0) @ ahead, [1, 0, 0], atol=1e-9)  # its left: the picture's right
    np.testing.assert_allclose(rotation(0, 90, 0) @ ahead, [0, -1, 0], atol=1e-9)
    np.testing.assert_allclose(rotation(0, 0, 90) @ [0, 1, 0], [-1, 0, 0], atol=1e-9)


def test_turned_to_its_left_the_nose_moves_to_the_right_of_the_picture() -> None:
    nose, brow = 4, 10
    assert turned(yaw=20)[nose, 0] > turned()[nose, 0]
    assert turned(pitch=20)[nose, 1] > turned()[nose, 1]
    assert turned(roll=20)[brow, 0] < turned()[brow, 0]


def test_pose_does_not_depend_on_place_and_size() -> None:
    landmarks = turned(yaw=12, pitch=-5, roll=3)
    np.testing.assert_allclose(head_pose(landmarks * 3.5 + [1000, -40, 9]), head_pose(landmarks), atol=1e-6)


def test_the_mirror_image_turns_and_rolls_the_other_way() -> None:
    landmarks, pose = turned(yaw=12, pitch=-5, roll=3), np.array([12.0, -5.0, 3.0])
    vector = FaceFeatures(landmarks=landmarks, blendshapes=np.zeros(52), pose=pose).vector()
    other = FaceFeatures.from_vector(mirrored(vector))
    assert mirrored(vector).shape == (FEATURES,)
    np.testing.assert_allclose(other.pose, [-12, -5, -3])
    np.testing.assert_allclose(head_pose(other.landmarks), other.pose, atol=1e-3)
