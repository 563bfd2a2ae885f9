"""Calibration to a person, against values worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest

from faceflow.faces.selection import NO_FACE, Face
from faceflow.inference.pipeline import Estimates, FacePrediction, FramePrediction
from faceflow.inference.subject_calibration import calibrate, calibrated_to, calibrated_to_median, median


def estimates(*probability: float, intensity: tuple[float, ...] | None = None) -> Estimates:
    return Estimates(
        probability=np.array(probability, np.float32),
        intensity=None if intensity is None else np.array(intensity, np.float32),
    )


def frame(number: int, *faces: tuple[int, float]) -> FramePrediction:
    found = [
        FacePrediction(face=Face(number=n, status="ok", detection=None), estimates={"": estimates(p)}) for n, p in faces
    ]
    none = FacePrediction(face=NO_FACE, estimates={})
    return FramePrediction(file="a", number=number, time_s=None, picture=None, faces=found or [none])


def test_the_neutral_excess_is_taken_from_the_logit() -> None:
    # At rest 0.5: logit 0, which lies log(0.25 / 0.75) = -log 3 above p_0 = 0.25: odds are divided by 3.
    neutral = estimates(0.5, 0.5, 0.5)
    found = calibrate(estimates(0.5, 0.9, 0.0), neutral, neutral_probability=0.25)
    assert found.probability == pytest.approx([1 / 4, 9 / (9 + 3), 0.0], abs=1e-6)
    assert found.intensity is None


def test_an_au_that_is_at_rest_in_the_neutral_face_is_left_as_it_is() -> None:
    raw = estimates(0.123, 0.9, 1.0)
    assert np.array_equal(
        calibrate(raw, estimates(0.05, 0.1, 0.0), neutral_probability=0.1).probability, raw.probability
    )


def test_intensities_lose_the_neutral_ones_within_0_to_5() -> None:
    raw, neutral = estimates(0.5, 0.5, intensity=(3.0, 0.5)), estimates(0.0, 0.0, intensity=(1.25, 1.0))
    found = calibrate(raw, neutral, neutral_probability=0.1).intensity
    assert found is not None
    assert found.tolist() == [1.75, 0.0]


def test_probabilities_never_rise_and_stay_finite_at_the_ends() -> None:
    grid = np.linspace(0, 1, 41)
    for rest in grid:
        found = calibrate(estimates(*grid), estimates(*([rest] * 41)), neutral_probability=0.1).probability
        assert np.isfinite(found).all()
        assert (found <= grid.astype(np.float32)).all()
        assert (np.diff(found) >= 0).all()


def test_the_median_of_each_face_is_its_own_rest() -> None:
    frames = [frame(1, (0, 0.9), (1, 0.5)), frame(2), frame(3, (0, 0.9), (1, 0.2)), frame(4, (0, 0.1), (1, 0.5))]
    calibrated = list(calibrated_to_median(iter(frames), seconds=math.inf, neutral_probability=0.5))
    assert [item.number for item in calibrated] == [1, 2, 3, 4]
    assert calibrated[1].faces[0].estimates == {}
    # Face 0 rests at 0.9, odds 9 times those of 0.5: 0.9 becomes 0.5, 0.1 becomes 1/9 / 9. Face 1 rests at 0.5.
    first = [item.faces[0].estimates["_cal"].probability[0] for item in calibrated if item.faces[0].estimates]
    assert first == pytest.approx([0.5, 0.5, 1 / 82], abs=1e-6)
    second = [item.faces[1].estimates for item in calibrated if len(item.faces) > 1]
    assert [item["_cal"].probability[0] for item in second] == [item[""].probability[0] for item in second]


def test_one_neutral_face_serves_all() -> None:
    (found,) = calibrated_to(iter([frame(1, (0, 0.9), (7, 0.9))]), estimates(0.9), neutral_probability=0.5)
    assert [face.estimates["_cal"].probability[0] for face in found.faces] == pytest.approx([0.5, 0.5], abs=1e-6)
    assert [face.estimates[""].probability[0] for face in found.faces] == pytest.approx([0.9, 0.9])


def test_median_is_that_of_each_au() -> None:
    found = median([estimates(0.1, 0.9, intensity=(1, 5)), estimates(0.3, 0.2, intensity=(2, 0))])
    assert found.probability == pytest.approx([0.2, 0.55])
    assert found.intensity == pytest.approx([1.5, 2.5])


def timed(number: int, time_s: float | None, *faces: tuple[int, float]) -> FramePrediction:
    return dataclasses.replace(frame(number, *faces), time_s=time_s)


def test_the_first_seconds_of_each_face_are_its_rest() -> None:
    frames = [
        timed(1, 0.0, (0, 0.9)),
        timed(2, 1.0, (0, 0.9), (1, 0.5)),
        timed(3, None, (0, 0.1)),  # of an unknown time: that of the frame before
        timed(4, 2.0, (0, 0.1), (1, 0.5)),
        timed(5, 3.0, (0, 0.1), (1, 0.9)),
    ]
    found = list(calibrated_to_median(iter(frames), seconds=2.0, neutral_probability=0.5))
    assert [item.number for item in found] == [1, 2, 3, 4, 5]
    # Face 0 rests at the median of 0.9, 0.9 and 0.1: odds are divided by 9. Face 1 rests at 0.5 and stays as it is.
    first = [item.faces[0].estimates["_cal"].probability[0] for item in found]
    assert first == pytest.approx([0.5, 0.5, 1 / 82, 1 / 82, 1 / 82], abs=1e-6)
    assert found[4].faces[1].estimates["_cal"].probability[0] == pytest.approx(0.9)


def test_frames_are_held_no_longer_than_their_faces_take() -> None:
    read = 0

    def frames() -> Iterator[FramePrediction]:
        nonlocal read
        for number, time_s in enumerate(np.arange(0, 10, 0.5), start=1):
            read = number
            yield timed(number, float(time_s), (0, 0.5)) if number != 8 else timed(number, float(time_s))

    waited = []
    for item in calibrated_to_median(frames(), seconds=2.0, neutral_probability=0.5):
        waited.append(read - item.number)
    # The fifth frame, two seconds after the first one, settles the face; nothing waits after that.
    assert waited == [4, 3, 2, 1, *[0] * 16]
