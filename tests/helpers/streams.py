"""Videos written frame by frame, each frame with its own time and a grey value that encodes its number, up to 20."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from faceflow.faces.video import Frame

MS = Fraction(1, 1000)


def grey_of(number: int) -> int:
    return 20 + 10 * number


def number_of(frame: Frame) -> int:
    """The number encoded in a frame's grey value, whatever its frame number."""
    assert frame.image is not None
    return round((float(frame.image.mean()) - 20) / 10)


def flat(number: int, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    return np.full((height, width, 3), grey_of(number), np.uint8)


def write_stream(
    path: Path,
    codec: str,
    times_ms: Sequence[int],
    *,
    draw: Callable[[int], NDArray[np.uint8]] = flat,
    rate: int = 25,
    pixels: str = "yuv420p",
    aspect: Fraction | None = None,
    options: Mapping[str, str] | None = None,
    prepare: Callable[[Any], None] = lambda stream: None,
) -> Path:
    """Write frames n = 1, 2, ... with the times times_ms[n - 1].

    Args:
        path: the suffix sets the container.
        codec: an FFmpeg encoder.
        times_ms: milliseconds, increasing.
        draw: RGB image of a frame by its number.
        rate: frame rate in the header.
        pixels: pixel format.
        aspect: ratio of width to height of a pixel.
        options: options of the encoder.
        prepare: called with the stream before encoding.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.height, stream.width = draw(1).shape[:2]
        stream.pix_fmt = pixels
        stream.options = dict(options or {})
        if codec not in (
            "mpeg1video",
            "mpeg2video",
            "dvvideo",
            "mpeg4",
            "mjpeg",
            "h263",
        ):  # containers that store only a frame rate
            stream.codec_context.time_base = MS
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        prepare(stream)
        for number, time in enumerate(times_ms, start=1):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            frame.pts, frame.time_base = time, MS
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def steady(count: int, first: int = 0) -> list[int]:
    """Times of 25 frames per second."""
    return [first + 40 * n for n in range(count)]


def copy_stream(source: Path, path: Path, *, keep: Callable[[int, Any], bool], shift_ms: int = 0) -> Path:
    """Copy the packets for which `keep(position, packet)` is true, without decoding, as lossless cutters do."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as part:
        stream = whole.streams.video[0]
        copied = part.add_stream_from_template(stream)
        for position, packet in enumerate(whole.demux(stream)):
            if packet.dts is None or not keep(position, packet):
                continue
            assert packet.pts is not None
            ticks = round(shift_ms * MS / packet.time_base)
            packet.stream, packet.pts, packet.dts = copied, packet.pts + ticks, packet.dts + ticks
            part.mux(packet)
    return path
