"""Pixels of video frames as a viewer shows them: deinterlaced, upright, square, in the colours of an SDR screen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter

from faceflow.faces.video_decoding import Decoded
from faceflow.images import Image

_HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)  # PQ and HLG
_STRANGEST = 4  # times as wide as high, or as high as wide: a pixel beyond that is a broken header


class RgbConverter:
    """Converts frames to RGB; the prepared conversion is reused for later frames."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame, pixel_aspect: Fraction | None) -> Image:
        """Convert a frame to RGB, (H, W, 3) uint8, turned upright.

        Pixels that are not square are stretched in width. HDR video is shown as on an ordinary screen: white of 203
        nits (ITU-R BT.2408) and all that is brighter is white, and gamma is 2.4 (ITU-R BT.1886).

        Args:
            frame: as decoded.
            pixel_aspect: width of its pixels divided by their height; None if the video does not say.
        """
        known = pixel_aspect is not None and Fraction(1, _STRANGEST) <= pixel_aspect <= _STRANGEST
        width = max(1, round(frame.width * pixel_aspect)) if known and pixel_aspect else frame.width
        hdr = frame.color_trc in _HDR
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            format="rgb24",
            interpolation=Interpolation.BILINEAR if width == frame.width else Interpolation.BICUBIC,
            dst_color_trc=ColorTrc.BT709 if hdr else None,
            dst_color_primaries=ColorPrimaries.BT709 if hdr else None,
            threads=1,
        )
        return np.ascontiguousarray(_upright(np.asarray(rgb.to_ndarray(), np.uint8), frame))


def _upright(image: Image, frame: VideoFrame) -> Image:
    """Rotate and mirror an image by the display matrix of its frame, to the nearest quarter turn."""
    side_data: Any = frame.side_data  # its stub knows no other key than MOTION_VECTORS
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return image
    # Rows of the image run along (a, b) on the screen, columns along (c, d).
    a, b, _, c, d = np.frombuffer(bytes(matrix), "=i4")[:5]
    if abs(a) < abs(b):
        image, across, down = image.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    return image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def deinterlaced(decoded: Iterator[Decoded]) -> Iterator[Decoded]:
    """Show only the earlier of the two moments in frames of interlaced video; other frames are unchanged.

    Lines of the later moment are interpolated from neighbouring lines and frames (the bwdif filter).
    """
    waiting: deque[Decoded] = deque()
    graph: Graph | None = None
    kind: tuple[int, int, str] | None = None
    for item in decoded:
        if item.frame is None and waiting:
            waiting.append(item)
        elif item.frame is None or not (graph or item.frame.interlaced_frame):
            yield item
        else:
            before, kind = kind, (item.frame.width, item.frame.height, item.frame.format.name)
            if graph is None or kind != before:
                yield from _filtered(graph, None, waiting)
                graph = _deinterlacer(item.frame)
            waiting.append(item)
            yield from _filtered(graph, item.frame, waiting)
    yield from _filtered(graph, None, waiting)


def _deinterlacer(frame: VideoFrame) -> Graph:
    graph = Graph()
    graph.threads = 1
    pixels = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1"
    source = graph.add("buffer", f"{pixels}:colorspace={int(frame.colorspace)}:range={int(frame.color_range)}")
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _filtered(graph: Graph | None, frame: VideoFrame | None, waiting: deque[Decoded]) -> Iterator[Decoded]:
    """Push a frame, or None at the end, into a filter and yield finished frames; faults keep their position."""
    if graph is not None:
        graph.vpush(frame)
        while True:
            try:
                done = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                break
            while waiting[0].frame is None:
                yield waiting.popleft()
            yield replace(waiting.popleft(), frame=done)
    if frame is None:
        yield from waiting
        waiting.clear()
