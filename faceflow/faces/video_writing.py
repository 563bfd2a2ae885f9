"""Writing a video frame by frame, in formats that browsers and players show, with the sound of its source."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from faceflow.faces.video_decoding import codec_threads
from faceflow.faces.video_file import open_container, pictures_of
from faceflow.images import Image

log = logging.getLogger(__name__)

WRITABLE_SUFFIXES = (".mp4", ".avi", ".mkv")
_TICK = Fraction(1, 90_000)  # seconds, as MPEG counts
_LONGEST_GAP = 50_000  # frames; an AVI takes 60,000

_Sound: TypeAlias = "Generator[Packet[AudioStream], None, None]"


def writes_h264() -> bool:
    """Whether the installed FFmpeg can encode H.264: builds without GPL codecs may not."""
    try:
        return bool(av.codec.Codec("h264", "w").is_encoder)
    except ValueError:
        return False


class VideoWriter:
    """Writes frames with their own times: H.264 in .mp4 and .mkv, Motion JPEG in .avi.

    Args:
        path: one of WRITABLE_SUFFIXES.
        width: pixels, even.
        height: pixels, even.
        fps: frames per second, for frames without times.
        sound_of: video whose sound is copied, from the first to the last frame; None: no sound.

    Raises:
        OSError: the file cannot be written; also of the methods.
    """

    def __init__(self, path: Path, *, width: int, height: int, fps: float, sound_of: Path | None) -> None:
        rate = Fraction(fps).limit_denominator(1001)
        self._h264 = path.suffix.lower() != ".avi"
        self._base = _TICK if self._h264 else 1 / rate  # an AVI has frames at even times only
        self._step = max(1, round(1 / rate / self._base))
        settings = {"movflags": "+faststart"} if path.suffix.lower() == ".mp4" else {}  # plays while it is loaded
        self._container: OutputContainer = av.open(f"file:{path}", "w", options=settings)
        stream: Any = self._container.add_stream("h264" if self._h264 else "mjpeg", rate=rate)
        stream.width, stream.height = width, height
        context = stream.codec_context
        context.time_base, context.thread_count = self._base, codec_threads()
        if self._h264:
            stream.pix_fmt, stream.options = "yuv420p", {"preset": "veryfast"}
            context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
            context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        else:
            stream.pix_fmt, stream.options = "yuvj420p", {"qmin": "2", "qmax": "4"}
        self._stream = stream
        self._reformatter = VideoReformatter()
        self._sound_of = sound_of
        self._sound: _Sound | None = None
        self._packet: Packet[AudioStream] | None = None  # of the sound, the next one
        self._first_s: float | None = None
        self._last: int | None = None  # tick of the last frame

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, image: Image, time_s: float | None) -> None:
        """Add an RGB frame (H, W, 3) at `time_s` of its source; None: after the last one."""
        tick = 0 if self._last is None else self._last + self._step
        if self._last is None:
            self._first_s = time_s
            if self._sound_of is not None:
                self._sound = _sound_packets(self._sound_of, self._container, from_s=time_s or 0.0)
                self._packet = next(self._sound, None)  # before anything is written
        elif time_s is not None and self._first_s is not None:
            tick = max(self._last + 1, round((time_s - self._first_s) / self._base))
        if not self._h264 and self._last is not None:
            tick = min(tick, self._last + _LONGEST_GAP)
        frame = VideoFrame.from_ndarray(image, format="rgb24")
        if self._h264:
            frame = self._reformatter.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, threads=1)
        frame.pts, frame.time_base, frame.duration = tick, self._base, self._step
        self._container.mux(self._stream.encode(frame))
        self._last = tick
        self._play_until(float(tick * self._base))

    def close(self) -> None:
        """Complete the file; without this it does not play."""
        try:
            if self._last is not None:
                self._play_until(float((self._last + self._step) * self._base))
                self._container.mux(self._stream.encode(None))
        finally:
            if self._sound is not None:
                self._sound.close()
            self._container.close()

    def _play_until(self, time_s: float) -> None:
        while self._sound is not None and self._packet is not None:
            if (self._packet.pts or 0) * self._packet.time_base >= time_s:
                return
            self._container.mux(self._packet)
            self._packet = next(self._sound, None)


def _sound_packets(
    source: Path, target: OutputContainer, *, from_s: float
) -> Generator[Packet[AudioStream], None, None]:
    """Packets of a video's sound for a container that is still empty; `from_s` becomes time 0.

    There are none for a codec that the container cannot store, which is logged, and none after damage.
    """
    with open_container(source) as container:
        pictures, sound = pictures_of(container, source), container.streams.best("audio")
        if not isinstance(sound, AudioStream) or sound.time_base is None:
            return
        codec = "a codec that FFmpeg does not know"
        if sound.codec_context is not None:
            codec = sound.codec_context.codec.canonical_name
        if codec not in target.supported_codecs:
            log.warning(
                "%s: sound left out: expected a codec that %s can store, got %s", source, target.format.name, codec
            )
            return
        for other in container.streams:
            if other is not sound:
                other.discard = Discard.all
        copy = target.add_stream_from_template(sound)
        start_s = (pictures.start_time or 0) * (pictures.time_base or 0) + Fraction(from_s)
        start, last = round(start_s / sound.time_base), -1
        with contextlib.suppress(av.FFmpegError):
            for packet in container.demux(sound):
                if packet.pts is None or packet.dts is None or packet.pts < start or packet.dts - start <= last:
                    continue
                packet.pts, packet.dts = packet.pts - start, packet.dts - start
                packet.stream, last = copy, packet.dts
                yield packet
