"""Sources of predictions: videos, images, a camera, a stream or arrays, each read as a sequence of frames."""

from __future__ import annotations

import itertools
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceflow.checks import check_texts, check_whole
from faceflow.cropping.clips import Clip, FoundClips, search
from faceflow.errors import ConfigError, DataError
from faceflow.faces.native_log import native_lines_logged
from faceflow.faces.video import Frame, FrameRange, read_images, read_video
from faceflow.faces.video_file import describe_video, public_name
from faceflow.images import Image

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_LAST_CAMERA = 99  # OpenCV takes hundreds for its drivers, and crashes for numbers below 0
_DEVICES = ("/dev/video", "/dev/v4l/")  # of Linux
_CAMERA_FPS = 30.0  # of a rendered video, if the camera reports none


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """A stream of frames.

    Frames of a `sequence` follow each other in time, so faces are tracked through it; a `live` source has no end.
    `file` returns the file name of a frame by its number, `count` is the number of frames, 0 if unknown, `fps` the rate
    of the frames that are read, and `video` the file with their sound.
    """

    name: str
    read: Callable[[], Iterator[Frame]]
    file: Callable[[int], str]
    sequence: bool
    count: int
    fps: float | None
    live: bool = False
    video: Path | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class FoundSources:
    """Sources that a user named; `files` lists what was found in folders, None for a camera or arrays."""

    sources: list[Source]
    files: FoundClips | None = None


def find_sources(wanted: Any, frames: FrameRange, *, skip: Collection[Path] = ()) -> list[Source]:
    """Find the sources that a user named; see `search_sources`."""
    return search_sources(wanted, frames, skip=skip).sources


def search_sources(
    wanted: Any, frames: FrameRange, *, skip: Collection[Path] = (), copies: Path | None = None
) -> FoundSources:
    """Find the sources that a user named: paths and patterns (videos, images, folders), a camera, a stream or arrays.

    A camera is a number (also as text if no file has that name) or a device such as /dev/video0; a stream is an address
    with a scheme, such as rtsp://host/live.

    Args:
        wanted: one of these or a list. A camera is its number or a device; a stream is an address with "://"; arrays
            are uint8 RGB (H, W, 3) of any sizes, or one array (N, H, W, 3).
        frames: which frames of videos are read.
        skip: files that are not sources, such as results of an earlier run.
        copies: folder for local copies of stored objects.

    Raises:
        DataError: nothing was found, or a camera does not open.
        ConfigError: no source, or kinds that cannot be combined.
    """
    many = isinstance(wanted, Sequence) and not isinstance(wanted, str)
    items = list(wanted) if many or (isinstance(wanted, np.ndarray) and wanted.ndim == 4) else [wanted]
    if not items or any(item is None or item == "" for item in items if not isinstance(item, np.ndarray)):
        raise ConfigError("source: expected files or a camera number, got none; add source=PATH, or source=0")
    if all(isinstance(item, np.ndarray) for item in items):
        return FoundSources(sources=[_arrays(items)])
    items = [_camera_or_path(item) for item in items]
    if any(isinstance(item, int) or is_live(item) for item in items):
        if len(items) > 1:
            raise ConfigError(
                f"source: expected a single camera or stream, got {len(items)} sources; predict them one at a time"
            )
        if isinstance(items[0], str):
            live = _stream(items[0], frames) if "://" in items[0] else _camera(items[0], frames)
            return FoundSources(sources=[live])
        expected = f"a camera number, 0..{_LAST_CAMERA}, or a path"
        check_whole(items[0], key="source", lowest=0, highest=_LAST_CAMERA, expected=expected)
        return FoundSources(sources=[_camera(items[0], frames)])
    if not all(isinstance(item, str | Path) for item in items):
        kinds = ", ".join(sorted({type(item).__name__ for item in items}))
        raise ConfigError(f"source: expected paths, one camera, or images as uint8 arrays, got {kinds}")
    paths = [str(item) for item in items]
    check_texts(paths if many else paths[0], key="source")
    found = search(paths, skip=skip, copies=copies)
    return FoundSources(sources=[_clip(clip, frames) for clip in found.clips], files=found)


def _camera_or_path(item: Any) -> Any:
    """The camera number in a text; anything else is returned unchanged."""
    if not isinstance(item, str) or not _NUMBER.fullmatch(item):
        return item
    if not os.path.lexists(item):
        return int(item)
    log.info("source=%s: reading the file of this name; for the camera use source=/dev/video%s", item, item)
    return item


def is_live(source: object) -> bool:
    """Whether a text names a device or the address of a stream, not a file."""
    return isinstance(source, str) and ("://" in source or source.startswith(_DEVICES))


def _clip(clip: Clip, frames: FrameRange) -> Source:
    if clip.images is not None:
        images: Mapping[int, Path] = clip.images
        return Source(
            name=clip.title,
            read=lambda: read_images(images),
            file=clip.frame_file,
            sequence=False,
            count=len(images),
            fps=None,
        )
    assert isinstance(clip.file, Path), "only data sets have videos in archives"
    path = clip.file
    facts = describe_video(path)
    announced, rate = facts.frames, facts.rate
    if rate and frames.end_s is not None:
        announced = min(announced, int(frames.end_s * rate) + 1)
    if rate:
        announced = max(0, announced - int(frames.start_s * rate))
    return Source(
        name=clip.title,
        read=lambda: _video(path, frames),
        file=clip.frame_file,
        sequence=True,
        count=-(-announced // frames.every),
        fps=rate and rate / frames.every,
        video=path,
    )


def _video(path: Path, frames: FrameRange) -> Iterator[Frame]:
    """Frames of a video; one that cannot be opened gives a frame without pixels, so that other files are still read."""
    try:
        yield from read_video(path, frames)
    except DataError as error:
        yield Frame(0, None, None, str(error).removeprefix(f"{path}: "))


def _arrays(images: Sequence[Any]) -> Source:
    for position, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise DataError(
                f"images[{position}]: expected RGB of type uint8 and shape (H, W, 3), "
                f"got {image.dtype} of shape {image.shape}; convert it"
            )
    checked: Sequence[Image] = images
    return Source(
        name="images",
        read=lambda: (Frame(number, None, image) for number, image in enumerate(checked, start=1)),
        file=lambda number: "",
        sequence=False,
        count=len(images),
        fps=None,
    )


def _stream(address: str, frames: FrameRange) -> Source:
    name = public_name(address)
    return Source(
        name=name,
        # After joining a stream in the middle, frames before the first key frame cannot be decoded.
        read=lambda: itertools.dropwhile(lambda frame: frame.image is None, read_video(address, frames)),
        file=lambda number: name,
        sequence=True,
        count=0,
        fps=None,
        live=True,
    )


def _camera(camera: int | str, frames: FrameRange) -> Source:
    name = f"camera {camera}"
    with native_lines_logged():  # each driver that OpenCV tries prints a line
        capture = cv2.VideoCapture(camera) if isinstance(camera, int) else cv2.VideoCapture(camera, cv2.CAP_V4L2)
        opened = capture.isOpened()
        rate = float(capture.get(cv2.CAP_PROP_FPS)) if opened else 0.0
    if not opened:
        capture.release()
        raise DataError(
            f"source: expected {name} to open, got no answer; check that it is connected, that no other program uses "
            "it, and its number (0, 1, ...); for a file use source=PATH"
        )
    fps = rate if 0 < rate < 1000 else _CAMERA_FPS
    return Source(
        name=name,
        read=lambda: _shots(capture, frames),
        file=lambda number: name,
        sequence=True,
        count=0,
        fps=fps / frames.every,
        live=True,
    )


def _shots(capture: Any, frames: FrameRange) -> Iterator[Frame]:
    """Frames of a camera with the seconds since the first frame, until `end_s` or until it is unplugged."""
    started: float | None = None
    number = 0
    try:
        while True:
            taken, pixels = capture.read()
            now = time.monotonic()
            started = now if started is None else started
            if not taken or (frames.end_s is not None and now - started > frames.end_s):
                return
            number += 1
            if frames.includes(number, now - started):
                yield Frame(number, now - started, np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))
    finally:
        capture.release()
