"""Statistics of crops worked out by hand, or by OpenCV; limits by the rule of docs/how_to/drift.md."""

from __future__ import annotations

import json
import math
from typing import Any

import cv2
import numpy as np
import pytest

from faceflow.crop_statistics import STATISTICS, CropStatistics, OutsideTally, of_landmarks, of_pixels

UNIFORM = np.linspace(0, 200, 2001)  # quantiles .5 %, 5 %, 50 %, 95 % and 99.5 %: 1, 10, 100, 190, 199


def training(subjects: int | None = 40, **values: Any) -> CropStatistics:
    return CropStatistics.measured(values or {"brightness": UNIFORM}, subjects=subjects)


def test_an_even_picture_has_no_contrast_and_no_edge() -> None:
    found = of_pixels(np.full((16, 16, 3), 77, np.uint8))
    assert found == pytest.approx({"brightness": 77, "contrast": 0, "sharpness": 0}, abs=1e-3)


def test_grey_weighs_colours_as_the_eye_does() -> None:
    red_above_blue = np.zeros((4, 4, 3), np.uint8)
    red_above_blue[:2, :, 0] = red_above_blue[2:, :, 2] = 100  # grey 29.9 and 11.4
    found = of_pixels(red_above_blue)
    assert found["brightness"] == pytest.approx(20.65)
    assert found["contrast"] == pytest.approx(9.25 / 20.65)
    assert found["sharpness"] == pytest.approx(18.5**2)  # the two inner rows: -18.5 and 18.5


def test_brightness_contrast_and_sharpness_are_those_of_opencv() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    grey = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)
    laplacian = cv2.Laplacian(grey, cv2.CV_32F, ksize=1)[1:-1, 1:-1]
    expected = {"brightness": grey.mean(), "contrast": grey.std() / grey.mean(), "sharpness": laplacian.var()}
    assert of_pixels(image) == pytest.approx(expected, rel=1e-4)


def test_a_face_is_as_large_as_its_box_but_no_larger_than_the_input() -> None:
    points = np.array([[10.0, 20, 5], [50, 60, -900], [30, 110, 0]])  # 40 by 90 pixels
    pose = np.array([12.0, -3, 7])
    assert of_landmarks(points, pose, image_size=112) == pytest.approx({"face_size": 60, "yaw": 12, "pitch": -3})
    assert of_landmarks(points, pose, image_size=48)["face_size"] == 48


def test_limits_lie_beyond_the_quantiles_and_farther_where_subjects_are_few() -> None:
    assert training(pitch=UNIFORM).quantiles["pitch"] == pytest.approx((1, 10, 100, 190, 199))
    assert training(40, pitch=UNIFORM).limits["pitch"] == pytest.approx((10 - 0.35 * 180, 190 + 0.35 * 180))
    assert training(8, pitch=UNIFORM).limits["pitch"] == pytest.approx((10 - 0.65 * 180, 190 + 0.65 * 180))
    unknown, twelve = (training(subjects, pitch=UNIFORM).limits["pitch"] for subjects in (None, 12))
    assert unknown == twelve
    assert unknown[1] == pytest.approx(190 + (0.15 + 4 / 12) * 180)


def test_unsigned_measures_are_compared_by_ratio() -> None:
    assert training(40).limits["brightness"] == pytest.approx((1, 190 * 19**0.35))  # 1: of 99 %


def test_limits_of_one_camera_are_not_narrower_than_other_cameras_allow() -> None:
    same = np.full(100, 50.0)
    limits = training(40, yaw=same, sharpness=same, face_size=same).limits
    assert limits["yaw"] == pytest.approx((46.5, 53.5))
    assert limits["sharpness"] == pytest.approx((50 / 1.25**0.35, 50 * 1.25**0.35))
    assert limits["face_size"] == pytest.approx((50 / 2**0.35, math.inf))


def test_limits_hold_99_of_100_training_faces_however_long_the_tails_are() -> None:
    tails = np.concatenate([np.full(980, 50.0), np.full(10, -900.0), np.full(10, 900.0)])
    low, high = training(40, yaw=tails).limits["yaw"]
    assert (low, high) == (-900, 900)


@pytest.mark.parametrize("seed", range(30))
def test_the_middle_of_the_training_faces_is_inside_whatever_they_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.round(rng.exponential(10.0 ** rng.integers(-3, 7), rng.integers(1, 60)), rng.integers(0, 9))
    subjects = int(rng.integers(0, 200)) or None
    for name in STATISTICS:
        found = training(subjects, **{name: values})
        assert found.outside({name: float(np.median(values))}) == {}
        assert CropStatistics.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_what_is_not_known_of_a_face_or_of_the_training_is_not_outside() -> None:
    assert training().outside({"yaw": 90.0}) == {}
    assert training().outside({}) == {}
    assert training().outside({"brightness": 600.0, "yaw": 90.0}) == {"brightness": 1}
    assert training(yaw=[-5.0, 5.0]).outside({"yaw": -60.0}) == {"yaw": -1}


def test_a_source_is_named_where_more_than_a_fifth_of_its_faces_are_outside() -> None:
    tally = OutsideTally(CropStatistics.measured({"brightness": UNIFORM, "yaw": [-5.0, 5.0]}, subjects=40))
    for _ in range(8):
        tally.add({"brightness": 100.0, "yaw": 0.0})
    for yaw in (60.0, 0.0):
        tally.add({"brightness": 600.0, "yaw": yaw})
    assert tally.line() is None  # 2 of 10
    tally.add({"brightness": 660.0, "yaw": 0.0})
    line = tally.line()
    assert line == (
        "3 of 11 faces are unlike the training faces, most of all in brightness: 3 of them average 620, and 99 % of "
        "the training faces have 1 to 199"
    )


def test_a_source_without_faces_is_not_named() -> None:
    assert OutsideTally(training()).line() is None


def test_statistics_of_a_newer_version_are_left_out() -> None:
    raw = training().to_dict()
    raw["quantiles"]["hue"] = [1, 2, 3, 4, 5]
    assert CropStatistics.from_dict(raw) == training()


@pytest.mark.parametrize(
    "change",
    [
        {"quantiles": {"yaw": [1, 2, 3]}},
        {"quantiles": {"yaw": [1, 2, 3, 4, math.nan]}},
        {"quantiles": {"yaw": [1, 2, 3, 5, 4]}},
        {"quantiles": {"yaw": ["a", 2, 3, 4, 5]}},
        {"quantiles": 3},
        {"faces": None},
        {"subjects": "many"},
    ],
)
def test_damaged_statistics_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"statistics|quantiles|could not|invalid"):
        CropStatistics.from_dict(training().to_dict() | change)
