"""Frames of a video in sequence: numbered by decoding, with timestamps, in bounded memory."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from faceflow.checks import check_number, check_whole
from faceflow.faces.video_decoding import decode_video
from faceflow.faces.video_pixels import RgbConverter, deinterlaced
from faceflow.images import Image, decode_image, find_fault

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset(
    {
        *(".3g2", ".3gp", ".asf", ".avi", ".dv", ".flv", ".m2t", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
        *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
    }
)
_NEIGHBOURS_S = 1.0  # earlier frames that are decoded too, as deinterlacing needs them


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame: `number` from 1, seconds from the start, RGB pixels (H, W, 3).

    `image` is None if it could not be decoded; `fault` then says what was expected and found. `after_cut`: it begins a
    new shot, if cuts were searched for.
    """

    number: int
    time_s: float | None
    image: Image | None
    fault: str | None = None
    after_cut: bool = False


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

    def includes(self, number: int, time_s: float | None) -> bool:
        """Whether a frame is read; one with unknown time is in every range."""
        if (number - 1) % self.every:
            return False
        after_start = time_s is None or not self.start_s or self.start_s <= time_s
        return after_start and (time_s is None or self.end_s is None or time_s <= self.end_s)


def read_video(source: Path | str, frames: FrameRange) -> Generator[Frame, None, None]:
    """Decode a video file, or a stream by its address.

    Frame n is the n-th one that the decoder gives, whatever the container says.

    Times are seconds since the start of the video stream, by its own timestamps. A frame that the decoder reports as
    broken is yielded without pixels. Pixels are as a viewer shows them: see `RgbConverter`. Frames before the range are
    not decoded if they can be counted otherwise.

    Raises:
        DataError: not a video, or one without a frame.
    """
    converter = RgbConverter()
    from_s = frames.start_s - _NEIGHBOURS_S
    with contextlib.closing(decode_video(source, from_s=from_s)) as decoded:
        near = (item for item in decoded if item.time_s is None or item.time_s >= from_s)
        for item in deinterlaced(near):
            if frames.end_s is not None and item.time_s is not None and item.time_s > frames.end_s:
                return
            if frames.includes(item.number, item.time_s):
                image = None if item.frame is None else converter.convert(item.frame, item.pixel_aspect)
                yield Frame(item.number, item.time_s, image, item.fault)


def read_images(images: Mapping[int, Path]) -> Iterator[Frame]:
    """Read numbered image files in order; a broken or truncated one is yielded without pixels."""
    for number in sorted(images):
        fault = find_fault(images[number])  # OpenCV fills a truncated JPEG with grey
        image, fault = (None, fault) if fault else decode_image(images[number])
        yield Frame(number, None, image, fault and f"expected an image, got {fault}")


def warn_of_faults(frames: Iterable[Frame], file_of: Callable[[int], str]) -> Iterator[Frame]:
    """Pass on frames, and warn of undecodable ones, once per file and fault; `file_of` names a frame's file."""
    said = set()
    for frame in frames:
        line = f"{file_of(frame.number)}: {frame.fault}"
        if frame.fault and line not in said:
            said.add(line)
            log.warning("%s; rows of such frames have the status decode_error", line)
        yield frame
