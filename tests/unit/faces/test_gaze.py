from __future__ import annotations

import numpy as np
import pytest

from faceflow.faces.features import BLENDSHAPES, FaceFeatures, mirrored
from faceflow.faces.gaze import gaze


def features(**shapes: float) -> FaceFeatures:
    values = np.array([shapes.get(name, 0.0) for name in BLENDSHAPES])
    return FaceFeatures(landmarks=np.zeros((478, 3)), blendshapes=values, pose=np.zeros(3))


def test_eyes_turned_to_the_subjects_left_have_a_positive_yaw() -> None:
    # Half of 27.1 for each eye that is turned fully.
    assert gaze(features(eyeLookOutLeft=1.0))[0] == pytest.approx(13.55)
    assert gaze(features(eyeLookOutLeft=1.0, eyeLookInRight=1.0))[0] == pytest.approx(27.1)
    assert gaze(features(eyeLookInLeft=1.0, eyeLookOutRight=1.0))[0] == pytest.approx(-27.1)


def test_eyes_that_look_down_have_a_positive_pitch() -> None:
    down = gaze(features(eyeLookDownLeft=0.5, eyeLookDownRight=0.7))
    up = gaze(features(eyeLookUpLeft=0.5, eyeLookUpRight=0.7))
    assert down == pytest.approx((0.0, 0.6 * 21.9 - 4.8))
    assert up == pytest.approx((0.0, -0.6 * 6.9 - 4.8))


def test_a_mirrored_face_looks_to_the_other_side() -> None:
    seen = features(eyeLookOutLeft=0.4, eyeLookInRight=0.3, eyeLookDownLeft=0.5)
    yaw, pitch = gaze(seen)
    assert gaze(FaceFeatures.from_vector(mirrored(seen.vector()))) == pytest.approx((-yaw, pitch), abs=1e-5)
