"""Frames of videos and image folders, intact and broken."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.faces.video import Frame, FrameRange, read_images, read_video
from faceflow.faces.video_file import VideoFacts, describe_video
from tests.helpers.markers import blank, write_photo, write_video

ALL = FrameRange(every=1, start_s=0.0, end_s=None)


def shades(count: int) -> list[np.ndarray]:
    """Noisy frames that get brighter, so that every frame takes its bytes."""
    rng = np.random.default_rng(0)
    step = 240 // count
    return [np.clip(rng.normal(step * n, 3, (64, 64, 3)), 0, 255).astype(np.uint8) for n in range(1, count + 1)]


def shown(frame: Frame, count: int) -> int:
    """Number that a frame of `shades` shows."""
    assert frame.image is not None
    return round(float(frame.image.mean()) / (240 // count))


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_frames_count_from_one_with_their_times(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, shades(12), fps=10)
    frames = list(read_video(path, ALL))
    assert [frame.number for frame in frames] == list(range(1, 13))
    assert [shown(frame, 12) for frame in frames] == list(range(1, 13))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 10 for n in range(12)])
    assert describe_video(path) == VideoFacts(frames=12, rate=10.0)


def test_images_are_contiguous_rgb(tmp_path: Path) -> None:
    red = np.zeros((32, 48, 3), np.uint8)
    red[..., 0] = 200
    (frame,) = read_video(write_video(tmp_path / "a.avi", [red]), ALL)
    assert frame.image is not None
    assert frame.image.shape == (32, 48, 3)
    assert frame.image.flags.c_contiguous
    assert frame.image.dtype == np.uint8
    assert frame.image.mean(axis=(0, 1)) == pytest.approx([200, 0, 0], abs=8)


@pytest.mark.parametrize(
    ("settings", "numbers"),
    [
        ({"every": 5}, [1, 6, 11]),
        ({"start_s": 0.3}, [4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ({"end_s": 0.2}, [1, 2, 3]),
        ({"every": 3, "start_s": 0.25, "end_s": 0.95}, [4, 7, 10]),
        ({"start_s": 50.0}, []),
    ],
)
def test_frames_left_out_keep_their_numbers(tmp_path: Path, settings: dict[str, float], numbers: list[int]) -> None:
    path = write_video(tmp_path / "a.avi", shades(12), fps=10)
    wanted = FrameRange(**({"every": 1, "start_s": 0.0, "end_s": None} | settings))  # type: ignore[arg-type]
    frames = list(read_video(path, wanted))
    assert [frame.number for frame in frames] == numbers
    assert [shown(frame, 12) for frame in frames] == numbers


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"every": 0}, "frames.every"),
        ({"every": 1.5}, "frames.every"),
        ({"start_s": -1}, "frames.start_s"),
        ({"start_s": 2.0, "end_s": 2.0}, "frames.end_s"),
        ({"end_s": "x"}, "frames.end_s"),
    ],
)
def test_ranges_without_a_frame_are_refused(settings: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: expected "):
        FrameRange(**({"every": 1, "start_s": 0.0, "end_s": None} | settings))  # type: ignore[arg-type]


def test_a_truncated_video_gives_what_it_holds_and_says_what_it_lacks(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", shades(40))
    content = path.read_bytes()
    pictures = sorted(_pictures(bytearray(content), path.name))
    place, size = pictures[19]
    path.write_bytes(content[: place + size // 2])  # in the middle of the twentieth one
    frames = list(read_video(path, ALL))
    assert [shown(frame, 40) for frame in frames[:19]] == list(range(1, 20))
    assert [frame.number for frame in frames] == list(range(1, 21))
    assert frames[19].image is None
    assert frames[19].fault == "expected 40 frames, got 20: the file is truncated"


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_frames_behind_a_broken_one_keep_their_numbers(tmp_path: Path, name: str) -> None:
    # A picture's own bytes are destroyed, not the container's around it.
    path = write_video(tmp_path / name, shades(20))
    content = bytearray(path.read_bytes())
    start, size = sorted(_pictures(content, name))[9]
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    frames = {frame.number: frame for frame in read_video(path, ALL)}
    assert sorted(frames) == list(range(1, 21))
    assert frames[10].image is None
    assert "cannot be decoded" in str(frames[10].fault)
    if name == "a.avi":  # an MPEG-4 frame is a difference to the one before
        assert all(shown(frame, 20) == number for number, frame in frames.items() if number != 10)


def _pictures(content: bytearray, name: str) -> list[tuple[int, int]]:
    """Place and size of every picture in the file."""
    if name.endswith(".avi"):
        end, found = content.rindex(b"idx1"), []
        place = content.find(b"00dc", content.index(b"movi"))
        while 0 <= place < end:
            (size,) = struct.unpack_from("<I", content, place + 4)
            found.append((place + 8, size))
            place = content.find(b"00dc", place + 8 + size)
        return found
    table = content.index(b"stsz") + 12
    (count,) = struct.unpack_from(">I", content, table)
    sizes = struct.unpack_from(f">{count}I", content, table + 4)
    start = content.index(b"mdat") + 4
    return [(start + sum(sizes[:n]), sizes[n]) for n in range(count)]


@pytest.mark.parametrize(
    ("name", "content", "got"),
    [
        ("zero.mp4", b"", "an empty file"),
        ("text.avi", b"dear diary " * 50, "a file that FFmpeg cannot decode"),
        ("none.mp4", None, "no such file or directory"),
    ],
)
def test_a_file_that_is_not_a_video_is_named(tmp_path: Path, name: str, content: bytes | None, got: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_video(path, ALL))
    assert str(caught.value) == f"{path}: expected a video, got {got}; replace the file or leave it out"


def test_a_video_without_a_frame_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64)).release()
    with pytest.raises(DataError, match=r"expected a video, got one without a frame; replace"):
        list(read_video(path, ALL))


def test_a_sideways_phone_video_is_turned_upright(tmp_path: Path) -> None:
    sideways = blank(64, 48, 20)
    sideways[:, :16] = 220  # left of the sensor
    path = write_video(tmp_path / "a.mp4", [sideways] * 3)
    content = path.read_bytes()
    matrix = content.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">i", content, matrix) == (0x10000,)
    quarter = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)  # show it turned clockwise
    path.write_bytes(content[:matrix] + quarter + content[matrix + 36 :])
    frame = next(read_video(path, ALL))
    assert frame.image is not None
    assert frame.image.shape == (64, 48, 3)
    assert frame.image[:8].mean() == pytest.approx(220, abs=10)
    assert frame.image[-30:].mean() == pytest.approx(20, abs=10)


def test_images_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    files = {n: write_photo(tmp_path / f"{name}.png", blank(8, 8, n)) for name, n in (("a", 30), ("b", 4), ("c", 200))}
    frames = list(read_images(files))
    assert [frame.number for frame in frames] == [4, 30, 200]
    assert [int(frame.image.mean()) for frame in frames if frame.image is not None] == [4, 30, 200]
    assert {frame.time_s for frame in frames} == {None}


def test_broken_images_are_frames_without_pixels(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    files = {1: write_photo(tmp_path / "a.jpg", noise), 2: tmp_path / "none.jpg", 3: tmp_path / "b.jpg"}
    files |= {4: write_photo(tmp_path / "c.jpg", noise), 5: tmp_path / "d.png"}
    content = files[1].read_bytes()
    files[3].write_bytes(content[: len(content) // 2])
    files[4].write_bytes(b"\xff\xd8\xff" + b"x" * 200 + b"\xff\xd9")
    files[5].touch()
    frames = list(read_images(files))
    assert [frame.number for frame in frames if frame.image is not None] == [1]
    assert [frame.fault for frame in frames] == [
        None,
        "expected an image, got no such file",
        "expected an image, got a truncated image",
        "expected an image, got an image that OpenCV cannot decode",
        "expected an image, got an empty file",
    ]
