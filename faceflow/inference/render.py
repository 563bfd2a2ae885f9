"""A video or image that shows the estimates: boxes around faces, and a bar for each AU beside the frame."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np

from faceflow.aus import description
from faceflow.encoding import FACS_MAX
from faceflow.errors import ConfigError, DataError
from faceflow.faces.video_writing import WRITABLE_SUFFIXES, VideoWriter, writes_h264
from faceflow.images import Image, encode_image
from faceflow.inference.contract import ModelContract
from faceflow.inference.decision import threshold_of
from faceflow.inference.face_crops import Picture
from faceflow.inference.output import partial_name
from faceflow.inference.pipeline import Estimates, FacePrediction, FramePrediction

PICTURE_SUFFIXES = (".png", ".jpg")
_FPS = 25.0  # if the source has no rate
_LOWEST, _HIGHEST = 480, 1080  # pixels of the shown frame
_ROW, _HEAD, _PANEL, _EDGE, _BAR = 30, 40, 400, 12, 9  # pixels; a panel of _HEAD, then rows
_TAG = 20  # pixels, height of a face's label
_NAME, _VALUE = 192, 86  # pixels of their width in low rows
_PAPER, _INK, _GRAY, _PALE = (24, 24, 27), (240, 240, 240), (150, 150, 155), (62, 62, 68)
_ACTIVE, _PASSIVE, _THRESHOLD = (230, 140, 40), (86, 160, 214), (255, 255, 255)
_STATUS = {"ok": (110, 220, 120), "tracked": (240, 200, 70)}
_UNSURE = (235, 90, 80)
_FONT, _SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
_ROOMY = 24  # height of a row in pixels from which the bar is below the name


def shown(image: Image) -> Picture:
    """Frame at the size of the video: large enough to read, at most Full HD, with even sides as codecs require."""
    height, width = image.shape[:2]
    scale = min(max(_LOWEST / height, 1.0), _HIGHEST / height)
    size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = image if size == (width, height) else cv2.resize(image, size, interpolation=method)
    return Picture(pixels=np.asarray(resized, np.uint8), scale=size[0] / width)


class Renderer:
    """Writes frames as a video, or a single frame as an image, under `partial_name` until it is complete.

    Bars show the first face of a frame, boxes all faces.

    Args:
        path: .mp4, .mkv (H.264) or .avi (Motion JPEG); .png or .jpg for a single frame.
        contract: gives AUs and thresholds.
        fps: frames per second of a source without times; None if unknown.
        sound_of: video whose sound is copied; None for silence.

    Raises:
        ConfigError: unknown suffix.
        DataError: the file cannot be written.
    """

    def __init__(self, path: Path, contract: ModelContract, fps: float | None, sound_of: Path | None) -> None:
        self.is_picture = path.suffix.lower() in PICTURE_SUFFIXES
        if not self.is_picture and path.suffix.lower() not in WRITABLE_SUFFIXES:
            raise ConfigError(
                f"render: expected a video that ends in {', '.join(WRITABLE_SUFFIXES)}, or for a single image "
                f"{', '.join(PICTURE_SUFFIXES)}, got '{path}'"
            )
        if not self.is_picture and path.suffix.lower() != ".avi" and not writes_h264():
            raise ConfigError(
                f"render: expected an FFmpeg that encodes H.264, got one that does not; set render={path.stem}.avi"
            )
        self.path = path
        self.contract = contract
        self.fps = fps or _FPS
        self.sound_of = sound_of
        self._writer: VideoWriter | _PictureWriter | None = None
        self._size: tuple[int, int] | None = None  # of the frame, width and height
        self._several = False  # whether there was more than one face, so that faces are numbered

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        with self._written(report=kind is None):
            self._writer.close()
            if kind is None:
                partial_name(self.path).replace(self.path)

    def draw(self, frames: Iterator[FramePrediction]) -> Iterator[FramePrediction]:
        """Write frames that have a `picture` made by `shown`, and pass them on without it; broken frames are blank."""
        for frame in frames:
            if frame.picture is not None and self._size is None:
                self._open(frame.picture.pixels)
            if self._size is not None:
                self._write(frame)
            yield replace(frame, picture=None)

    def _open(self, picture: Image) -> None:
        height, width = picture.shape[:2]
        self._size = width, height
        self._height = max(height, _HEAD + _EDGE + 16 * len(self.contract.shown)) // 2 * 2
        with self._written():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            path = partial_name(self.path)
            if self.is_picture:
                self._writer = _PictureWriter(path)
                return
            self._writer = VideoWriter(
                path,
                width=width + _PANEL,
                height=self._height,
                fps=self.fps,
                sound_of=self.sound_of,
            )

    @contextlib.contextmanager
    def _written(self, *, report: bool = True) -> Iterator[None]:
        """Remove a video that cannot be written, and raise unless another error came first."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            writer, self._writer = self._writer, None
            with contextlib.suppress(av.FFmpegError, OSError):
                if writer is not None:
                    writer.close()
            with contextlib.suppress(OSError):
                partial_name(self.path).unlink(missing_ok=True)
            if report:
                reason = error.strerror or str(error)
                raise DataError(
                    f"render: expected a writable file, got '{reason.lower()}': '{self.path}'; check disk and path"
                ) from error

    def _write(self, frame: FramePrediction) -> None:
        assert self._size is not None
        assert self._writer is not None
        self._several |= len(frame.faces) > 1 or bool(frame.faces[0].face.number)
        canvas = np.full((self._height, self._size[0] + _PANEL, 3), _PAPER, np.uint8)
        if frame.picture is not None:
            fitted = _fitted(frame.picture, self._size)
            for face in frame.faces:
                _draw_box(fitted.pixels, face, fitted.scale, several=self._several)
            canvas[: fitted.pixels.shape[0], : fitted.pixels.shape[1]] = fitted.pixels
        _draw_panel(canvas, self._size[0], frame, self.contract, several=self._several)
        with self._written():
            self._writer.write(canvas, frame.time_s)


class _PictureWriter:
    """Writes an image with the interface of `VideoWriter`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, image: Image, time_s: float | None) -> None:
        self.path.write_bytes(encode_image(image, self.path.suffix.lower()))

    def close(self) -> None:
        """Do nothing: the image is already written."""


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    """A copy that fits into width and height, as frames can rotate or change size in mid-stream."""
    height, width = picture.pixels.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    if scale == 1:
        return replace(picture, pixels=picture.pixels.copy())
    smaller = cv2.resize(picture.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return Picture(pixels=np.asarray(smaller[: size[1], : size[0]], np.uint8), scale=picture.scale * scale)


def _draw_box(picture: Image, face: FacePrediction, scale: float, *, several: bool) -> None:
    found = face.face.detection
    if found is None:
        return
    x1, y1, x2, y2 = (round((float(value) + 0.5) * scale) for value in found.box)
    colour = _STATUS.get(face.face.status, _UNSURE)
    cv2.rectangle(picture, (x1, y1), (x2, y2), colour, 2, cv2.LINE_AA)
    words = [f"face {face.face.number}"] if several else []
    words += [] if face.face.status == "ok" else [face.face.status.replace("_", " ")]
    if words:
        _tag(picture, ", ".join(words), (x1 - 1, max(_TAG, y1)), colour)


def _tag(picture: Image, text: str, corner: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write dark text on a bar in the colour of the box, with its lower left at `corner`: legible on any frame."""
    width, bottom = _width(text, 0.5) + 8, corner[1]
    left = max(0, min(corner[0], picture.shape[1] - width))
    cv2.rectangle(picture, (left, bottom - _TAG), (left + width, bottom), colour, -1)
    _text(picture, text, (left + 4, bottom - 6), 0.5, _PAPER)


def _draw_panel(canvas: Image, left: int, frame: FramePrediction, contract: ModelContract, *, several: bool) -> None:
    face = frame.faces[0]
    words = [f"frame {frame.number}"]
    words += [] if frame.time_s is None else [f"{frame.time_s:.2f} s"]
    words += [f"face {face.face.number}"] if several and face.face.number is not None else []
    _text(canvas, "   ".join(words), (left + _EDGE, 24), 0.5, _INK)
    if face.face.status != "ok":
        status, colour = face.face.status.replace("_", " "), _STATUS.get(face.face.status, _UNSURE)
        _text(canvas, status, (left + _PANEL - _EDGE - _width(status, 0.5), 24), 0.5, colour)
    row = min(_ROW, (canvas.shape[0] - _HEAD - _EDGE) // len(contract.shown))
    for place, (au, index) in enumerate(contract.shown.items()):
        corner = (left + _EDGE, _HEAD + place * row)
        _draw_bar(canvas, corner, row, face.estimates.get(""), index, f"{au} {description(au)}", contract)


def _draw_bar(
    canvas: Image,
    corner: tuple[int, int],
    row: int,
    estimates: Estimates | None,
    index: int,
    name: str,
    contract: ModelContract,
) -> None:
    left, top = corner
    width = _PANEL - 2 * _EDGE
    threshold = threshold_of(contract, contract.aus[index])
    active = estimates is not None and float(estimates.probability[index]) >= threshold
    ink = _GRAY if estimates is None else (_ACTIVE if active else _INK)
    _text(canvas, name, (left, top + 12), _SIZE, ink)
    if row >= _ROOMY:  # the bar below its name
        start, length, bar_top, bar = left, width, top + 16, min(_BAR, row - 20)
    else:
        start, length, bar_top, bar = left + _NAME, width - _NAME - _VALUE, top + 5, 6
    cv2.rectangle(canvas, (start, bar_top), (start + length, bar_top + bar), _PALE, -1)
    if estimates is not None:
        share, value = _share(estimates, index)
        colour = _ACTIVE if active else _PASSIVE
        cv2.rectangle(canvas, (start, bar_top), (start + round(share * length), bar_top + bar), colour, -1)
        _text(canvas, value, (left + width - _width(value, _SIZE), top + 12), _SIZE, ink)
    if contract.levels == 1:  # the bar is the probability
        mark = start + round(threshold * length)
        cv2.line(canvas, (mark, bar_top - 2), (mark, bar_top + bar + 2), _THRESHOLD, 1)


def _share(estimates: Estimates, index: int) -> tuple[float, str]:
    """Filled share of the bar, and its number as text."""
    probability = float(estimates.probability[index])
    if estimates.intensity is None:
        return probability, f"{probability:.2f}"
    intensity = float(estimates.intensity[index])
    return intensity / FACS_MAX, f"{intensity:.1f}  p {probability:.2f}"


def _width(text: str, size: float) -> int:
    return int(cv2.getTextSize(text, _FONT, size, 1)[0][0])


def _text(canvas: Image, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    cv2.putText(canvas, text, place, _FONT, size, colour, 1, cv2.LINE_AA)
