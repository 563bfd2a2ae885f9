"""Stream addresses and devices are read like cameras."""

from __future__ import annotations

import http.server
import logging
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.faces.video import FrameRange
from faceflow.inference.frames import find_sources, is_live
from tests.helpers.rtsp import rtsp_server
from tests.helpers.streams import number_of, steady, write_stream

ALL = FrameRange(every=1, start_s=0.0, end_s=None)


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Address under which the files of `tmp_path` are."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def check(address: str, times_ms: list[int], frames: FrameRange = ALL, *, first: int = 1) -> None:
    (source,) = find_sources(address, frames)
    found = list(source.read())
    assert [frame.number for frame in found] == list(range(first, first + len(times_ms)))
    assert [number_of(frame) for frame in found] == list(range(first, first + len(times_ms)))
    assert [frame.time_s for frame in found] == pytest.approx([time / 1000 for time in times_ms], abs=2e-3)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.webm"])
def test_a_video_of_a_web_server_is_read(tmp_path: Path, served: str, name: str) -> None:
    write_stream(tmp_path / name, "libvpx" if name.endswith("webm") else "libx264", steady(10))
    check(f"http://{served}/{name}", steady(10))
    check(f"http://{served}/{name}", [200, 240], FrameRange(every=1, start_s=0.19, end_s=0.25), first=6)


def test_a_stream_is_live_and_its_secrets_are_not_shown(tmp_path: Path, served: str) -> None:
    write_stream(tmp_path / "a.mp4", "libx264", steady(2))
    (source,) = find_sources(f"http://me:secret@{served}/a.mp4?token=secret", ALL)
    assert source.name == source.file(1) == f"http://{served}/a.mp4"
    assert (source.live, source.sequence, source.count) == (True, True, 0)
    assert len(list(source.read())) == 2


def test_a_stream_begins_at_its_first_key_frame(tmp_path: Path) -> None:
    options = {"g": "4", "bf": "0", "sc_threshold": "0"}
    whole = write_stream(tmp_path / "a.ts", "libx264", steady(13), options=options)
    with av.open(str(whole)) as container:
        packets = [packet.pos for packet in container.demux(video=0) if packet.size]
    with rtsp_server(whole.read_bytes()[packets[2] :]) as address:
        (source,) = find_sources(address, ALL)
        found = list(source.read())
    assert [number_of(frame) for frame in found] == list(range(5, 13)), "the third frame needs those before it"
    assert [frame.fault for frame in found] == [None] * 8


def test_a_camera_in_the_network_is_read(tmp_path: Path) -> None:
    path = write_stream(tmp_path / "a.ts", "libx264", steady(11), options={"bf": "0"})
    with rtsp_server(path.read_bytes()) as address:
        check(address, steady(10))


def test_a_stream_that_breaks_off_is_reported_and_adds_no_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = write_stream(tmp_path / "a.ts", "mpeg2video", steady(10)).read_bytes()

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(content) + 100) + content)

    with socket.create_server(("127.0.0.1", 0)) as listener, caplog.at_level(logging.WARNING):
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        address = f"http://me:secret@127.0.0.1:{listener.getsockname()[1]}/a.ts"
        check(address, steady(10))
    (line,) = caplog.messages
    assert line.startswith(f"{address.replace('me:secret@', '')}: expected the stream to continue, got '")


@pytest.mark.parametrize(
    ("address", "got"),
    [
        (
            "http://me:secret@127.0.0.1:9/a.mp4?b=c",
            "http://127.0.0.1:9/a.mp4: expected a stream, got connection refused",
        ),
        ("nothing://x", "nothing://x: expected a stream, got protocol not found"),
        ("rtsp://[::1/x", "rtsp://[::1/x: expected a stream, got invalid argument"),
    ],
)
def test_a_stream_that_does_not_open_is_one_line(address: str, got: str) -> None:
    (source,) = find_sources(address, ALL)
    with pytest.raises(DataError) as caught:
        list(source.read())
    assert str(caught.value) == f"{got}; check the address and that the stream is running"


@pytest.mark.parametrize("device", ["/dev/video99", "/dev/v4l/by-id/usb-none"])
def test_a_device_that_is_not_there_is_one_line(device: str) -> None:
    with pytest.raises(DataError, match=f"^source: expected camera {device} to open, got no answer; check that "):
        find_sources(device, ALL)


def test_only_one_stream_at_a_time() -> None:
    with pytest.raises(ConfigError, match="^source: expected a single camera or stream, got 2 sources; predict"):
        find_sources(["rtsp://a/b", "a.mp4"], ALL)


@pytest.mark.parametrize("name", ["a:b.mp4", "C:\\a.mp4", "dev/video0", "x/dev/video0.mp4"])
def test_names_of_files_are_no_streams(name: str) -> None:
    assert not is_live(name)
