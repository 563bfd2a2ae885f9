from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from faceflow.errors import ConfigError
from faceflow.faces.video import FrameRange
from faceflow.inference.events import EventRule
from faceflow.inference.face_crops import Selection
from faceflow.inference.predictor_settings import PredictorSettings
from tests.helpers.markers import MarkerDetector


def settings(**changes: Any) -> PredictorSettings:
    values: dict[str, Any] = {
        **{"crops": True, "recipe": None, "detector": None, "same_detector": True, "detectors": 0},
        **{"selection": Selection(policy="track", hold=5, smooth=None, cuts=True), "batch_size": 16, "alias": "none"},
        **{"frames": FrameRange(every=1, start_s=0.0, end_s=None), "calibrate": "none"},
        **{"neutral_probability": 0.1, "smooth": 0, "columns": None},
        **{"event_rule": EventRule(release=0.7, bridge_s=0.2, shortest_s=0.1, rise_s=1.0, noise=8.0)},
    }
    return PredictorSettings(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"batch_size": 0}, "batch_size: expected a whole number >= 1, got 0"),
        ({"detectors": -1}, "detectors: expected a whole number >= 0, got -1"),
        ({"smooth": 0.5}, "smooth: expected frames on either side >= 0, got 0.5"),
        ({"neutral_probability": 0}, "neutral_probability: expected a probability above 0 and below 1, got 0"),
        ({"crops": "yes"}, "crops: expected true or false, got 'yes'"),
        (
            {"calibrate": "none.png"},
            "calibrate: expected none, median, running, first:2s, or an image of a",
        ),
        (
            {"calibrate": "first:0s"},
            "calibrate: expected none, median, running, first:2s, or an image of a",
        ),
        (
            {"columns": "pose"},
            "columns: expected a list of aus, pose, gaze, blendshapes, landmarks, each at most once, got 'pose'",
        ),
        (
            {"columns": []},
            "columns: expected a list of aus, pose, gaze, blendshapes, landmarks, each at most once, got []",
        ),
        (
            {"columns": ["aus", "aus"]},
            "columns: expected a list of aus, pose, gaze, blendshapes, landmarks, each at most once, ",
        ),
        ({"columns": ["aus", "poses"]}, "columns: expected aus, pose, gaze, blendshapes, landmarks, got 'poses'; did "),
        ({"columns": ["aus", "pose"]}, "columns: expected only aus with crops=true, which runs no detector, got pose"),
        (
            {"columns": ["gaze"], "crops": False, "detector": MarkerDetector()},
            "columns: expected only aus with a detector without features, got gaze; leave them out, or add detector=",
        ),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**changes)
    assert str(caught.value).startswith(line)


def test_only_a_file_is_a_neutral_picture(tmp_path: Path) -> None:
    (tmp_path / "rest.png").touch()
    assert settings(calibrate=str(tmp_path / "rest.png")).neutral == str(tmp_path / "rest.png")
    assert settings(calibrate="none").neutral is None
    assert settings(calibrate="median").neutral is None


def test_the_rest_of_a_face_is_seen_over_seconds() -> None:
    seconds = [settings(calibrate=text).rest_s for text in ("none", "median", "first:2s", "first:0.5s")]
    assert seconds == [None, math.inf, 2.0, 0.5]
    assert settings(calibrate="first:2s").neutral is None


def test_pose_and_gaze_are_written_unasked_where_the_detector_gives_them() -> None:
    assert settings().groups == ("aus",)
    assert settings(crops=False, detector=MarkerDetector()).groups == ("aus",)
    with_features = {"crops": False, "detector": MarkerDetector(features=True)}
    assert settings(**with_features).groups == ("aus", "pose", "gaze")
    assert settings(**with_features, columns=["aus"]).groups == ("aus",)
