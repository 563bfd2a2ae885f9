"""Smoothed estimates, against means worked out by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from faceflow.faces.selection import NO_FACE, Face
from faceflow.inference.pipeline import Estimates, FacePrediction, FramePrediction
from faceflow.inference.score_smoothing import smoothed


def frames(values: Sequence[float | None], faces: Sequence[int] | None = None) -> Iterator[FramePrediction]:
    """A face per frame; None: it was not seen."""
    for number, value in enumerate(values):
        face = FacePrediction(face=NO_FACE, estimates={})
        if value is not None:
            who = Face(number=faces[number] if faces else 0, status="ok", detection=None)
            both = np.array([value], np.float32)
            face = FacePrediction(face=who, estimates={"": Estimates(probability=both, intensity=5 * both)})
        yield FramePrediction(file="a", number=number, time_s=None, picture=None, faces=[face])


def smooth(values: Sequence[float | None], radius: int, faces: Sequence[int] | None = None) -> list[float | None]:
    found = []
    for number, frame in enumerate(smoothed(frames(values, faces), radius=radius)):
        assert frame.number == number
        estimates = frame.faces[0].estimates
        assert ("" in estimates) == ("_smooth" in estimates) == (values[number] is not None)
        result = None
        if estimates:
            result = float(estimates["_smooth"].probability[0])
            assert estimates["_smooth"].intensity == pytest.approx([5 * result], abs=1e-6)
            assert estimates[""].probability[0] == np.float32(values[number])
        found.append(result)
    return found


def test_nearer_frames_count_more() -> None:
    # Weights 1/2, 1, 1/2 inside; at the ends one of the outer ones is missing.
    assert smooth([0, 1, 0, 0], 1) == pytest.approx([(0 + 0.5) / 1.5, 1 / 2, 0.5 / 2, 0])


def test_frames_without_the_face_are_left_out_and_stay_empty() -> None:
    assert smooth([1, None, 0, 0.5], 1) == [1, None, pytest.approx(0.25 / 1.5), pytest.approx(0.5 / 1.5)]


def test_other_faces_are_left_out() -> None:
    assert smooth([0, 1, 0, 1], 2, faces=[0, 1, 0, 1]) == [0, 1, 0, 1]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 12])
@pytest.mark.parametrize("radius", [1, 2, 4])
def test_every_frame_is_the_weighted_mean_of_its_neighbours(count: int, radius: int) -> None:
    values = np.random.default_rng(count).random(count)
    expected = []
    for center in range(count):
        weights = np.clip(1 - np.abs(np.arange(count) - center) / (radius + 1), 0, None)
        expected.append((weights * values).sum() / weights.sum())
    assert smooth(values.tolist(), radius) == pytest.approx(expected, abs=1e-6)


def test_a_constant_stays_and_only_radius_frames_wait() -> None:
    taken = 0

    def counted() -> Iterator[FramePrediction]:
        nonlocal taken
        for frame in frames([0.25] * 10):
            taken += 1
            yield frame

    for number, frame in enumerate(smoothed(counted(), radius=2), start=1):
        assert frame.faces[0].estimates["_smooth"].probability[0] == pytest.approx(0.25)
        assert taken <= number + 2


def test_estimates_that_begin_late_are_smoothed_from_there_on() -> None:
    first, *others = frames([0.2, 0.4, 0.8])
    late = [first] + [
        dataclasses.replace(frame, faces=[face.with_estimates("_cal", face.estimates[""]) for face in frame.faces])
        for frame in others
    ]
    found = [frame.faces[0].estimates for frame in smoothed(iter(late), radius=1)]
    assert "_cal_smooth" not in found[0]
    # Of the neighbours with weight 1/2, the first has no such estimate.
    assert found[1]["_cal_smooth"].probability.tolist() == pytest.approx([(0.4 + 0.8 / 2) / 1.5])
    assert found[1]["_smooth"].probability.tolist() == pytest.approx([(0.1 + 0.4 + 0.4) / 2])
