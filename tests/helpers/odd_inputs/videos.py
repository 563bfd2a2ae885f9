"""Videos as phones, browsers, camcorders and trimming tools write them: issue 16, point 1."""
# ruff: noqa: E501 (a row of the table is a line)

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd

from tests.helpers.markers import Image, draw_face, moving_faces
from tests.helpers.odd_inputs.row import INFER, Row, photos
from tests.integration.command import Outcome

VIDEO = (*INFER, "frames.every=1")
_TICK = Fraction(1, 1000)  # s


def write(path: Path, codec: str, images: Sequence[Image], times_ms: Sequence[int], **settings: Any) -> None:
    """Encode frames with the given times."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=settings.get("rate", 30))
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = settings.get("pix_fmt", "yuv420p")
        stream.codec_context.time_base = _TICK
        if "aspect" in settings:
            stream.codec_context.sample_aspect_ratio = settings["aspect"]
        for image, time in zip(images, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, _TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def video(name: str, codec: str, times_ms: Sequence[int], **settings: Any) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        photos(folder)
        write(folder / name, codec, moving_faces(len(times_ms)), times_ms, **settings)

    return prepare


def camcorder(folder: Path) -> None:
    """PAL DV: 720 x 576, interlaced."""
    photos(folder)
    image = draw_face(np.full((576, 720, 3), 90, np.uint8), (300, 280), (420, 280), radius=20)
    with av.open(str(folder / "v.avi"), "w") as container:
        stream: Any = container.add_stream("dvvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def squeezed(folder: Path) -> None:
    """Eyes 24 px apart at 30 and 54, in pixels twice as wide as high."""
    photos(folder)
    images = [draw_face(np.full((96, 96, 3), 90, np.uint8), (30, 40), (54, 40)) for _ in range(5)]
    write(folder / "v.mp4", "libx264", images, range(0, 200, 40), aspect=Fraction(2, 1))


def sound_alone(folder: Path) -> None:
    photos(folder)
    with av.open(str(folder / "v.mp4"), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        for start in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, start * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def rows(count: int, times_s: Sequence[float] | None = None) -> Callable[[Outcome, Path], None]:
    """All frames have a face, the right number and, to the millisecond, the right time since the first frame."""

    def check(outcome: Outcome, folder: Path) -> None:
        table = pd.read_csv(folder / "out.csv")
        assert table["frame"].tolist() == list(range(1, count + 1))
        assert set(table["status"]) <= {"ok", "tracked"}
        if times_s is not None:
            np.testing.assert_allclose(table["time_s"] - table["time_s"][0], times_s, atol=0.0015)

    return check


def box_is_wide(outcome: Outcome, folder: Path) -> None:
    """The marker detector's box is 2.5 eye distances wide: 24 squeezed pixels are 48 square pixels."""
    table = pd.read_csv(folder / "out.csv")
    np.testing.assert_allclose(table["x2"] - table["x1"], 2.5 * 48, atol=2.5)


JITTER = np.cumsum(np.random.default_rng(0).integers(20, 120, 100)).tolist()
GAPS = np.cumsum([33] * 50 + [1000] * 20).tolist()


def seconds(times_ms: Sequence[int]) -> list[float]:
    return [(time - times_ms[0]) / 1000 for time in times_ms]


# fmt: off
ROWS = [
    Row(fed="phone video with variable frame rate, 100 frames", thread="issue 16", command="infer", overrides=(*VIDEO, "source={folder}/v.mp4"), prepare=video("v.mp4", "libx264", JITTER),
        right="100 rows with their own times", check=rows(100, seconds(JITTER))),
    Row(fed="browser recording (WebM) with variable frame rate", thread="issue 16", command="infer", overrides=(*VIDEO, "source={folder}/v.webm"), prepare=video("v.webm", "libvpx", JITTER),
        right="100 rows with their own times", check=rows(100, seconds(JITTER))),
    Row(fed="screen recording with second-long gaps", thread="issue 16", command="infer", overrides=(*VIDEO, "source={folder}/v.mkv"), prepare=video("v.mkv", "libx264", GAPS),
        right="70 rows, none for the gaps", check=rows(70, seconds(GAPS))),
    Row(fed="timestamps that start at 5 s", thread="issue 16", command="infer", overrides=(*VIDEO, "source={folder}/v.mkv"), prepare=video("v.mkv", "libx264", range(5000, 5800, 40)),
        right="20 rows", check=rows(20)),
    Row(fed="AV1 (YouTube, OBS, newer phones)", thread="issue 16", command="infer", overrides=(*VIDEO, "source={folder}/v.mp4"), prepare=video("v.mp4", "libsvtav1", range(0, 400, 40)),
        right="10 rows", check=rows(10)),
    Row(fed="interlaced DV from a camcorder", thread="issue 16", command="infer", overrides=(*VIDEO, "source={folder}/v.avi"), prepare=camcorder,
        right="10 rows, each with a face", check=rows(10)),
    Row(fed="pixels that are twice as wide as high", thread="issue 16", command="infer", overrides=(*VIDEO, "source={folder}/v.mp4"), prepare=squeezed,
        right="boxes in square pixels", check=box_is_wide),
    Row(fed="AVCHD file with the suffix `.mts`", thread="issue 16", command="infer", overrides=(*VIDEO, "source={folder}/v.mts"), prepare=video("v.mts", "libx264", range(0, 400, 40)),
        right="10 rows", check=rows(10)),
    Row(fed="`.mp4` file with sound but no video", thread="issue 16", command="infer", overrides=(*VIDEO, "source={folder}/v.mp4"), prepare=sound_alone,
        line="DataError: *expected *, got *"),
]
