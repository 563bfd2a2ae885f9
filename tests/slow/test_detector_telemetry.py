"""MediaPipe's library uploads usage metrics by default; none must get through.

A proxy replaces the receiver. It terminates TLS with a certificate that the detector trusts.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.faces.test_detector import NAMES, model_file

HOST = "play.googleapis.com"
DETECT = """
import sys
import certifi, numpy as np
certifi.where = lambda: sys.argv[3]
from faceflow.config.composition import compose_config
from faceflow.config.instantiate import instantiate
config = compose_config("infer", ["onnx=none", "output=-", f"detector={sys.argv[1]}", f"detector.model={sys.argv[2]}"])
with instantiate(config["detector"], key="detector") as detector:
    detector.detect(np.zeros((128, 128, 3), np.uint8))
"""

pytestmark = pytest.mark.slow


class Receiver:
    """Listens as a proxy, and records the requests and the decrypted content."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[bytes] = []
        self.received: list[bytes] = []
        self.certificate = folder / "certificate.pem"
        make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={HOST}", "-days", "2")
        names = ("-addext", f"subjectAltName=DNS:{HOST}", "-keyout", folder / "key.pem", "-out", self.certificate)
        subprocess.run([*make, *names], check=True, capture_output=True)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, folder / "key.pem")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with connection:
                self.asked.append(connection.recv(4096).split(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                try:
                    with self._context.wrap_socket(connection, server_side=True) as plain:
                        self.received.append(plain.recv(4096))
                except OSError:  # the other side hung up
                    continue


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    found = Receiver(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize("name", NAMES)
def test_no_metrics_arrive(name: str, receiver: Receiver) -> None:
    pytest.importorskip("mediapipe")
    command = [sys.executable, "-c", DETECT, name, model_file(), str(receiver.certificate)]
    done = subprocess.run(
        command, env={**os.environ, "https_proxy": receiver.address}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [content for content in receiver.received if content] == []
