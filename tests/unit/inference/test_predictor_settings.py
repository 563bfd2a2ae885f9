from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faceflow.errors import ConfigError
from faceflow.faces.video import FrameRange
from faceflow.inference.face_crops import Selection
from faceflow.inference.predictor_settings import PredictorSettings


def settings(**changes: Any) -> PredictorSettings:
    values: dict[str, Any] = {
        **{"crops": True, "recipe": None, "detector": None, "same_detector": True, "detectors": 0},
        **{"selection": Selection(policy="track", hold=5, smooth=None, cuts=True), "batch_size": 16, "alias": "none"},
        **{"frames": FrameRange(every=1, start_s=0.0, end_s=None), "calibrate": "none"},
        **{"neutral_probability": 0.1, "smooth": 0},
    }
    return PredictorSettings(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"batch_size": 0}, "batch_size: expected a whole number >= 1, got 0"),
        ({"detectors": -1}, "detectors: expected a whole number >= 0, got -1"),
        ({"smooth": 0.5}, "smooth: expected frames on either side >= 0, got 0.5"),
        ({"neutral_probability": 0}, "neutral_probability: expected a probability in 0..1, neither 0 nor 1, got 0"),
        ({"crops": "yes"}, "crops: expected true or false, got 'yes'"),
        ({"calibrate": "none.png"}, "calibrate: expected none, median, or a picture of a neutral face, got 'none.png'"),
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
