"""What a user can name as a source, and what is read from it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.faces.video import FrameRange, warn_of_faults
from faceflow.inference.frames import find_sources, search_sources
from tests.helpers.markers import blank, moving_faces, write_photo, write_video

ALL = FrameRange(every=1, start_s=0.0, end_s=None)


def test_a_video_is_a_sequence_with_its_length_and_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", moving_faces(21), fps=10)
    (source,) = find_sources(str(path), ALL)
    assert (source.name, source.sequence, source.count, source.fps) == (str(path), True, 21, 10)
    frames = list(source.read())
    assert [frame.number for frame in frames] == list(range(1, 22))
    assert source.file(3) == str(path)
    assert [frame.number for frame in source.read()] == list(range(1, 22)), "a second time"


def test_part_of_a_video_is_counted_as_it_is_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", moving_faces(40), fps=10)
    (source,) = find_sources(path, FrameRange(every=5, start_s=1.0, end_s=3.0))
    assert [frame.number for frame in source.read()] == [11, 16, 21, 26, 31]
    assert source.count == 5
    assert source.fps == 2


def test_a_folder_is_its_videos_and_pictures_of_any_size(tmp_path: Path) -> None:
    write_photo(tmp_path / "b.png", blank(20, 30))
    write_photo(tmp_path / "a.png", blank(40, 30))
    write_video(tmp_path / "sub/c.avi", [blank()])
    (tmp_path / "notes.txt").touch()
    pictures, video = find_sources(str(tmp_path), ALL)
    assert (pictures.sequence, pictures.count, pictures.fps) == (False, 2, None)
    shapes = [frame.image.shape for frame in pictures.read() if frame.image is not None]
    assert shapes == [(30, 40, 3), (30, 20, 3)]
    assert [pictures.file(number) for number in (1, 2)] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert video.sequence
    (only,) = find_sources([tmp_path / "a.png"], ALL)
    assert only.count == 1


def test_results_of_an_earlier_run_are_no_sources(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", [blank()])
    write_video(tmp_path / "shown.avi", [blank()])
    (source,) = find_sources(str(tmp_path), ALL, skip=[tmp_path / "shown.avi"])
    assert source.name == str(tmp_path / "a.avi")


def test_arrays_are_pictures_one_or_many() -> None:
    image = blank(20, 10)
    for wanted, count in ((image, 1), ([image, blank(5, 5)], 2), (np.stack([image] * 3), 3)):
        (source,) = find_sources(wanted, ALL)
        assert (source.count, source.sequence) == (count, False)
        frames = list(source.read())
        assert [frame.number for frame in frames] == list(range(1, count + 1))
        assert np.array_equal(frames[0].image, image)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (blank().astype(np.float32), "float32 of shape (96, 96, 3)"),
        (blank()[..., 0], "uint8 of shape (96, 96)"),
        (np.zeros((4, 4, 4), np.uint8), "uint8 of shape (4, 4, 4)"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 of shape (0, 4, 3)"),
    ],
)
def test_arrays_of_another_kind_are_refused(image: Any, got: str) -> None:
    with pytest.raises(DataError) as caught:
        find_sources([blank(), image], ALL)
    line = f"images[1]: expected RGB of type uint8 and shape (H, W, 3), got {got}; convert it"
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (None, "source: expected files or a camera number, got none; add source=PATH, or source=0"),
        ([], "source: expected files or a camera number, got none"),
        ([0, 1], "source: expected a single camera or stream, got 2 sources"),
        ([0, "a.mp4"], "source: expected a single camera or stream, got 2 sources"),
        ("", "source: expected files or a camera number, got none"),
        (["a.mp4", ""], "source: expected files or a camera number, got none"),
        (2.5, "source: expected paths, one camera, or images as uint8 arrays, got float"),
        (
            [blank(), Path("a.png")],
            "source: expected paths, one camera, or images as uint8 arrays, got PosixPath, nd",
        ),
        (-1, "source: expected a camera number, 0..99, or a path, got -1"),
        (2**40, "source: expected a camera number, 0..99, or a path, got 1099511627776"),
        (True, "source: expected a camera number, 0..99, or a path, got True"),
        ("nowhere.mp4", "source: expected a file, a folder or a pattern that matches, got 'nowhere.mp4'"),
        (99, "source: expected camera 99 to open, got no answer; check that it is connected"),
    ],
)
def test_invalid_sources_are_one_line(wanted: Any, line: str) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        find_sources(wanted, ALL)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_video_that_does_not_open_is_a_broken_frame_and_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video" * 100)
    (source,) = find_sources(path, ALL)
    with caplog.at_level(logging.WARNING):
        (frame,) = warn_of_faults(source.read(), source.file)
    assert (frame.number, frame.image) == (0, None)
    (line,) = caplog.messages
    assert line.startswith(f"{path}: expected a video, got a file that FFmpeg cannot decode")


def test_a_number_is_a_camera_where_no_file_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^source: expected camera 99 to open, got no answer"):
        find_sources("99", ALL)
    with pytest.raises(ConfigError, match=r"^source: expected a camera number, 0..99, or a path, got 2024"):
        find_sources("2024", ALL)
    write_photo(tmp_path / "99/a.png", blank(4, 4))
    with caplog.at_level(logging.INFO):
        (source,) = find_sources("99", ALL)
    assert (source.name, source.live) == ("99", False)
    assert caplog.messages == ["source=99: reading the file of this name; for the camera use source=/dev/video99"]


def test_files_skipped_in_folders_are_counted(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", blank(4, 4))
    (tmp_path / "a.txt").touch()
    found = search_sources(tmp_path, ALL)
    assert found.files is not None
    assert found.files.passed_over == {".txt": 1}
    assert search_sources(blank(4, 4), ALL).files is None
