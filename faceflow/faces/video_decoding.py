"""Frames of a video in display order, numbered by decoding, and the faults that the decoder reports."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceflow.faces.video_file import find_missing, open_video, public_name, unreadable

log = logging.getLogger(__name__)

_MOST_THREADS = 4  # more hardly help, and each holds frames
_BROKEN = "expected an intact video, got a frame that cannot be decoded"
_DAMAGED = "expected an intact video, got a damaged frame"
_UNREADABLE = "expected an intact video, got a part that cannot be read"
# Each of their packets is one displayed frame; packets of other codecs may be hidden, or have two frames or none.
_ONE_FRAME_A_PACKET = frozenset({"h264", "hevc", "av1", "libdav1d", "vp9", "mjpeg", "prores"})
_PROGRESSIVE = (0, 1)  # field orders: unknown, progressive


@dataclass(frozen=True, eq=False)
class Decoded:
    """A frame from the decoder, or None with the fault that it reports.

    `number` counts from 1 and includes faults; `time_s` is in seconds since the start of the video stream;
    `pixel_aspect` is the width of a pixel divided by its height, None if the video does not say.
    """

    number: int
    time_s: float | None
    frame: VideoFrame | None
    fault: str | None = None
    pixel_aspect: Fraction | None = None


def decode_video(source: Path | str, *, from_s: float) -> Generator[Decoded, None, None]:
    """Decode a video; frame n is the n-th one that the decoder gives or reports as broken.

    Args:
        source: a file, or the address of a stream, which is read once and without delay.
        from_s: frames before this time, in seconds, may be left out: they are counted without decoding if the codec
            allows it.

    Raises:
        DataError: not a video, or one without a frame.
    """
    entry = _find_entry(source, from_s) if from_s > 0 and isinstance(source, Path) else _START
    threads = codec_threads() if isinstance(source, Path) else 1
    given = 0
    while True:
        try:
            with open_video(source) as (container, stream):
                decoding = _Decoding(source, container, stream, entry, threads)
                for decoded in itertools.islice(decoding.read(), given, None):
                    given += 1
                    yield decoded
        except _EntryRefusedError:
            entry = _START
        except _FaultInThreadsError:
            threads = 1
        else:
            break
    if not given:
        raise unreadable(source, "one without a frame")


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """Where decoding starts: the position of a packet, the timestamp and the number of its frame."""

    packet: int
    pts: int | None
    number: int


_START = _Entry(packet=0, pts=None, number=1)


class _EntryRefusedError(Exception):
    """The decoder gives no frame for the packet at which it should start."""


class _FaultInThreadsError(Exception):
    """Several threads met a fault: one thread must decode again."""


def _find_entry(path: Path, from_s: float) -> _Entry:
    """Find the last key frame before a time, and the number of frames before it; the start of the video if unsure."""
    with open_video(path) as (container, stream):
        context, start, base = stream.codec_context, stream.start_time, stream.time_base
        progressive = context.field_order in _PROGRESSIVE
        if context.name not in _ONE_FRAME_A_PACKET or not progressive or start is None or base is None:
            return _START
        until = start + int(from_s / base)
        entry, first, first_shows, shown = _START, None, False, 0
        with contextlib.suppress(av.FFmpegError):
            for position, packet in enumerate(container.demux(stream)):
                if packet.pts is None:
                    break
                if first is None and not packet.is_discard:
                    first = packet.pts
                if not first_shows:  # decoders leave out frames until they have all they need
                    for frame in packet.decode()[:1]:
                        if frame.pts != first:
                            return _START
                        first_shows = True
                if packet.is_discard:
                    continue
                if first is not None and packet.pts < first:
                    return _START
                if packet.pts > until:
                    break
                if packet.is_keyframe:
                    entry = _Entry(packet=position, pts=packet.pts, number=shown + 1)
                elif entry.pts is not None and packet.pts < entry.pts:  # stored behind the key frame, shown before it
                    entry = replace(entry, number=entry.number + 1)
                shown += 1
        return entry if first_shows else _START


class _Decoding:
    """One pass over a file, starting at an entry.

    With several threads it ends at the first fault with _FaultInThreadsError: only with one thread is the faulty packet
    known, and damage is concealed in the same way every time.
    """

    def __init__(
        self, source: Path | str, container: InputContainer, stream: VideoStream, entry: _Entry, threads: int
    ) -> None:
        self.source, self.container, self.stream = source, container, stream
        self.entry, self.threads = entry, threads
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO" if threads > 1 else "SLICE"
        self._origin = stream.start_time
        self._packets = 0
        self._latest = self._end = stream.start_time or 0  # timestamp of the last packet; the end of all
        self._recent: deque[int] = deque(maxlen=threads)  # timestamps that threads may still be decoding

    def read(self) -> Iterator[Decoded]:
        """Yield frames and faults; the last faults report a truncated file."""
        faults: list[Decoded] = []
        for decoded in self._numbered():
            if decoded.frame is None:
                faults.append(decoded)
            else:
                yield from faults
                faults.clear()
                yield decoded
        missing = None
        if isinstance(self.source, Path):
            end_s = float(self._end * (self.stream.time_base or 0))
            missing = find_missing(self.container, self.stream, self._packets, end_s)
        if missing and not faults:
            log.warning("%s: %s", self.source, missing)
        yield from (replace(decoded, fault=missing or decoded.fault) for decoded in faults)

    def _numbered(self) -> Iterator[Decoded]:
        number = itertools.count(self.entry.number)
        begun = False
        lost: list[
            tuple[int, str]
        ] = []  # a heap by timestamp: faults are known before the display time of their frames
        for item in self._frames():
            if isinstance(item, tuple):
                heapq.heappush(lost, item)
                continue
            if not begun and self.entry.pts is not None and item.pts != self.entry.pts:
                raise _EntryRefusedError
            begun = True
            self._origin = item.pts if self._origin is None else self._origin
            while lost and (item.pts is None or lost[0][0] < item.pts):
                pts, fault = heapq.heappop(lost)
                yield Decoded(next(number), self._seconds(pts), None, fault)
            time_s = self._seconds(item.pts)
            if item.is_corrupt:
                yield Decoded(next(number), time_s, None, _DAMAGED)
            else:
                yield Decoded(next(number), time_s, item, None, self.stream.sample_aspect_ratio)
        for pts, fault in sorted(lost):
            yield Decoded(next(number), self._seconds(pts), None, fault)

    def _seconds(self, pts: int | None) -> float | None:
        base = self.stream.time_base
        return None if pts is None or base is None else float((pts - (self._origin or 0)) * base)

    def _frames(self) -> Iterator[VideoFrame | tuple[int, str]]:
        """Frames in display order, and faults with their timestamps as soon as they are known."""
        for position, packet in enumerate(self._read_packets()):
            if packet is None:
                yield self._latest, _UNREADABLE
                continue
            self._latest = next((time for time in (packet.pts, packet.dts) if time is not None), self._latest)
            self._end = max(self._end, self._latest + (packet.duration or 0))
            if packet.is_corrupt and self.threads > 1:
                raise _FaultInThreadsError
            if position >= self.entry.packet and packet.size:
                if not packet.is_discard:
                    self._recent.append(self._latest)
                yield from self._decode(packet)
        yield from self._decode(None)
        if self.threads > 1 and self._recent:  # PyAV does not report a fault in the last packets
            raise _FaultInThreadsError

    def _read_packets(self) -> Iterator[Packet[VideoStream] | None]:
        """Packets, empty ones for frames that a camera dropped, and None where the file cannot be read."""
        while True:
            before = self._packets
            try:
                for packet in self.container.demux(self.stream):
                    if packet.size or packet.dts is not None:  # not the end, as PyAV marks it
                        self._packets += 1
                        yield packet
                return
            except av.FFmpegError as error:
                if isinstance(self.source, str):
                    reason = (error.strerror or str(error)).lower()
                    log.warning("%s: expected the stream to continue, got '%s'", public_name(self.source), reason)
                    return
                yield None
            if self._packets == before:  # otherwise there may be more after the damage
                return

    def _decode(self, packet: Packet[VideoStream] | None) -> Iterator[VideoFrame | tuple[int, str]]:
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.FFmpegError as error:
            if self.threads > 1:
                raise _FaultInThreadsError from error
            if packet is None or not packet.is_discard:
                yield self._latest, _BROKEN
            return
        for frame in frames:
            if frame.is_corrupt and self.threads > 1:
                raise _FaultInThreadsError
            if frame.pts is not None and frame.pts in self._recent:
                self._recent.remove(frame.pts)
            yield frame


def codec_threads() -> int:
    """Threads for decoding or encoding: limited by OpenCV's threads, OMP_NUM_THREADS and a small maximum."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cv2.getNumThreads(), int(limit) if limit.isdecimal() else _MOST_THREADS, _MOST_THREADS))
