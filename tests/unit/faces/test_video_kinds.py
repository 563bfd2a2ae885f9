"""Kinds of real-world videos: one row per frame, each with the right time and pixels."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc

from faceflow.errors import DataError
from faceflow.faces.video import VIDEO_SUFFIXES, Frame, FrameRange, read_video
from tests.helpers.streams import copy_stream, flat, number_of, steady, write_stream

ALL = FrameRange(every=1, start_s=0.0, end_s=None)
UNEVEN = [105, 125, 190, 300, 333, 1500, 1520, 1541, 9000, 9040]  # milliseconds


def read(path: Path, frames: FrameRange = ALL) -> list[Frame]:
    return list(read_video(path, frames))


def check(path: Path, times_ms: list[int], *, first: int = 1) -> None:
    """Frames show the numbers from `first` on, at these times, and nothing else comes."""
    frames = read(path)
    assert [frame.fault for frame in frames] == [None] * len(times_ms)
    assert [frame.number for frame in frames] == list(range(1, len(times_ms) + 1))
    assert [number_of(frame) for frame in frames] == list(range(first, first + len(times_ms)))
    assert [frame.time_s for frame in frames] == pytest.approx([time / 1000 for time in times_ms], abs=2e-3)


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("a.webm", "libvpx", 1000), ("b.webm", "libvpx", 30), ("a.mkv", "libx264", 30), ("a.mp4", "libx264", 30)],
)
def test_frames_at_uneven_times_are_as_many_as_were_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, codec: str, rate: int
) -> None:
    path = write_stream(tmp_path / name, codec, UNEVEN, rate=rate)
    with caplog.at_level(logging.WARNING):
        check(path, [time - UNEVEN[0] for time in UNEVEN])
    assert caplog.messages == []


def test_a_video_that_starts_late_counts_its_seconds_from_there(tmp_path: Path) -> None:
    check(write_stream(tmp_path / "a.mkv", "libx264", steady(10, first=100_000)), steady(10))


def test_a_lossless_trim_begins_where_it_was_cut(tmp_path: Path) -> None:
    whole = write_stream(tmp_path / "a.mp4", "libx264", steady(20), options={"g": "5", "bf": "0", "sc_threshold": "0"})
    cut = copy_stream(whole, tmp_path / "b.mp4", keep=lambda position, _: position >= 5, shift_ms=-280)
    # Packets from frame 6 on, a key frame, but shown from frame 8 on, as an edit list says.
    check(cut, steady(13), first=8)


def test_a_cut_inside_a_group_of_pictures_begins_at_the_next_key_frame(tmp_path: Path) -> None:
    whole = write_stream(tmp_path / "a.mkv", "libvpx-vp9", steady(16), options={"g": "8", "deadline": "realtime"})
    cut = copy_stream(whole, tmp_path / "b.mkv", keep=lambda position, _: position >= 3)
    frames = [frame for frame in read(cut) if frame.image is not None]
    assert [number_of(frame) for frame in frames] == list(range(9, 17))
    assert [frame.time_s for frame in frames] == pytest.approx([(160 + time) / 1000 + 0.04 for time in steady(8)])


def test_long_sound_between_frames_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    times = [0, 40, 60_000, 60_040]
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mjpeg", rate=25)
        video.height, video.width, video.pix_fmt = 48, 64, "yuvj420p"
        sound: Any = container.add_stream("pcm_s16le", rate=8000)
        sound.layout = "mono"
        packets = []
        for number, time in enumerate(times, start=1):
            frame = av.VideoFrame.from_ndarray(flat(number), format="rgb24")
            frame.pts, frame.time_base = time // 40, Fraction(1, 25)
            packets += [(time, packet) for packet in video.encode(frame)]
        for part in range(5000):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 96), np.int16), format="s16", layout="mono")
            silence.sample_rate, silence.pts = 8000, part * 96
            packets += [(part * 12, packet) for packet in sound.encode(silence)]
        container.mux([packet for _, packet in sorted(packets, key=lambda item: item[0])])
    check(path, times)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *(("a.avi", "mpeg4"), ("a.wmv", "wmv2"), ("a.flv", "flv"), ("a.ts", "libx264"), ("a.m2ts", "mpeg2video")),
        *(("a.mts", "libx264"), ("a.vob", "mpeg2video"), ("a.mpg", "mpeg1video"), ("a.mov", "libx265")),
        *(("a.mkv", "libsvtav1"), ("a.mp4", "libsvtav1"), ("a.webm", "libvpx-vp9"), ("a.asf", "wmv2")),
    ],
)
def test_containers_and_codecs_that_people_have_are_read(tmp_path: Path, name: str, codec: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    options |= {"svtav1-params": "lp=1"} if codec == "libsvtav1" else {}
    path = write_stream(tmp_path / name, codec, steady(6), draw=lambda n: flat(n, 128, 96), options=options)
    assert path.suffix in VIDEO_SUFFIXES
    check(path, steady(6))


@pytest.mark.parametrize(
    ("name", "codec", "size"), [("a.mxf", "mpeg2video", (720, 576)), ("a.3gp", "h263", (176, 144))]
)
def test_containers_of_cameras_and_old_phones_are_read(
    tmp_path: Path, name: str, codec: str, size: tuple[int, int]
) -> None:
    path = write_stream(tmp_path / name, codec, steady(4), draw=lambda n: flat(n, *size))
    assert path.suffix in VIDEO_SUFFIXES
    check(path, steady(4))


def test_interlaced_frames_show_one_moment(tmp_path: Path) -> None:
    def combed(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        image = np.full((576, 720, 3), 60, np.uint8)
        image[::2, 40 * number : 40 * number + 100] = 200  # a bar that moves on from one half of the lines
        image[1::2, 40 * number + 20 : 40 * number + 120] = 200  # to the other
        return image

    path = write_stream(tmp_path / "a.avi", "dvvideo", steady(4), draw=combed, pixels="yuv420p")
    frames = read(path)
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.04, 0.08, 0.12])
    for number, frame in enumerate(frames, start=1):
        assert frame.image is not None
        assert frame.image.shape == (576, 768, 3), "PAL has pixels of 16 : 15"
        columns = frame.image[100:400, :, 0].mean(axis=0)
        middle = 16 / 15 * (40 * number + 60)
        assert columns[round(middle) - 20 : round(middle) + 20].min() > 180
        assert columns[: round(16 / 15 * 40 * number) - 12].max(initial=0) < 80
        # Whole bars: at the moving edges lines differ from their neighbours where two moments are woven together.
        combs = np.abs(np.diff(frame.image[100:400, :, 0].astype(int), axis=0)).max(axis=0) > 70
        assert combs.sum() < 16


def test_interlaced_frames_of_any_count_all_come(tmp_path: Path) -> None:
    for count in (1, 2, 5):
        path = write_stream(tmp_path / f"{count}.avi", "dvvideo", steady(count), draw=lambda n: flat(n, 720, 576))
        check(path, steady(count))


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 85), (Fraction(1, 2), 32), (Fraction(1), 64)])
def test_pixels_that_are_not_square_are_made_so(tmp_path: Path, aspect: Fraction, width: int) -> None:
    (frame,) = read(write_stream(tmp_path / "a.mp4", "libx264", [0], aspect=aspect))
    assert frame.image is not None
    assert frame.image.shape == (48, width, 3)


def test_a_header_of_impossible_pixels_is_ignored(tmp_path: Path) -> None:
    (frame,) = read(write_stream(tmp_path / "a.mkv", "libx264", [0], aspect=Fraction(200, 1)))
    assert frame.image is not None
    assert frame.image.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("degrees", "mirrored", "corner"),
    [
        (0, False, (0, 0)),
        (90, False, (1, 0)),
        (180, False, (1, 1)),
        (-90, False, (0, 1)),
        (0, True, (0, 1)),
        (90, True, (1, 1)),
    ],
)
def test_frames_are_turned_and_mirrored_as_the_container_says(
    tmp_path: Path, degrees: int, mirrored: bool, corner: tuple[int, int]
) -> None:
    image = np.full((48, 64, 3), 30, np.uint8)
    image[:16, :16] = 220  # the upper left; degrees are anticlockwise, then left and right are swapped
    path = tmp_path / "a.mp4"
    turn = lambda stream: stream.set_display_rotation(degrees, hflip=mirrored)  # noqa: E731
    (frame,) = read(write_stream(path, "libx264", [0], draw=lambda _: image, prepare=turn))
    assert frame.image is not None
    assert frame.image.shape == ((64, 48, 3) if degrees % 180 else (48, 64, 3))
    assert frame.image.flags.c_contiguous
    places = {(row, column): frame.image[-8:, :8] if row else frame.image[:8, :8] for row in (0, 1) for column in (0,)}
    places |= {(row, 1): frame.image[-8:, -8:] if row else frame.image[:8, -8:] for row in (0, 1)}
    assert {place for place, part in places.items() if part.mean() > 150} == {corner}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("curve", "signals", "shares"),
    [
        # PQ (SMPTE ST 2084) of 10, 50, 203 and 1000 nits; shares of white on a screen: (nits / 203) ** (1 / 2.4)
        (ColorTrc.SMPTE2084, (0.3019, 0.4403, 0.5807, 0.7518), (0.2852, 0.5577, 1.0, 1.0)),
        # HLG (ARIB STD-B67) of the light E = 0.05, 0.0833 and 1, which is 1000 * E ** 1.2 nits
        (ColorTrc.ARIB_STD_B67, (0.3873, 0.5, 1.0), (0.4341, 0.5608, 1.0)),
    ],
)
def test_hdr_is_shown_as_on_an_ordinary_screen(
    tmp_path: Path, curve: ColorTrc, signals: tuple[float, ...], shares: tuple[float, ...]
) -> None:
    def tagged(stream: Any) -> None:
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = int(curve), int(ColorPrimaries.BT2020), 9

    path = tmp_path / "a.mkv"
    bars = [np.full((48, 32, 3), round(255 * signal), np.uint8) for signal in signals]
    write_stream(
        *(path, "ffv1", [0]), draw=lambda _: np.concatenate(bars, axis=1), pixels="yuv444p10le", prepare=tagged
    )
    (frame,) = read(path)
    assert frame.image is not None
    found = [float(frame.image[:, 32 * n + 8 : 32 * n + 24].mean()) for n in range(len(signals))]
    assert found == pytest.approx([255 * share for share in shares], abs=4)


@pytest.mark.parametrize("sizes", [((160, 120), (320, 240)), ((160, 120), (120, 160))])
def test_a_picture_that_changes_or_turns_in_mid_stream_keeps_its_own_size(
    tmp_path: Path, sizes: tuple[tuple[int, int], ...]
) -> None:
    with av.open(str(tmp_path / "a.webm"), "w") as container:
        stream: Any = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], "yuv420p"
        for part, (width, height) in enumerate(sizes):
            encoder: Any = av.CodecContext.create("libvpx", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.time_base, encoder.framerate = Fraction(1, 1000), 25
            for n in range(3):
                frame = av.VideoFrame.from_ndarray(flat(3 * part + n + 1, width, height), format="rgb24")
                frame.pts, frame.time_base = 120 * part + 40 * n, Fraction(1, 1000)
                for packet in [*encoder.encode(frame), *(encoder.encode(None) if n == 2 else [])]:
                    packet.stream = stream
                    container.mux(packet)
    check(tmp_path / "a.webm", steady(6))
    shapes = [frame.image.shape[1::-1] for frame in read(tmp_path / "a.webm") if frame.image is not None]
    assert shapes == [sizes[0]] * 3 + [sizes[1]] * 3


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        sound: Any = container.add_stream("aac", rate=8000)
        sound.layout = "mono"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux([*sound.encode(silence), *sound.encode(None)])
    with pytest.raises(DataError) as caught:
        read(path)
    got = "expected a video, got one without a video stream; replace the file or leave it out"
    assert str(caught.value) == f"{path}: {got}"


@pytest.mark.parametrize("name", ["a:b.mp4", "http:x.mp4", "-.mp4", "%03d.mp4", "[x] 'y' #&.mp4", "面试.mp4"])
def test_a_name_is_a_name_whatever_it_looks_like(tmp_path: Path, name: str) -> None:
    check(write_stream(tmp_path / "x.mp4", "libx264", steady(2)).rename(tmp_path / name), steady(2))


def test_a_playlist_opens_no_address(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", encoding="utf-8")
    with pytest.raises(DataError, match="expected a video, got "):
        read(path)


def test_a_truncation_without_a_broken_frame_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(40)]
    path = write_stream(tmp_path / "a.mkv", "mjpeg", steady(40), draw=lambda n: noise[n - 1], pixels="yuvj420p")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        frames = read(path)
    assert 15 < len(frames) < 25
    assert {frame.fault for frame in frames} == {None}
    (line,) = caplog.messages
    assert line.startswith(f"{path}: expected video until 1.6 s, got video until 0.")
