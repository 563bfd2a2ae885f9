from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from faceflow.cropping.crop_rows import Status
from faceflow.errors import ConfigError
from faceflow.faces.detector import Array, Detection
from faceflow.faces.selection import NO_FACE, Face
from faceflow.faces.track_smoothing import smooth

SHAPE = np.array([[0, 0], [40, 0], [20, 20], [5, 40], [35, 40]], np.float64)


def at(x: float, *, number: int = 0, status: Status = "ok") -> Face:
    box = np.array([x, 2 * x, x + 50, 2 * x + 50], np.float64)
    return Face(
        number=number, status=status, detection=Detection(box=box, points=SHAPE + np.array([x, 2 * x]), score=0.9)
    )


def smoothed(frames: list[list[Face]], radius: int) -> list[list[Face]]:
    result = list(smooth(enumerate(frames), radius=radius))
    assert [index for index, _ in result] == list(range(len(frames)))
    return [faces for _, faces in result]


def path(frames: list[list[Face]], number: int = 0) -> Array:
    """Left edge of a face's box over the frames, after a check that its points moved along."""
    found = [face.detection for faces in frames for face in faces if face.number == number and face.detection]
    for detection in found:
        x = detection.box[0]
        np.testing.assert_allclose(detection.box, [x, 2 * x, x + 50, 2 * x + 50])
        np.testing.assert_allclose(detection.points, SHAPE + np.array([x, 2 * x]))
    return np.array([detection.box[0] for detection in found])


@pytest.mark.parametrize("radius", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 12])
def test_even_motion_comes_out_unchanged_from_the_first_frame_to_the_last(radius: int, count: int) -> None:
    x = 100 + 3.7 * np.arange(count)
    np.testing.assert_allclose(path(smoothed([[at(place)] for place in x], radius)), x)


def test_even_motion_with_missed_frames_comes_out_unchanged() -> None:
    x = 100 - 2.5 * np.arange(12)
    frames = [[at(place)] if index not in (4, 5) else [NO_FACE] for index, place in enumerate(x)]
    np.testing.assert_allclose(path(smoothed(frames, 3)), np.delete(x, [4, 5]))


def test_values_by_hand() -> None:
    # Radius 1 weighs neighbours 1/2. Inside: (0.5 a + b + 0.5 c) / 2. First frame: a line through both.
    np.testing.assert_allclose(path(smoothed([[at(0)], [at(8)], [at(0)], [at(0)]], 1)), [0, 4, 2, 0])


def test_fit_is_the_weighted_line_of_polyfit() -> None:
    x = np.random.default_rng(0).normal(100, 5, 15)
    result = path(smoothed([[at(place)] for place in x], 4))
    for center in range(15):
        near = np.arange(max(0, center - 4), min(15, center + 5))
        weights = 1 - np.abs(near - center) / 5
        line = np.polyfit(near - center, x[near], deg=1, w=np.sqrt(weights))
        assert result[center] == pytest.approx(line[1])


def test_jitter_shrinks_and_a_turn_does_not_lag() -> None:
    noise = np.random.default_rng(0).normal(0, 1, 400)
    assert path(smoothed([[at(place)] for place in 100 + noise], 4)).std() < 0.55
    peak = 100 - np.abs(np.arange(41) - 20.0)
    assert int(path(smoothed([[at(place)] for place in peak], 4)).argmax()) == 20


def test_two_subjects_are_never_averaged() -> None:
    x = [100.0] * 6 + [400.0] * 6
    frames = [[at(place, number=int(place > 200))] for place in x]
    result = smoothed(frames, 3)
    np.testing.assert_allclose(path(result, 0), 100)
    np.testing.assert_allclose(path(result, 1), 400)


def test_faces_of_one_frame_are_smoothed_apart_and_keep_their_order() -> None:
    frames = [[at(10 + 2 * i, number=7), at(300 - 5 * i, number=3)] for i in range(8)]
    result = smoothed(frames, 2)
    assert [[face.number for face in faces] for faces in result] == [[7, 3]] * 8
    np.testing.assert_allclose(path(result, 7), 10 + 2 * np.arange(8))
    np.testing.assert_allclose(path(result, 3), 300 - 5 * np.arange(8))


def test_held_place_moves_to_the_line_between_the_found_ones_and_is_not_fitted_to() -> None:
    x = [100, 110, 110, 110, 140, 150]  # even motion, of which two frames were missed
    status: list[Status] = ["ok", "ok", "tracked", "tracked", "ok", "ok"]
    frames = [[at(place, status=state)] for place, state in zip(x, status, strict=True)]
    result = smoothed(frames, 3)
    np.testing.assert_allclose(path(result), [100, 110, 120, 130, 140, 150])
    assert [faces[0].status for faces in result] == status


def test_place_that_is_held_until_the_end_stays() -> None:
    frames = [[at(100)], [at(110)], [at(110, status="tracked")], [at(110, status="tracked")]]
    np.testing.assert_allclose(path(smoothed(frames, 2)), [100, 110, 110, 110])


def test_uncertain_and_missing_faces_pass_unchanged() -> None:
    frames = [[at(0)], [at(500, status="low_confidence")], [NO_FACE], [], [at(8)]]
    result = smoothed(frames, 4)
    assert [faces for faces in result[1:4]] == frames[1:4]
    np.testing.assert_allclose(path([result[0], result[4]]), [0, 8])


def test_unknown_points_stay_unknown() -> None:
    faces = []
    for x in (0.0, 1.0, 2.0):
        face = at(x)
        assert face.detection is not None
        face.detection.points[3:] = np.nan
        faces.append([face])
    for (face,) in smoothed(faces, 1):
        assert face.detection is not None
        assert np.isnan(face.detection.points[3:]).all()
        assert np.isfinite(face.detection.points[:3]).all()


def test_radius_zero_changes_nothing() -> None:
    frames = [[at(float(x))] for x in (3, 90, 4)]
    np.testing.assert_array_equal(path(smoothed(frames, 0)), [3, 90, 4])


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_only_the_frames_ahead_are_kept_waiting(radius: int) -> None:
    read: list[int] = []

    def frames() -> Iterator[tuple[int, list[Face]]]:
        for index in range(50):
            read.append(index)
            yield index, [at(index)]

    for index, _ in smooth(frames(), radius=radius):
        assert len(read) == min(index + radius + 1, 50)


@pytest.mark.parametrize("radius", [-1, 1.5])
def test_mistakes_are_named_by_their_key_before_the_first_frame(radius: int) -> None:
    with pytest.raises(ConfigError, match=r"selection.smooth: expected frames >= 0"):
        smooth([], radius=radius)
