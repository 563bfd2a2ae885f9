"""Head pose, gaze, blendshapes and landmarks as cells."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from faceflow.faces.features import BLENDSHAPES, LANDMARKS, FaceFeatures
from faceflow.inference.columns import COLUMNS, Table
from faceflow.inference.face_columns import GROUPS, openface_gaze, openface_pose
from faceflow.inference.pipeline import FacePrediction
from faceflow.rendering.subject import rotation as rendered_rotation
from tests.helpers.exported import contract
from tests.helpers.predictions import NOBODY, face, frame


def features(*pose: float, **shapes: float) -> FaceFeatures:
    landmarks = np.arange(3.0 * LANDMARKS).reshape(LANDMARKS, 3) / 7
    values = np.array([shapes.get(name, 0.0) for name in BLENDSHAPES])
    return FaceFeatures(landmarks=landmarks, blendshapes=values, pose=np.array(pose or (0.0, 0.0, 0.0)))


def with_features(found: FaceFeatures) -> FacePrediction:
    plain = face((0.25, 0.5, 0.5))
    assert plain.face.detection is not None
    detection = dataclasses.replace(plain.face.detection, features=found)
    return dataclasses.replace(plain, face=dataclasses.replace(plain.face, detection=detection))


def row(prediction: FacePrediction, *groups: str, alias: str = "none") -> dict[str, Any]:
    table = Table(contract(), alias=alias, suffixes=[""], groups=groups)
    (cells,) = table.cells(frame(1, prediction))
    return dict(zip([column.name for column in table.columns], cells, strict=True))


def test_pose_and_gaze_are_degrees() -> None:
    cells = row(with_features(features(10.126, -3.0, 0.5, eyeLookOutLeft=1.0)), "pose", "gaze")
    found = {name: cells[name] for name in cells if name.startswith(("pose_", "gaze_"))}
    assert found == {"pose_yaw": 10.13, "pose_pitch": -3, "pose_roll": 0.5, "gaze_yaw": 13.55, "gaze_pitch": -4.8}
    assert not [name for name in cells if name.startswith("AU")]


def test_every_blendshape_and_landmark_has_its_column() -> None:
    cells = row(with_features(features(jawOpen=0.12346)), "blendshapes", "landmarks")
    assert cells["jawOpen"] == 0.1235
    assert [name for name in cells if name in BLENDSHAPES] == list(BLENDSHAPES)
    assert [cells[f"landmark1_{axis}"] for axis in "xyz"] == [0.43, 0.57, 0.71]
    assert sum(name.startswith("landmark") for name in cells) == 3 * LANDMARKS
    assert cells["landmark477_z"] == round(1433 / 7, 2)


def test_groups_stand_in_the_order_in_which_they_are_asked_for() -> None:
    names = list(row(with_features(features()), "gaze", "aus", "pose"))
    assert names[-11:] == [
        *("gaze_yaw", "gaze_pitch", "AU01_prob", "AU01", "AU04_prob", "AU04", "AU12_L_prob", "AU12_L"),
        *("pose_yaw", "pose_pitch", "pose_roll"),
    ]


@pytest.mark.parametrize("nothing", [NOBODY, face((0.25, 0.5, 0.5))])
def test_cells_are_empty_without_a_face_or_its_features(nothing: FacePrediction) -> None:
    cells = row(nothing, *GROUPS)
    asked = [name for name in cells if name.startswith(("pose_", "gaze_", "landmark")) or name in BLENDSHAPES]
    assert len(asked) == 5 + 52 + 3 * 478
    assert {cells[name] for name in asked} == {None}


def test_openface_has_its_own_names_and_radians() -> None:
    cells = row(with_features(features(0.0, 90 / np.pi, 0.0)), *COLUMNS, alias="openface")
    assert (cells["pose_Rx"], cells["pose_Ry"], cells["pose_Rz"]) == (0.5, 0, 0)
    # The gaze rests at -4.8 degrees of the head, which is turned down by 0.5 radians.
    assert (cells["gaze_angle_x"], cells["gaze_angle_y"]) == (0, round(0.5 - np.radians(4.8), 4))
    assert not [name for name in cells if name.startswith("pose_y") or name == "gaze_yaw"]


@pytest.mark.parametrize(
    ("pose", "radians"),
    [((30, 0, 0), (0, -np.pi / 6, 0)), ((0, 30, 0), (np.pi / 6, 0, 0)), ((0, 0, 30), (0, 0, -np.pi / 6))],
)
def test_a_turn_about_one_axis_is_one_angle_of_openface(pose: tuple[float, ...], radians: tuple[float, ...]) -> None:
    # Its x is to the right of the picture, where a subject's left is, its y downwards, its z away from the camera: a
    # right-handed turn about y shows the right cheek's side of the picture, about z lowers the left shoulder's side.
    assert openface_pose(features(*pose)) == pytest.approx(radians)


def test_a_turn_about_all_axes_is_the_matrix_of_openface() -> None:
    degrees = (25.0, -10.0, 15.0)
    x, y, z = openface_pose(features(*degrees))
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    theirs = np.array(about_x) @ about_y @ about_z
    ours = rendered_rotation(*np.radians(degrees))  # y upwards, z towards the camera
    assert theirs == pytest.approx(ours * np.outer([1, -1, -1], [1, -1, -1]), abs=1e-6)


def test_the_gaze_of_openface_turns_with_the_head() -> None:
    # Straight ahead in the head: the blendshape undoes the angle at rest.
    ahead = {"eyeLookDownLeft": 4.8 / 21.9, "eyeLookDownRight": 4.8 / 21.9}
    assert openface_gaze(features(20.0, 0.0, 0.0, **ahead)) == pytest.approx((np.radians(20), 0))
    assert openface_gaze(features(0.0, 20.0, 0.0, **ahead)) == pytest.approx((0, np.radians(20)))
    # A head on its right shoulder that looks to its left looks up.
    left = {**ahead, "eyeLookOutLeft": 10 / 27.1, "eyeLookInRight": 10 / 27.1}
    assert openface_gaze(features(0.0, 0.0, 90.0, **left)) == pytest.approx((0, -np.radians(10)))
