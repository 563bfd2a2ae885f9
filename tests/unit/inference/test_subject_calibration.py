"""Calibration to a subject, against values worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from faceflow.centring import LEAST_FRAMES, Rest
from faceflow.faces.selection import NO_FACE, Face
from faceflow.inference.pipeline import Estimates, FacePrediction, FramePrediction
from faceflow.inference.subject_calibration import (
    RUNNING_FRAMES,
    calibrate,
    calibrated_to,
    calibrated_to_median,
    calibrated_to_running_median,
    calibration,
    median,
    stacked,
)

EXCESS = calibration(usual=None, neutral_probability=0.5)
CENTRING = calibration(usual=Rest(np.log([1 / 9]), None), neutral_probability=0.5)  # odds of 1/9: a probability of 0.1


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
    calibrated = list(calibrated_to_median(iter(frames), seconds=math.inf, calibration=EXCESS))
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
    found = median(stacked([estimates(0.1, 0.9, intensity=(1, 5)), estimates(0.3, 0.2, intensity=(2, 0))]))
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
    found = list(calibrated_to_median(iter(frames), seconds=2.0, calibration=EXCESS))
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
    for item in calibrated_to_median(frames(), seconds=2.0, calibration=EXCESS):
        waited.append(read - item.number)
    # The fifth frame, two seconds after the first one, settles the face; nothing waits after that.
    assert waited == [4, 3, 2, 1, *[0] * 16]


def test_centred_estimates_lie_around_the_constant_also_where_they_rise() -> None:
    frames = [frame(n, (0, p), (1, 0.9)) for n, p in enumerate([0.02] * LEAST_FRAMES + [0.5], start=1)]
    found = list(calibrated_to_median(iter(frames), seconds=math.inf, calibration=CENTRING))
    first = [item.faces[0].estimates["_cal"].probability[0] for item in found]
    # Odds 1/49 at rest become 1/9, and 1 becomes 49/9.
    assert first == pytest.approx([0.1] * LEAST_FRAMES + [49 / 58], abs=1e-6)
    assert [item.faces[1].estimates["_cal"].probability[0] for item in found] == pytest.approx([0.1] * len(found))


def test_a_face_of_few_frames_keeps_its_scores_where_it_would_be_centred() -> None:
    frames = [frame(n, (0, 0.7)) for n in range(1, LEAST_FRAMES)]
    found = list(calibrated_to_median(iter(frames), seconds=math.inf, calibration=CENTRING))
    assert {float(item.faces[0].estimates["_cal"].probability[0]) for item in found} == {float(np.float32(0.7))}


def running(values: Sequence[float]) -> list[float | None]:
    """Running calibrated probabilities of one face, None where there is none."""
    frames = (frame(number, (0, value)) for number, value in enumerate(values, start=1))
    found = [item.faces[0].estimates for item in calibrated_to_running_median(frames, calibration=CENTRING)]
    return [float(each["_cal"].probability[0]) if "_cal" in each else None for each in found]


def test_the_running_median_never_looks_ahead() -> None:
    rng = np.random.default_rng(0)
    values, others = rng.uniform(0.05, 0.95, (2, 100))
    whole = running(values.tolist())
    assert whole[: RUNNING_FRAMES - 1] == [None] * (RUNNING_FRAMES - 1)
    for count in (RUNNING_FRAMES, 80):
        assert running([*values[:count], *others[count:]])[:count] == whole[:count]


def test_the_running_median_ends_at_that_of_the_whole_video() -> None:
    values = np.random.default_rng(0).uniform(0.05, 0.95, 99).tolist()
    frames = [frame(number, (0, value)) for number, value in enumerate(values, start=1)]
    whole = list(calibrated_to_median(iter(frames), seconds=math.inf, calibration=CENTRING))
    assert running(values)[-1] == float(whole[-1].faces[0].estimates["_cal"].probability[0])


def test_the_running_median_of_many_frames_uses_evenly_spaced_frames() -> None:
    # The face smiles through the last third. Odds at rest of 1/4 become 1/9, and those of the smile, 9, become 4.
    assert running([0.2] * 800 + [0.9] * 400)[-1] == pytest.approx(4 / 5, abs=1e-6)


def test_frames_are_given_as_they_come_and_faces_apart_in_the_running_median() -> None:
    read = 0

    def frames() -> Iterator[FramePrediction]:
        nonlocal read
        for read in range(1, 70):
            yield frame(read, (0, 0.5)) if read < 3 else frame(read, (0, 0.5), (1, 0.9))

    found = []
    for item in calibrated_to_running_median(frames(), calibration=EXCESS):
        assert item.number == read
        found.append([face.estimates.get("_cal") for face in item.faces])
    assert [each is not None for each in found[RUNNING_FRAMES - 1]] == [True, False]
    last = [each.probability[0] for each in found[-1] if each is not None]
    assert last == pytest.approx([0.5, 0.5], abs=1e-6)  # 0.9 at rest is the excess of its own
