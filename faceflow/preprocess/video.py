"""Frames of a video one after another: numbered by decoding, with timestamps, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from faceflow.config.checks import check_number
from faceflow.errors import DataError
from faceflow.images import Image, find_fault, read_image

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"})


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame: `number` from 1, seconds from the start, RGB pixels (H, W, 3).

    `image` is None where it could not be decoded; `fault` then says why.
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
        check_number(
            self.every, key="frames.every", expected="a whole number >= 1", valid=lambda value: value >= 1, whole=True
        )
        check_number(self.start_s, key="frames.start_s", expected="seconds >= 0", valid=lambda value: value >= 0)
        if self.end_s is not None:
            check_number(
                self.end_s,
                key="frames.end_s",
                expected=f"seconds after frames.start_s={self.start_s}, or null",
                valid=lambda value: value > self.start_s,
            )


def read_video(path: Path, frames: FrameRange) -> Iterator[Frame]:
    """Decode a video; frame n is the n-th one that the decoder gives, whatever the container says.

    A frame that the container announces and the decoder does not reach is yielded without pixels, so that a truncated
    file is seen. Sideways phone videos are turned upright.

    Raises:
        DataError: not a video, or one without a frame.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise DataError(f"{path}: expected a video, got {_why_unreadable(path)}; replace the file or leave it out")
        announced = announced_frames(capture)
        number = 0
        while capture.grab():
            number += 1
            time_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if frames.end_s is not None and time_s > frames.end_s:
                return
            if time_s < frames.start_s or (number - 1) % frames.every:
                continue
            decoded, pixels = capture.retrieve()
            if decoded:
                yield Frame(number, time_s, np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))
            else:
                yield Frame(number, time_s, None, "a frame that cannot be decoded")
        if number == 0:
            raise DataError(f"{path}: expected a video, got one without a frame; replace the file or leave it out")
        if announced - number > _slack(announced):
            for missing in range(number + 1, announced + 1):
                if not (missing - 1) % frames.every:
                    yield Frame(missing, None, None, f"the video ends after frame {number} of {announced}")
    finally:
        capture.release()


def announced_frames(capture: cv2.VideoCapture) -> int:
    """Frames that the container promises; 0 where it does not say."""
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if np.isfinite(count) and 0 < count < 1e9 else 0


def count_frames(path: Path) -> int:
    """Frames that the container promises, for a progress bar; 0 where it does not say."""
    capture = cv2.VideoCapture(str(path))
    try:
        return announced_frames(capture)
    finally:
        capture.release()


def read_images(images: Mapping[int, Path]) -> Iterator[Frame]:
    """Read numbered image files in their order; one that cannot be read is yielded without pixels."""
    for number in sorted(images):
        try:
            yield Frame(number, None, read_image(images[number]))
        except DataError:
            yield Frame(number, None, None, find_fault(images[number]) or "an image that OpenCV cannot decode")


def _slack(announced: int) -> int:
    """Containers compute their count from the duration, which may be off by a frame or two, or by rounding."""
    return max(2, announced // 200)


def _why_unreadable(path: Path) -> str:
    if not path.exists():
        return "no such file"
    return "a file of zero bytes" if path.stat().st_size == 0 else "a file that OpenCV cannot decode"
