"""Written videos, read back with FFmpeg: what players need, times and sound."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from faceflow.faces.video_writing import VideoWriter
from tests.helpers.streams import flat, grey_of, steady, write_stream

SIZE = {"width": 64, "height": 48}


def write(path: Path, times_s: list[float | None], *, fps: float = 25, sound_of: Path | None = None) -> Path:
    with VideoWriter(path, **SIZE, fps=fps, sound_of=sound_of) as writer:
        for number, time_s in enumerate(times_s, start=1):
            writer.write(flat(number), time_s)
    return path


def read(path: Path) -> list[tuple[float, float]]:
    """When every frame shows, in seconds, and its brightness."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [(float(frame.pts * frame.time_base), float(frame.to_ndarray(format="rgb24").mean())) for frame in frames]


def write_with_sound(path: Path, codec: str, *, video_s: list[float], sound_s: float, first_sound_s: float = 0) -> Path:
    """A video with frames at given times, and a tone."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt, video.codec_context.time_base = 64, 48, "yuv420p", Fraction(1, 1000)
        rate = 48_000
        sound: Any = container.add_stream(codec, rate=rate)
        sound.layout = "mono"
        packets = []
        for number, time_s in enumerate(video_s, start=1):
            frame = av.VideoFrame.from_ndarray(flat(number), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            packets += video.encode(frame)
        tone = np.sin(np.arange(round(rate * sound_s)) / 20).astype(np.float32)[None]
        samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = rate, round(rate * first_sound_s), Fraction(1, rate)
        container.mux([*packets, *video.encode(None), *sound.encode(samples), *sound.encode(None)])
    return path


def sound_packets(path: Path) -> list[tuple[float, bytes]]:
    """When every packet of the sound plays, and its bytes."""
    with av.open(str(path)) as container:
        sound = container.streams.audio[0]
        return [
            (float(packet.pts * packet.time_base), bytes(packet)) for packet in container.demux(sound) if packet.size
        ]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_browsers_and_players_get_what_they_need(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", [n / 25 for n in range(20)])
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == ("h264", "yuv420p", 64, 48)
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 1, 1, 1)
        assert container.streams.video[0].average_rate == 25
    if suffix == ".mp4":  # the index comes first, so that it plays while it is loaded
        content = path.read_bytes()
        assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_frames_show_at_their_own_times_from_the_first_one_on(tmp_path: Path, suffix: str) -> None:
    found = read(write(tmp_path / f"a{suffix}", [5.0, 5.04, 5.24, 7.0, 7.04]))
    assert [time for time, _ in found] == pytest.approx([0.0, 0.04, 0.24, 2.0, 2.04], abs=2e-3)
    assert [brightness for _, brightness in found] == pytest.approx([grey_of(n) for n in range(1, 6)], abs=2)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_frames_without_times_follow_each_other(tmp_path: Path, suffix: str) -> None:
    found = read(write(tmp_path / f"a{suffix}", [None, None, None, 2.0, None], fps=10))
    assert [time for time, _ in found] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=2e-3)


def test_frames_of_the_same_time_keep_their_order(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a.mp4", [0.0, 0.04, 0.04, 0.02, 0.08]))
    assert [brightness for _, brightness in found] == pytest.approx([grey_of(n) for n in range(1, 6)], abs=2)
    assert [time for time, _ in found] == pytest.approx([0.0, 0.04, 0.04, 0.04, 0.08], abs=1e-3)


def test_an_hour_without_a_frame_ends_no_avi(tmp_path: Path) -> None:
    assert len(read(write(tmp_path / "a.avi", [0.0, 3600.0]))) == 2


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "libopus"), (".avi", "libmp3lame")])
def test_sound_is_copied_from_the_first_frame_to_the_last(tmp_path: Path, suffix: str, codec: str) -> None:
    times = [0.5 + n / 10 for n in range(20)]  # pictures begin half a second after the sound
    source = write_with_sound(tmp_path / "in.mkv", codec, video_s=times, sound_s=4)
    path = write(tmp_path / f"out{suffix}", [1.0, 1.08, 1.2, 1.32], sound_of=source)
    # The first of these shows at 1.5 s of the file, and the last one, 40 ms long, until 1.86 s.
    there = [(time - 1.5, content) for time, content in sound_packets(source) if 1.5 <= time < 1.86]
    found = sound_packets(path)
    assert [content for _, content in found] == [content for _, content in there]
    shift = 0.03 if suffix == ".avi" else 2e-3  # an AVI's sound has no times, it begins with the pictures
    assert [time for time, _ in found] == pytest.approx([time for time, _ in there], abs=shift)


def test_sound_that_a_container_cannot_hold_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_with_sound(tmp_path / "in.mkv", "libopus", video_s=[0.0, 0.04], sound_s=1)
    with caplog.at_level(logging.WARNING):
        path = write(tmp_path / "out.avi", [0.0, 0.04], sound_of=source)
    assert caplog.messages == [f"{source}: sound left out: expected a codec that avi can store, got opus"]
    assert len(read(path)) == 2


def test_a_silent_source_gives_a_silent_video(tmp_path: Path) -> None:
    source = write_stream(tmp_path / "in.mp4", "libx264", steady(5))
    with av.open(str(write(tmp_path / "out.mp4", [0.0, 0.04], sound_of=source))) as container:
        assert [stream.type for stream in container.streams] == ["video"]
