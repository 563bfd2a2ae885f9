"""One clip that is interrupted, damaged, changed or cannot be written: the same crops, or a row and a line."""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path

import pytest

from faceflow.cropping.clips import Clip
from faceflow.cropping.crop_clip import rows_file
from faceflow.cropping.source_state import check_source
from faceflow.cropping.workers import store_recipe
from faceflow.datasets.published import ZipMember
from faceflow.errors import ConfigError, DataError
from faceflow.faces.detector import Detection
from faceflow.faces.video import FrameRange
from tests.helpers.cropping import crop, files, only_clip, settings
from tests.helpers.markers import Image, MarkerDetector, blank, face_at, moving_faces, write_photo, write_video


class Stopped(Exception):
    """Simulates a kill."""


class Interrupted(MarkerDetector):
    """Stops at a given image."""

    def __init__(self, at: int) -> None:
        super().__init__(features=True)
        self.at = at

    def detect(self, image: Image) -> list[Detection]:
        if self.seen == self.at:
            raise Stopped
        return super().detect(image)


@pytest.mark.parametrize("at", [0, 1, 7, 14])
def test_an_interrupted_clip_ends_the_same_and_detects_nothing_twice(tmp_path: Path, at: int) -> None:
    clip = only_clip(write_video(tmp_path / "a.avi", [*moving_faces(8), blank(), *moving_faces(6)]))
    crop(clip, tmp_path / "whole", MarkerDetector(features=True), smooth=2)
    with pytest.raises(Stopped):
        crop(clip, tmp_path / "out", Interrupted(at), smooth=2)
    assert not rows_file(tmp_path / "out", clip).exists()
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/crops").rglob("*.png")}
    again = MarkerDetector(features=True)
    crop(clip, tmp_path / "out", again, smooth=2)
    assert again.seen == 15 - at
    assert (tmp_path / "out/features/a.npy").exists()
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_an_unreadable_video_is_a_row_and_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"dear diary")
    with caplog.at_level(logging.WARNING):
        (row,) = crop(only_clip(path), tmp_path / "out")
    assert (row["file"], row["frame"], row["status"], row["crop"]) == (str(path), "0", "decode_error", "")
    assert caplog.messages == [
        f"{path}: expected a video, got a file that FFmpeg cannot decode; replace the file or leave it out"
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
    what = "; rows of such frames have the status decode_error"
    assert caplog.messages == [
        f"{tmp_path}/in/a.jpg: expected an image, got an empty file{what}",
        f"{tmp_path}/in/c.jpg: expected an image, got a truncated image{what}",
    ]


def test_a_truncated_video_keeps_what_it_has_and_warns_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.avi", moving_faces(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        rows = crop(only_clip(path), tmp_path / "out")
    statuses = [row["status"] for row in rows]
    assert 10 < len(statuses) < 30, "half of the file, whose frames take about the same bytes"
    assert statuses == [*["ok"] * (len(statuses) - 1), "decode_error"]
    assert len(caplog.messages) == 1
    assert f"{path}: expected 40 frames, got {len(rows)}: the file is truncated" in caplog.messages[0]


def test_a_range_beyond_the_end_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = only_clip(write_video(tmp_path / "a.avi", moving_faces(5)))
    with caplog.at_level(logging.WARNING):
        assert crop(clip, tmp_path / "out", frames=FrameRange(every=1, start_s=60.0, end_s=None)) == []
    assert caplog.messages == [f"{tmp_path}/a.avi: no frames selected; check frames.start_s, end_s and every"]


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
    assert message.startswith(f"{clip.file}: expected a file that can be unpacked, got '")
    assert message.endswith("'; replace the archive or leave it out")


def test_a_file_that_changed_since_is_refused_and_cropped_again_when_asked(tmp_path: Path) -> None:
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
    assert message.endswith(f"; to crop it again, remove '{folder}'; to keep the crops, choose another output")
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
    with pytest.raises(DataError, match=r"in: expected 1 file of \d+ bytes .* when cropping started, got 2 files"):
        check_source(only_clip(tmp_path / "in"), tmp_path / "out/.progress")


def test_crops_that_cannot_be_written_end_the_clip_in_one_line(tmp_path: Path) -> None:
    clip = only_clip(write_video(tmp_path / "a.avi", moving_faces(5)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/crops").touch()  # no folder
    with pytest.raises(DataError, match=r"crops/a/000001.png: expected a writable file, got '.*'"):
        crop(clip, tmp_path / "out")
    assert not rows_file(tmp_path / "out", clip).exists()


def test_a_folder_of_an_earlier_version_continues_without_features(tmp_path: Path) -> None:
    store_recipe(tmp_path, settings(), MarkerDetector())
    recipe = json.loads((tmp_path / "crops.json").read_text("utf-8"))
    assert recipe["detector"].pop("features") is False
    (tmp_path / "crops.json").write_text(json.dumps(recipe), encoding="utf-8")
    crop(only_clip(write_photo(tmp_path / "in/a.png", face_at(40, 40))), tmp_path)
    store_recipe(tmp_path, settings(), MarkerDetector())
    with pytest.raises(ConfigError, match=r"^detector\.features: expected False as for the crops in .*, got True; "):
        store_recipe(tmp_path, settings(), MarkerDetector(features=True))
