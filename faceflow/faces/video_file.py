"""A video file or stream as its container describes it: the video stream, its length, and missing parts."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from faceflow.errors import DataError

_PATIENCE_S = 10.0  # for an answer of a stream
_FASTEST = 1000  # frames/s; a higher rate is the tick of the container's clock


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """Approximate number of frames (0: unknown) and mean frame rate, from the container."""

    frames: int
    rate: float | None


@contextlib.contextmanager
def open_video(source: Path | str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file, or the address of a stream, and choose the video stream; other streams are not read.

    Raises:
        DataError: not a video, or one that FFmpeg has no decoder for.
    """
    with open_container(source) as container:
        stream = pictures_of(container, source)
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        yield container, stream


def open_container(source: Path | str) -> InputContainer:
    """Open a file, or the address of a stream, with any content.

    Raises:
        DataError: FFmpeg cannot read it.
    """
    try:
        if isinstance(source, str):
            options = {"rtsp_flags": "prefer_tcp"} if source.startswith("rtsp") else {}
            return av.open(source, options=options, timeout=_PATIENCE_S)
        # Without "file:" a name with a colon would be an address; a playlist must not open addresses either.
        return av.open(f"file:{source}", options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError) as error:
        raise unreadable(source, _why_unreadable(source, error)) from error


def pictures_of(container: InputContainer, source: Path | str) -> VideoStream:
    """Choose the video stream.

    Raises:
        DataError: there is none, or none that FFmpeg has a decoder for.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise unreadable(source, "one without a video stream")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
    if stream.codec_context is None:
        raise unreadable(source, "one with a codec that FFmpeg cannot decode")
    return stream


def unreadable(source: Path | str, got: str) -> DataError:
    """Error for a file or stream that is not a readable video."""
    if isinstance(source, str):
        return DataError(
            f"{public_name(source)}: expected a stream, got {got}; check the address and that the stream is running"
        )
    return DataError(f"{source}: expected a video, got {got}; replace the file or leave it out")


def public_name(address: str) -> str:
    """An address without parts that may be secret: user, password and query."""
    return re.sub(r"://[^/]*@", "://", address).partition("?")[0]


def describe_video(path: Path) -> VideoFacts:
    """Read the facts of a container without decoding; unknown for a file that cannot be read."""
    try:
        with open_video(path) as (container, stream):
            rate = float(stream.average_rate or 0)
            if not 0 < rate < _FASTEST:
                return VideoFacts(frames=0, rate=None)
            return VideoFacts(frames=max(0, round(_seconds(container, stream) * rate)), rate=rate)
    except DataError:
        return VideoFacts(frames=0, rate=None)


def _seconds(container: InputContainer, stream: VideoStream) -> float:
    """Duration of the video stream; 0 if the container does not say."""
    base = stream.time_base or 0
    if stream.duration is not None:
        return float(stream.duration * base)
    if container.duration is not None:  # counts from 0, wherever the pictures begin
        return container.duration / av.time_base - float((stream.start_time or 0) * base)
    return 0.0


def find_missing(container: InputContainer, stream: VideoStream, packets: int, end_s: float) -> str | None:
    """Describe what is missing from a truncated file, as far as its container tells; None if nothing is.

    Args:
        container: as opened.
        stream: its video stream.
        packets: number of packets read.
        end_s: when the last one ends, in seconds as the container counts them.
    """
    promised = 0
    if "mp4" in container.format.name:
        promised = len(stream.index_entries)
    elif container.format.name == "avi":
        promised = stream.frames
    if promised - packets > _slack(promised):
        return f"expected {promised} frames, got {packets}: the file is truncated"
    if (seconds := _matroska_end_s(stream)) - end_s > max(0.5, seconds / 200):
        return f"expected video until {seconds:.1f} s, got video until {end_s:.1f} s: the file is truncated"
    return None


def _slack(promised: int) -> int:
    """Tolerance in frames, as writers miscount their own files."""
    return max(2, promised // 200)


def _matroska_end_s(stream: VideoStream) -> float:
    """End of a stream by a tag that most Matroska and WebM writers add, such as 00:01:02.500000000; 0 without it."""
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return 0.0


def _why_unreadable(source: Path | str, error: av.FFmpegError | OSError) -> str:
    if isinstance(source, str):
        return (error.strerror or str(error)).lower()
    try:
        with source.open("rb") as file:
            return "a file that FFmpeg cannot decode" if file.read(1) else "an empty file"
    except OSError as failure:
        return (failure.strerror or str(failure)).lower()
