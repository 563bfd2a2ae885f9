"""Faces cut for the network are those that faceflow-crop writes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.cropping.clips import find_clips
from faceflow.cropping.crop_clip import CROPS, CropSettings, crop_clip, rows_file
from faceflow.cropping.crop_rows import read_rows
from faceflow.errors import ConfigError
from faceflow.faces.align import Recipe
from faceflow.faces.detector import Detection
from faceflow.faces.video import Frame, FrameRange
from faceflow.images import Image, read_image
from faceflow.inference.face_crops import CutFrame, Selection, aligned_faces, whole_pictures
from faceflow.inference.frames import find_sources
from faceflow.inference.onnx_model import fit
from faceflow.inference.recipe import check_detector, choose_recipe, choose_selection
from tests.helpers.exported import CROP, EYES, contract
from tests.helpers.markers import MarkerDetector, blank, covered, draw_face, face_at, write_photo, write_video

ALL = FrameRange(every=1, start_s=0.0, end_s=None)


def crops_of(path: Path, output: Path, selection: Selection) -> list[dict[str, str]]:
    """Rows of `faceflow-crop` for the same file."""
    assert selection.smooth is not None
    settings = CropSettings(
        recipe=Recipe.from_dict(EYES),
        policy=selection.policy,
        hold=selection.hold,
        smooth=selection.smooth,
        cuts=selection.cuts,
        frames=ALL,
        format="png",
        quality=95,
    )
    (clip,) = find_clips([str(path)])
    crop_clip(clip, settings, [MarkerDetector()], output, lambda frames: None)
    return list(read_rows(rows_file(output, clip)))


def cut(path: Path, selection: Selection, size: int) -> list[CutFrame]:
    (source,) = find_sources(path, ALL)
    recipe = Recipe.from_dict(EYES)
    alike = [MarkerDetector(), MarkerDetector()]
    cut_frames = aligned_faces(source.read(), alike, recipe, selection, size, sequence=source.sequence)
    return list(cut_frames)


def two_people() -> list[Any]:
    """A face that moves and is missed in frames 5 and 6, one of which the detector is unsure in 9, and another."""
    images = []
    for n in range(12):
        image = draw_face(blank(192, 96, grey=60 + 5 * n), (40 + 2 * n, 40), (70 + 2 * n, 40 + n / 2), low=n == 9)
        image = covered(image) if n in (5, 6) else image
        images.append(draw_face(image, (150, 50), (170, 50)) if n != 6 else image)
    return images


@pytest.mark.parametrize("size", [64, 40])
@pytest.mark.parametrize(("policy", "smooth"), [("track", 2), ("track", 0), ("all", 1), ("largest", 0), ("center", 2)])
def test_faces_of_a_video_are_cut_as_crops_are(tmp_path: Path, policy: str, smooth: int, size: int) -> None:
    path = write_video(tmp_path / "a.avi", two_people())
    selection = Selection(policy=policy, hold=3, smooth=smooth, cuts=True)
    rows = crops_of(path, tmp_path / "crops", selection)
    ours = [(frame, face) for frame in cut(path, selection, size) for face in frame.faces]
    assert len(ours) == len(rows)
    scored = 0
    for (frame, face), row in zip(ours, rows, strict=True):
        assert (str(frame.number), face.face.status) == (row["frame"], row["status"])
        assert ("" if face.face.number is None else str(face.face.number)) == row["face"]
        assert (face.pixels is not None) == bool(row["crop"])
        if face.pixels is not None:
            crop = read_image(tmp_path / "crops" / CROPS / row["crop"])
            assert np.array_equal(face.pixels, fit(crop, size))
            scored += 1
    assert scored >= 8


def two_shots(path: Path) -> Path:
    """Video of a face in two rooms, at a place and 8 px beside it; it is missed in the frame after the cut."""
    frames = []
    for n in range(12):
        shot = n // 6
        room = np.random.default_rng(shot).integers(60, 140, (8, 8, 1), np.uint8)
        image = np.ascontiguousarray(room.repeat(12, axis=0).repeat(12, axis=1).repeat(3, axis=2))
        frames.append(image if n == 6 else draw_face(image, (40 + 8 * shot, 40), (60 + 8 * shot, 40)))
    return write_video(path, frames)


@pytest.mark.parametrize(
    ("cuts", "faces"),
    [
        (True, [*[("0", "ok")] * 6, ("", "no_face"), *[("1", "ok")] * 5]),
        (False, [*[("0", "ok")] * 6, ("0", "tracked"), *[("0", "ok")] * 5]),
    ],
)
def test_no_face_is_followed_or_steadied_over_a_cut(tmp_path: Path, cuts: bool, faces: list[tuple[str, str]]) -> None:
    path = two_shots(tmp_path / "a.avi")
    selection = Selection(policy="track", hold=3, smooth=2, cuts=cuts)
    rows = crops_of(path, tmp_path / "crops", selection)
    assert [(row["face"], row["status"]) for row in rows] == faces
    ours = [frame.faces[0].face for frame in cut(path, selection, 64)]
    assert [("" if face.number is None else str(face.number), face.status) for face in ours] == faces
    x = np.array([face.detection.points[0, 0] for face in ours if face.detection])
    assert np.allclose(x, np.where(np.arange(len(x)) < 6, 40, 48), atol=0.5) == cuts


class _Shades(MarkerDetector):
    """Gives the grey of the image's corner with every face."""

    def detect(self, image: Image) -> list[Detection]:
        grey = {"grey": float(image[0, 0, 0])}
        return [dataclasses.replace(face, extras=grey) for face in super().detect(image)]


def test_extras_of_a_detector_stay_with_the_face_they_were_seen_on() -> None:
    frames = [Frame(n + 1, n / 10, image) for n, image in enumerate(two_people())]
    selection = Selection(policy="track", hold=3, smooth=2, cuts=True)
    found = aligned_faces(frames, [_Shades()], Recipe.from_dict(EYES), selection, 64, sequence=True)
    shades = [frame.faces[0].face.detection.extras["grey"] for frame in found if frame.faces[0].face.detection]
    # 60 + 5 n; frames 5 and 6 miss the face, whose last place and number stand.
    assert shades == [60, 65, 70, 75, 80, 80, 80, 95, 100, 105, 110, 115]


def test_pictures_are_not_followed(tmp_path: Path) -> None:
    for n, x in enumerate((30, 40, 50)):
        write_photo(tmp_path / f"{n}.png", face_at(x, 40))
    selection = Selection(policy="track", hold=5, smooth=2, cuts=True)
    frames = cut(tmp_path, selection, 64)
    rows = crops_of(tmp_path, tmp_path / "crops", selection)
    assert [frame.faces[0].face.number for frame in frames] == [0, 0, 0]
    for frame, row in zip(frames, rows, strict=True):
        assert np.array_equal(frame.faces[0].pixels, read_image(tmp_path / "crops" / CROPS / row["crop"]))


def test_crops_are_taken_as_they_come_but_for_their_size() -> None:
    exact, other = np.full((16, 16, 3), 7, np.uint8), np.full((31, 20, 3), 9, np.uint8)
    frames = list(whole_pictures([Frame(1, 0.5, exact), Frame(2, None, other), Frame(3, None, None, "broken")], 16))
    assert frames[0].faces[0].pixels is exact
    assert np.array_equal(frames[1].faces[0].pixels, np.full((16, 16, 3), 9))
    assert [frame.faces[0].face.status for frame in frames] == ["ok", "ok", "decode_error"]
    assert [frame.time_s for frame in frames] == [0.5, None, None]


def test_the_recipe_is_that_of_the_training_faces_unless_the_user_says_otherwise() -> None:
    assert choose_recipe(contract(), None) == Recipe.from_dict(EYES)
    assert choose_recipe(contract(), Recipe.from_dict({**EYES, "size": 128})).size == 128
    assert choose_recipe(contract(crop=None), Recipe.from_dict(EYES)).size == 64


@pytest.mark.parametrize("crop", [None, {}, {"align": None}, {"align": []}, []])
def test_a_model_that_does_not_say_how_faces_were_cut_asks_for_it(crop: Any) -> None:
    with pytest.raises(ConfigError, match="add align=eyes, box or jaanet, as for the training crops, or crops=true"):
        choose_recipe(contract(crop=crop), None)


@pytest.mark.parametrize(("wanted", "smooth"), [(None, 2), (0, 0), (4, 4)])
def test_smoothing_is_that_of_the_training_faces_unless_the_user_says_otherwise(wanted: Any, smooth: int) -> None:
    assert choose_selection(contract(), Selection(policy="all", hold=1, smooth=wanted, cuts=True)).smooth == smooth
    assert choose_selection(contract(crop=None), Selection(policy="all", hold=1, smooth=None, cuts=True)).smooth == 0


def test_another_detector_is_refused_unless_asked_for() -> None:
    check_detector(contract(), MarkerDetector(), same=True)
    other = contract(crop=CROP | {"detector": {"name": "mediapipe_boxes"}})
    with pytest.raises(ConfigError, match="detector: expected mediapipe_boxes, .* got markers; add detector=mediap"):
        check_detector(other, MarkerDetector(), same=True)
    check_detector(other, MarkerDetector(), same=False)
    check_detector(contract(crop=None), MarkerDetector(), same=True)


def test_the_same_detector_with_other_settings_is_a_warning_that_names_them(caplog: pytest.LogCaptureFixture) -> None:
    for level in (0.0, 0.25):
        trained = {"name": "markers", "sha256": "0" * 64, "level": level}
        check_detector(contract(crop=CROP | {"detector": trained}), MarkerDetector(), same=True)
    (line,) = caplog.messages
    assert line.endswith("(training: detector.level=0.25, now: 0.0); AUs may differ")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"policy": "al"}, "selection.policy: expected largest, center, track, all, got 'al'; did you mean 'all'"),
        ({"hold": -1}, "selection.hold: expected frames >= 0, got -1"),
        ({"smooth": 1.5}, "selection.smooth: expected frames >= 0, got 1.5"),
        ({"cuts": 0.5}, "selection.cuts: expected true or false, got 0.5"),
    ],
)
def test_settings_out_of_range_are_refused(changes: Any, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Selection(**{"policy": "track", "hold": 5, "smooth": None, "cuts": True, **changes})
    assert str(caught.value).startswith(line)
