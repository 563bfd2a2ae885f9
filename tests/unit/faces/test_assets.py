from __future__ import annotations

import hashlib
import http.server
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from faceflow.errors import ConfigError
from faceflow.faces import assets
from faceflow.faces.assets import FACE_LANDMARKER, ModelFile, file_hash, find_model

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = b"other bytes"


@dataclass
class Server:
    """A local web server that can misbehave, and how often it was asked."""

    content: bytes = CONTENT
    status: int = 200
    cuts: list[int] = field(default_factory=list)  # bytes that each of the first answers sends before it breaks off
    asked: int = 0
    port: int = 0


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked += 1
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.content)))
            self.end_headers()
            self.wfile.write(state.content[: state.cuts.pop(0)] if state.cuts else state.content)

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
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No models folder, no proxy, and no wait before the next attempt at what fails anyway."""
    monkeypatch.delenv("FACEFLOW_MODELS", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(assets, "_RETRIES", 0)


def model(server: Server, **changes: str) -> ModelFile:
    values = {"name": "face.task", "sha256": SHA256, "url": f"http://127.0.0.1:{server.port}/face.task"}
    return ModelFile(**{**values, **changes})


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
    assert server.asked == 0
    cached.unlink()
    assert find_model(None, cache=cache, file=file) == cached
    assert server.asked == 1
    assert cached.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [cached]


def test_explicit_file_that_is_missing_is_an_error_not_a_download(tmp_path: Path, server: Server) -> None:
    with pytest.raises(ConfigError, match=r"detector.model: expected a file, got '.*/none.task'"):
        find_model(str(tmp_path / "none.task"), cache=tmp_path, file=model(server))
    assert server.asked == 0


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


def test_broken_transfer_is_begun_again(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_RETRIES", 1)
    server.cuts = [100_000]
    path = find_model(None, cache=tmp_path, file=model(server))
    assert path.read_bytes() == CONTENT
    assert server.asked == 2
    assert list(tmp_path.iterdir()) == [path]


def wrong_bytes(server: Server) -> tuple[ModelFile, str]:
    server.content = OTHER
    return model(server), f"{SHA256} but got {hashlib.sha256(OTHER).hexdigest()}"


def not_found(server: Server) -> tuple[ModelFile, str]:
    server.status = 404
    return model(server), "404 Client Error"


def always_broken(server: Server) -> tuple[ModelFile, str]:
    server.cuts = [10]
    return model(server), "10 bytes read"


def not_there(server: Server) -> tuple[ModelFile, str]:
    return model(server, url="http://127.0.0.1:1/face.task"), "Connection refused"


@pytest.mark.parametrize("fault", [wrong_bytes, not_found, always_broken, not_there])
def test_failure_says_what_to_put_where_and_leaves_nothing(
    tmp_path: Path, server: Server, fault: Callable[[Server], tuple[ModelFile, str]]
) -> None:
    file, reason = fault(server)
    cache = tmp_path / "cache"
    with pytest.raises(ConfigError) as caught:
        find_model(None, cache=cache, file=file)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"detector.model: expected to download face.task from {file.url}, got an error (")
    for part in (reason, f"SHA-256 {SHA256}", str(cache / "face.task"), "FACEFLOW_MODELS", "detector.model=FILE"):
        assert part in text
    assert list(cache.iterdir()) == []


def test_without_a_connection_nobody_waits_for_another_attempt(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "_RETRIES", 3)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"waits {seconds} s"))
    file, reason = not_there(server)
    with pytest.raises(ConfigError, match=reason):
        find_model(None, cache=tmp_path, file=file)


def test_cache_that_cannot_be_written_is_named(tmp_path: Path, server: Server) -> None:
    cache = written(tmp_path / "file") / "cache"
    with pytest.raises(ConfigError) as caught:
        find_model(None, cache=cache, file=model(server))
    assert str(caught.value) == (
        f"paths.cache: expected a writable folder, for face.task, got '{cache}' (Not a directory); "
        "set paths.cache=FOLDER or the variable FACEFLOW_CACHE, or use your own copy with detector.model=FILE"
    )


def test_nothing_but_the_bar_is_printed_and_that_to_stderr(
    tmp_path: Path, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    find_model(None, cache=tmp_path, file=model(server))
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "Downloading" not in printed.err
