"""Frames of a video one after another: numbered by decoding, with timestamps, in bounded memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from faceflow.checks import check_number, check_whole
from faceflow.errors import DataError
from faceflow.images import Image, decode_image, find_fault

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"})


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame: `number` from 1, seconds from the start, RGB pixels (H, W, 3).

    `image` is None where it could not be decoded; `fault` then says what was expected and what it is.
    """

    number: int
    time_s: float | None
    image: Image | None
    fault: str | None = None


@dataclass(frozen=True, kw_only=True)
class FrameRange:
    """Which frames of a video are read: every `every`-th one from `start_s` to `end_s` (None: its end), in seconds."""

    every: int
    start_s: float
    end_s: float | None

    def __post_init__(self) -> None:
        """Check the range."""
        check_whole(self.every, key="frames.every", lowest=1)
        check_number(self.start_s, key="frames.start_s", expected="seconds >= 0", valid=lambda value: value >= 0)
        if self.end_s is not None:
            check_number(
                self.end_s,
                key="frames.end_s",
                expected=f"seconds after frames.start_s={self.start_s}, or null",
                valid=lambda value: value > self.start_s,
            )

    def includes(self, number: int, time_s: float) -> bool:
        """Whether a frame is read."""
        in_time = self.start_s <= time_s and (self.end_s is None or time_s <= self.end_s)
        return in_time and (number - 1) % self.every == 0


def read_video(path: Path, frames: FrameRange) -> Iterator[Frame]:
    """Decode a video; frame n is the n-th one that the decoder gives, whatever the container says.

    A broken frame, and one that the container announces and the file does not hold, is yielded without pixels, so that
    a damaged or truncated file is seen. Sideways phone videos are turned upright.

    Raises:
        DataError: not a video, or one without a frame.
    """
    capture = _open(path)
    try:
        if not capture.isOpened():
            raise DataError(f"{path}: expected a video, got {_why_unreadable(path)}; replace the file or leave it out")
        announced, rate = announced_frames(capture), capture.get(cv2.CAP_PROP_FPS)
        seconds = 1 / rate if rate > 0 else 0.0
        number = lost = 0
        while True:
            if not capture.grab():
                lost += 1  # perhaps one broken frame: FFmpeg goes on behind it
                if number + lost >= announced:
                    break
                continue
            fault = "expected a whole video, got a frame that cannot be decoded: later numbers may be off"
            yield from _missing(range(number + 1, number + lost + 1), seconds, frames, fault)
            number, lost = number + lost + 1, 0
            time_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if frames.end_s is not None and time_s > frames.end_s:
                return
            if frames.includes(number, time_s):
                yield _retrieved(capture, number, time_s)
        if number == 0:
            raise DataError(f"{path}: expected a video, got one without a frame; replace the file or leave it out")
        if lost > _slack(announced):
            fault = f"expected {announced} frames, got {number}: cut off, or damaged so that later numbers are off"
            yield from _missing(range(number + 1, announced + 1), seconds, frames, fault)
    finally:
        capture.release()


def announced_frames(capture: cv2.VideoCapture) -> int:
    """Frames that the container promises; 0 where it does not say."""
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if np.isfinite(count) and 0 < count < 1e9 else 0


def count_frames(path: Path) -> int:
    """Frames that the container promises, for a progress bar; 0 where it does not say."""
    capture = _open(path)
    try:
        return announced_frames(capture)
    finally:
        capture.release()


def read_images(images: Mapping[int, Path]) -> Iterator[Frame]:
    """Read numbered image files in their order; one that is broken or cut short is yielded without pixels."""
    for number in sorted(images):
        fault = find_fault(images[number])  # OpenCV fills up a truncated JPEG with grey
        image, fault = (None, fault) if fault else decode_image(images[number])
        yield Frame(number, None, image, fault and f"expected an image, got {fault}")


def warn_of_faults(frames: Iterable[Frame], file_of: Callable[[int], str]) -> Iterator[Frame]:
    """Pass frames on, and warn of those that do not decode, of a kind once per file; `file_of` names a frame's file."""
    said = set()
    for frame in frames:
        line = f"{file_of(frame.number)}: {frame.fault}"
        if frame.fault and line not in said:
            said.add(line)
            log.warning("%s; such rows have the status decode_error", line)
        yield frame


def _open(path: Path) -> cv2.VideoCapture:
    # FFmpeg would write a line to the terminal for every block of a broken frame; the first capture reads this.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    return cv2.VideoCapture(str(path))


def _retrieved(capture: cv2.VideoCapture, number: int, time_s: float) -> Frame:
    decoded, pixels = capture.retrieve()
    if not decoded:
        return Frame(number, time_s, None, "expected a whole video, got a frame that cannot be decoded")
    return Frame(number, time_s, np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))


def _missing(numbers: range, seconds: float, frames: FrameRange, fault: str) -> Iterator[Frame]:
    """Frames without pixels, those of the range that would show at their times; `seconds` lie between frames."""
    return (Frame(n, None, None, fault) for n in numbers if frames.includes(n, (n - 1) * seconds))


def _slack(announced: int) -> int:
    """Containers compute their count from the duration, which may be off by a frame or two, or by rounding."""
    return max(2, announced // 200)


def _why_unreadable(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return "a file that OpenCV cannot decode" if file.read(1) else "a file of zero bytes"
    except OSError as error:
        return (error.strerror or str(error)).lower()
