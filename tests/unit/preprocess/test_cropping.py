"""One clip: frames in, crops and rows out, the same whenever it was interrupted."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.images import read_image
from faceflow.preprocess.align import EyesRecipe, Recipe
from faceflow.preprocess.clips import Clip, clips_of, find_clips
from faceflow.preprocess.cropping import CropSettings, crop_clip, rows_file
from faceflow.preprocess.datasets.dataset import Recording, ZipMember
from faceflow.preprocess.detector import Detection
from faceflow.preprocess.geometry import transform
from faceflow.preprocess.rows import read_rows
from faceflow.preprocess.source_state import check_source
from faceflow.preprocess.video import FrameRange
from tests.helpers.markers import (
    Image,
    MarkerDetector,
    blank,
    draw_face,
    face_at,
    moving_faces,
    write_photo,
    write_video,
)

EYES = Recipe.from_dict(
    {
        **{"preset": "eyes", "size": 64, "eye_distance": 0.4, "eye_height": 0.4, "roll": True},
        **{"padding": "replicate", "interpolation": "area"},
    }
)
LEFT, RIGHT = (18.7, 25.1), (44.3, 25.1)  # in the crop, from 0.4 of 64 pixels that span -0.5 to 63.5


def settings(**changes: Any) -> CropSettings:
    values: dict[str, Any] = {
        "recipe": EYES,
        "policy": "track",
        "hold": 2,
        "smooth": 0,
        "frames": FrameRange(every=1, start_s=0.0, end_s=None),
        "format": "png",
        "quality": 95,
    }
    return CropSettings(**(values | changes))


def crop(clip: Clip, output: Path, detector: MarkerDetector | None = None, **changes: Any) -> list[dict[str, str]]:
    """Rows of a clip."""
    crop_clip(clip, settings(**changes), detector or MarkerDetector(), output, lambda _: None)
    return list(read_rows(rows_file(output, clip)))


def only_clip(source: Path) -> Clip:
    (clip,) = find_clips([str(source)])
    return clip


def eyes_in(path: Path) -> tuple[list[float], list[float]]:
    """Where the discs of a crop are."""
    (found,) = MarkerDetector().detect(read_image(path))
    return found.points[0].tolist(), found.points[1].tolist()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def test_every_frame_has_a_row_and_every_face_a_crop(tmp_path: Path) -> None:
    frames = [face_at(40, 40), face_at(41, 40), blank(), face_at(42, 40), blank(), blank(), blank(), blank()]
    frames += [face_at(60, 60, low=True), face_at(61, 60)]
    clip = only_clip(write_video(tmp_path / "a.avi", frames, fps=10))
    told: list[int] = []
    crop_clip(clip, settings(), MarkerDetector(), tmp_path / "out", told.append)
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
    images = {n: write_photo(tmp_path / f"in/{n}.png", face_at(40 + n, 40) if n != 3 else blank()) for n in range(1, 6)}
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


class Stopped(Exception):
    """Stands for a kill."""


class Interrupted(MarkerDetector):
    """Breaks off at an image."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def detect(self, image: Image) -> list[Detection]:
        if self.seen == self.at:
            raise Stopped
        return super().detect(image)


@pytest.mark.parametrize("at", [0, 1, 7, 14])
def test_an_interrupted_clip_ends_the_same_and_detects_nothing_twice(tmp_path: Path, at: int) -> None:
    clip = only_clip(write_video(tmp_path / "a.avi", [*moving_faces(8), blank(), *moving_faces(6)]))
    crop(clip, tmp_path / "whole", smooth=2)
    with pytest.raises(Stopped):
        crop(clip, tmp_path / "out", Interrupted(at), smooth=2)
    assert not rows_file(tmp_path / "out", clip).exists()
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/crops").rglob("*.png")}
    again = MarkerDetector()
    crop(clip, tmp_path / "out", again, smooth=2)
    assert again.seen == 15 - at
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    assert files(tmp_path / "out") == files(tmp_path / "whole")


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


def test_an_unreadable_video_is_a_row_and_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"dear diary")
    with caplog.at_level(logging.WARNING):
        (row,) = crop(only_clip(path), tmp_path / "out")
    assert (row["file"], row["frame"], row["status"], row["crop"]) == (str(path), "0", "decode_error", "")
    assert caplog.messages == [
        f"{path}: expected a video, got a file that OpenCV cannot decode; replace the file or leave it out"
    ]


def test_broken_photographs_are_rows_and_warnings_and_the_others_are_cropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = write_photo(tmp_path / "in/b.jpg", face_at(40, 40)).read_bytes()
    (tmp_path / "in/a.jpg").touch()
    (tmp_path / "in/c.jpg").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        rows = crop(only_clip(tmp_path / "in"), tmp_path / "out")
    assert [row["status"] for row in rows] == ["decode_error", "ok", "decode_error"]
    what = "; such rows have the status decode_error"
    assert caplog.messages == [
        f"{tmp_path}/in/a.jpg: expected an image, got a file of zero bytes{what}",
        f"{tmp_path}/in/c.jpg: expected an image, got a truncated image{what}",
    ]


def test_a_truncated_video_keeps_what_it_has_and_warns_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.avi", moving_faces(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        rows = crop(only_clip(path), tmp_path / "out")
    statuses = [row["status"] for row in rows]
    assert len(statuses) == 40
    assert statuses == ["ok"] * statuses.count("ok") + ["decode_error"] * statuses.count("decode_error")
    assert len(caplog.messages) == 1
    assert f"{path}: expected 40 frames, got a video that ends after frame " in caplog.messages[0]


def test_a_range_beyond_the_end_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = only_clip(write_video(tmp_path / "a.avi", moving_faces(5)))
    with caplog.at_level(logging.WARNING):
        assert crop(clip, tmp_path / "out", frames=FrameRange(every=1, start_s=60.0, end_s=None)) == []
    assert caplog.messages == [
        f"{tmp_path}/a.avi: expected frames as frames.start_s, end_s and every say, got none of them"
    ]


def zipped(tmp_path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(tmp_path / "v.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"folder/{name}.avi", content)
    return tmp_path / "v.zip"


def zip_clip(archive: Path, name: str = "a") -> Clip:
    return Clip(name=f"S/{name}", file=ZipMember(archive, f"folder/{name}.avi"), images=None, sequence=True)


def test_a_video_in_an_archive_is_cropped_like_one_beside_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", moving_faces(6))
    clip = zip_clip(zipped(tmp_path, a=path.read_bytes()))
    rows = crop(clip, tmp_path / "out")
    crop(only_clip(path), tmp_path / "plain")
    assert {row["file"] for row in rows} == {f"{tmp_path}/v.zip/folder/a.avi"}
    crops = files(tmp_path / "out/crops/S/a")
    assert len(crops) == 6
    assert crops == files(tmp_path / "plain/crops/a")
    assert {path.name for path in (tmp_path / "out/.progress/S/a").iterdir()} == {"rows.csv", "source.json"}


@pytest.mark.parametrize("damage", ["member", "archive", "bytes"])
def test_a_broken_archive_is_a_row_and_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    archive = zipped(tmp_path, a=write_video(tmp_path / "a.avi", moving_faces(6)).read_bytes())
    clip = zip_clip(archive, "b" if damage == "member" else "a")
    content = bytearray(archive.read_bytes())
    if damage == "archive":
        archive.write_bytes(content[:-30])
    elif damage == "bytes":
        content[1000:1100] = bytes(100)
        archive.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        (row,) = crop(clip, tmp_path / "out")
    assert row["status"] == "decode_error"
    (message,) = caplog.messages
    assert message.startswith(f"{clip.file}: expected a file in a zip archive, got '")
    assert message.endswith("'; replace the archive or leave it out")


def test_a_file_that_changed_since_is_refused_and_cropped_anew_when_asked(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", moving_faces(6))
    clip, output = only_clip(path), tmp_path / "out"
    with pytest.raises(Stopped):
        crop(clip, output, Interrupted(4))
    folder = rows_file(output, clip).parent
    check_source(clip, folder)
    write_video(path, moving_faces(9)[3:])
    with pytest.raises(DataError) as caught:
        check_source(clip, folder)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected 1 file of ")
    assert message.endswith(f"; to crop it again remove '{folder}', to keep those crops choose another output")
    for file in folder.iterdir():
        file.unlink()
    crop(clip, output)
    crop(clip, tmp_path / "fresh")
    assert files(output / "crops") == files(tmp_path / "fresh/crops")


def test_a_photograph_more_in_the_folder_is_refused(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.png", face_at(40, 40))
    clip = only_clip(tmp_path / "in")
    crop(clip, tmp_path / "out")
    check_source(clip, tmp_path / "out/.progress")
    write_photo(tmp_path / "in/b.png", face_at(40, 40))
    with pytest.raises(DataError, match=r"in: expected 1 file of \d+ bytes .* when its crops were begun, got 2 files"):
        check_source(only_clip(tmp_path / "in"), tmp_path / "out/.progress")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"policy": "biggest"}, "selection.policy"),
        ({"hold": -1}, "selection.hold"),
        ({"smooth": 0.5}, "selection.smooth"),
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
    with pytest.raises(ConfigError, match=r"^align.preset: 'jaanet' expected eyes, nose tip and mouth corners"):
        crop(clip, tmp_path / "two", EyesOnly(), recipe=jaanet)


def test_crops_that_cannot_be_written_end_the_clip_in_one_line(tmp_path: Path) -> None:
    clip = only_clip(write_video(tmp_path / "a.avi", moving_faces(5)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/crops").touch()  # no folder
    with pytest.raises(DataError, match=r"crops/a/000001.png: expected a file that can be written, got '.*'"):
        crop(clip, tmp_path / "out")
    assert not rows_file(tmp_path / "out", clip).exists()
