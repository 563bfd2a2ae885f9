"""One clip: which faces are cropped, their position in the crops, and the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceflow.cropping.clips import clips_of
from faceflow.cropping.crop_clip import crop_clip, rows_file
from faceflow.cropping.crop_rows import read_rows
from faceflow.datasets.published import Recording
from faceflow.errors import ConfigError
from faceflow.faces.align import EyesRecipe, Recipe
from faceflow.faces.detector import Detection
from faceflow.faces.feature_file import open_records
from faceflow.faces.video import FrameRange
from faceflow.images import read_image
from tests.helpers.affine import transform
from tests.helpers.cropping import EYES, crop, files, only_clip, settings
from tests.helpers.markers import Image, MarkerDetector, blank, covered, draw_face, face_at, write_photo, write_video

LEFT, RIGHT = (18.7, 25.1), (44.3, 25.1)  # in the crop, from 0.4 of 64 pixels that span -0.5 to 63.5


def eyes_in(path: Path) -> tuple[list[float], list[float]]:
    """Where the discs of a crop are."""
    (found,) = MarkerDetector().detect(read_image(path))
    return found.points[0].tolist(), found.points[1].tolist()


@pytest.mark.parametrize("angle", [-30, 0, 20])
@pytest.mark.parametrize("distance", [16, 90])
def test_eyes_land_where_the_recipe_says(tmp_path: Path, angle: float, distance: float) -> None:
    middle, across = np.array([150.3, 140.8]), np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    left, right = middle - distance / 2 * across, middle + distance / 2 * across
    radius = max(3, round(distance / 10))
    image = draw_face(blank(300, 280), tuple(left), tuple(right), radius=radius)
    (row,) = crop(only_clip(write_photo(tmp_path / "in/Zoë.png", image)), tmp_path / "out")
    assert (row["status"], row["face"], row["crop"], row["time_s"]) == ("ok", "0", "Zoë.png", "")
    for found, place in zip(eyes_in(tmp_path / "out/crops/Zoë.png"), (LEFT, RIGHT), strict=True):
        assert found == pytest.approx(place, abs=0.35)
    affine = np.array([float(row[f"a{n}"]) for n in (11, 12, 13, 21, 22, 23)]).reshape(2, 3)
    points = np.array([[float(row[f"eye_{side}_{axis}"]) for axis in "xy"] for side in ("left", "right")])
    np.testing.assert_allclose(points, [left, right], atol=0.3)
    np.testing.assert_allclose(transform(affine, points), [LEFT, RIGHT], atol=0.02)


def test_frames_searched_at_once_give_what_one_after_another_gives(tmp_path: Path) -> None:
    frames = [face_at(40 + n % 3, 40) if n % 4 else blank(*face_at(40, 40).shape[1::-1]) for n in range(20)]
    clip = only_clip(write_video(tmp_path / "a.avi", frames, fps=10))
    found = []
    for count in (1, 3):
        output = tmp_path / f"out{count}"
        crop_clip(clip, settings(smooth=2), [MarkerDetector() for _ in range(count)], output, lambda _: None)
        found.append(files(output))
    assert found[0] == found[1]
    assert len(found[0]) > 15


def test_every_frame_has_a_row_and_every_face_a_crop(tmp_path: Path) -> None:
    hidden = covered(face_at(42, 40))
    frames = [face_at(40, 40), face_at(41, 40), hidden, face_at(42, 40), *[hidden] * 4]
    frames += [face_at(60, 60, low=True), face_at(61, 60)]
    clip = only_clip(write_video(tmp_path / "a.avi", frames, fps=10))
    told: list[int] = []
    crop_clip(clip, settings(), [MarkerDetector()], tmp_path / "out", told.append)
    rows = list(read_rows(rows_file(tmp_path / "out", clip)))
    assert [row["status"] for row in rows] == [
        *("ok", "ok", "tracked", "ok", "tracked", "tracked"),
        *("no_face", "no_face", "low_confidence", "ok"),
    ]
    assert [row["frame"] for row in rows] == [str(n) for n in range(1, 11)]
    assert [row["time_s"] for row in rows] == [f"{n / 10:.4f}" for n in range(10)]
    assert {row["file"] for row in rows} == {str(tmp_path / "a.avi")}
    assert sum(told) == 10
    cropped = [row["crop"] for row in rows if row["crop"]]
    assert cropped == [f"a/{n:06d}.png" for n in (1, 2, 3, 4, 5, 6, 10)]
    assert set(files(tmp_path / "out/crops")) == set(cropped)
    assert rows[2]["score"] == ""
    assert rows[8]["score"] == "0.3000"
    assert rows[8]["eye_left_x"]
    assert {path.name for path in (tmp_path / "out/.progress/a").iterdir()} == {"rows.csv", "source.json"}


def test_a_missed_face_keeps_the_features_it_had_and_smoothing_leaves_them(tmp_path: Path) -> None:
    frames = [face_at(40, 40), face_at(43, 40), covered(face_at(43, 40)), face_at(40, 46), face_at(40, 40)]
    clip = only_clip(write_video(tmp_path / "a.avi", frames))
    rows = crop(clip, tmp_path / "out", MarkerDetector(features=True), smooth=2)
    assert [row["status"] for row in rows] == ["ok", "ok", "tracked", "ok", "ok"]
    records = open_records(tmp_path / "out/features/a.npy")
    assert records["crop"].tolist() == [row["crop"].removeprefix("a/").encode() for row in rows]
    np.testing.assert_allclose(7 * records["pose"][:, 0], [28, 31, 31, 28, 28], atol=0.3)


def test_all_faces_are_numbered_in_the_names(tmp_path: Path) -> None:
    image = draw_face(blank(200, 96), (20, 40), (44, 40))
    clip = only_clip(write_video(tmp_path / "a.avi", [draw_face(image, (130, 40), (154, 40))] * 2))
    rows = crop(clip, tmp_path / "out", policy="all")
    assert [(row["frame"], row["face"], row["crop"]) for row in rows] == [
        *(("1", "0", "a/000001_f0.png"), ("1", "1", "a/000001_f1.png")),
        *(("2", "0", "a/000002_f0.png"), ("2", "1", "a/000002_f1.png")),
    ]


def test_photographs_are_not_tracked_nor_thinned_out(tmp_path: Path) -> None:
    for name, image in (("a", face_at(40, 40)), ("b", blank()), ("c", face_at(50, 60))):
        write_photo(tmp_path / f"in/{name}.png", image)
    every = FrameRange(every=2, start_s=0.0, end_s=None)
    rows = crop(only_clip(tmp_path / "in"), tmp_path / "out", smooth=2, frames=every)
    assert [(row["status"], row["face"], row["crop"]) for row in rows] == [
        ("ok", "0", "a.png"),
        ("no_face", "", ""),
        ("ok", "0", "c.png"),
    ]
    for name in "ac":
        assert eyes_in(tmp_path / f"out/crops/{name}.png")[0] == pytest.approx(LEFT, abs=0.35)


def test_images_of_a_recording_are_tracked_and_thinned_out(tmp_path: Path) -> None:
    faces = {n: face_at(40 + n, 40) for n in range(1, 6)}
    faces[3] = covered(faces[3])
    images = {n: write_photo(tmp_path / f"in/{n}.png", face) for n, face in faces.items()}
    recording = Recording(name="S/T", file=tmp_path, frames=images, subject="S", domain="", labels={}, excluded={})
    (clip,) = clips_of([recording])
    rows = crop(clip, tmp_path / "out", frames=FrameRange(every=2, start_s=0.0, end_s=None))
    assert [(row["frame"], row["status"]) for row in rows] == [("1", "ok"), ("3", "tracked"), ("5", "ok")]
    assert rows[2]["crop"] == "S/T/000005.png"


def test_unusual_images_are_cropped(tmp_path: Path) -> None:
    face = face_at(48, 40)
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    write_photo(tmp_path / "in/rgba.png", np.dstack([face, np.full((96, 96), 40, np.uint8)]))
    write_photo(tmp_path / "in/16 bit.png", face.astype(np.uint16) * 257)
    write_photo(tmp_path / "in/grey.png", grey)
    write_photo(tmp_path / "in/plain.png", face)
    rows = {row["crop"] or Path(row["file"]).name: row for row in crop(only_clip(tmp_path / "in"), tmp_path / "out")}
    assert {name: row["status"] for name, row in rows.items()} == {
        **dict.fromkeys(["rgba.png", "16 bit.png", "plain.png"], "ok"),
        "grey.png": "no_face",  # the discs have no colour
    }
    crops = files(tmp_path / "out/crops")
    assert crops["rgba.png"] == crops["16 bit.png"] == crops["plain.png"]


def test_a_portrait_is_turned_upright_by_its_exif_tag(tmp_path: Path) -> None:
    upright = face_at(40, 60, width=80, height=120)
    write_photo(tmp_path / "in/upright.jpg", upright)
    sideways = write_photo(tmp_path / "sideways.jpg", np.rot90(upright).copy())
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: turn clockwise
    content = sideways.read_bytes()
    app1 = b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag
    (tmp_path / "in/portrait.jpg").write_bytes(content[:2] + app1 + content[2:])
    rows = crop(only_clip(tmp_path / "in"), tmp_path / "out")
    assert [row["status"] for row in rows] == ["ok", "ok"]
    points = [[float(row[f"eye_{side}_{axis}"]) for side in ("left", "right") for axis in "xy"] for row in rows]
    assert points[0] == pytest.approx(points[1], abs=0.2)


def test_a_face_cut_by_the_border_is_padded_in_its_place(tmp_path: Path) -> None:
    recipe = Recipe.from_dict(EYES.to_dict() | {"padding": 128})
    clip = only_clip(write_photo(tmp_path / "a.png", draw_face(blank(60, 60), (5, 6), (29, 6))))
    (row,) = crop(clip, tmp_path / "out", recipe=recipe)
    assert row["status"] == "ok"
    assert (read_image(tmp_path / "out/crops/a.png")[:15] == 128).all()
    assert eyes_in(tmp_path / "out/crops/a.png")[1] == pytest.approx(RIGHT, abs=0.35)


def test_a_tiny_face_is_magnified(tmp_path: Path) -> None:
    image = draw_face(blank(60, 60), (28, 30), (34, 30), radius=1)
    (row,) = crop(only_clip(write_photo(tmp_path / "a.png", image)), tmp_path / "out")
    assert row["status"] == "ok"
    assert read_image(tmp_path / "out/crops/a.png").shape == (64, 64, 3)


def test_smoothing_steadies_a_face_without_shifting_it(tmp_path: Path) -> None:
    jitter = np.random.default_rng(0).normal(0, 1.5, 30)
    images = [draw_face(blank(), (36 + jitter[n], 40), (60 + jitter[n], 40)) for n in range(30)]
    clip = only_clip(write_video(tmp_path / "a.avi", images))
    shifts = {}
    for radius in (0, 3):
        rows = crop(clip, tmp_path / str(radius), smooth=radius)
        shifts[radius] = np.array([float(row["a13"]) for row in rows])
    assert shifts[3].std() < 0.6 * shifts[0].std()
    assert shifts[3].mean() == pytest.approx(shifts[0].mean(), abs=0.4)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"policy": "biggest"}, "selection.policy"),
        ({"hold": -1}, "selection.hold"),
        ({"smooth": 0.5}, "selection.smooth"),
        ({"cuts": "yes"}, "selection.cuts"),
        ({"format": "gif"}, "image.format"),
        ({"quality": 0}, "image.quality"),
        ({"quality": 101}, "image.quality"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: expected "):
        settings(**changes)


def test_jpeg_quality_counts(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(60, 180, (96, 96, 3), dtype=np.uint8)
    clip = only_clip(write_photo(tmp_path / "a.png", draw_face(noise, (36, 40), (60, 40))))
    sizes = []
    for quality in (30, 95):
        (row,) = crop(clip, tmp_path / str(quality), format="jpg", quality=quality)
        sizes.append((tmp_path / str(quality) / "crops" / row["crop"]).stat().st_size)
    assert sizes[0] < sizes[1] / 2


def test_recipes_of_five_points_say_which_detector_they_need(tmp_path: Path) -> None:
    class EyesOnly(MarkerDetector):
        def detect(self, image: Image) -> list[Detection]:
            return [
                Detection(box=face.box, points=np.vstack([face.points[:2], np.full((3, 2), np.nan)]), score=face.score)
                for face in super().detect(image)
            ]

    clip = only_clip(write_photo(tmp_path / "a.png", face_at(40, 40)))
    assert isinstance(EYES, EyesRecipe)
    jaanet = Recipe.from_dict(
        {"preset": "jaanet", "size": 64, "box_enlarge": 2.9, "padding": 128, "interpolation": "linear"}
    )
    assert crop(clip, tmp_path / "one", EyesOnly())[0]["nose_x"] == ""
    with pytest.raises(
        ConfigError, match=r"^align.preset: expected a detector that gives eyes, nose tip and mouth corners"
    ):
        crop(clip, tmp_path / "two", EyesOnly(), recipe=jaanet)
