"""Object stores over real HTTP on the loopback interface: one in memory and one proxy; both can inject faults."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

Answer = tuple[int, dict[str, str], bytes]  # status, headers, content


@dataclass
class Faults:
    """Faults by part of the path: `kinds[part]` is one of

    403, 404, 500: this status; cut: half of the content, then the connection closes; stall: no content for a long time;
    slow: a delay before each piece; flip: other bytes of the same length; change: from then on a different object.
    `left[part]` counts the remaining faults; without an entry there is no limit. Faults in content affect responses to
    GET only.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    stall_s: float = 5.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, path: str, method: str) -> str | None:
        with self.lock:
            for part, kind in self.kinds.items():
                if part in path and (kind.isdigit() or method == "GET") and self.left.get(part, 1) > 0:
                    if part in self.left:
                        self.left[part] -= 1
                    return kind
        return None


@dataclass
class StoreServer:
    """A running server: `url`, faults, number of requests per path, and the objects of a store in memory."""

    url: str
    faults: Faults
    requests: list[tuple[str, str]]
    objects: dict[str, bytes]


@contextlib.contextmanager
def web_server(objects: Mapping[str, bytes]) -> Iterator[StoreServer]:
    """Serve objects by their path ("a/b.jpg") with an ETag."""
    held = dict(objects)

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        content = held.get(unquote(urlsplit(path).path).lstrip("/"))
        if content is None:
            return 404, {}, b""
        return 200, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, content

    with _serving(answer, held) as server:
        yield server


@contextlib.contextmanager
def proxy(upstream: str) -> Iterator[StoreServer]:
    """Forward all requests to another server, except for faults."""
    place = urlsplit(upstream)

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            content = response.read()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOPS}
            return response.status, kept, content
        finally:
            connection.close()

    with _serving(answer, {}) as server:
        yield server


_HOPS = ("connection", "transfer-encoding", "date", "server")


@contextlib.contextmanager
def _serving(
    answer: Callable[[str, str, Mapping[str, str], bytes], Answer], objects: dict[str, bytes]
) -> Iterator[StoreServer]:
    faults, requests = Faults(), list[tuple[str, str]]()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            requests.append((self.command, self.path))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = faults.next(self.path, self.command)
            if fault is not None and fault.isdigit():
                self.respond(int(fault), {}, b"")
                return
            self.respond(*answer(self.command, self.path, dict(self.headers.items()), body), fault=fault)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def respond(self, status: int, headers: Mapping[str, str], content: bytes, *, fault: str | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            length = headers.get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if self.command == "HEAD" or status >= 300:
                self.wfile.write(b"" if self.command == "HEAD" else content)
                return
            if fault == "change":
                objects[unquote(self.path).lstrip("/")] += b"!"
            if fault == "flip":
                content = bytes(byte ^ 1 for byte in content)
            if fault == "stall":
                time.sleep(faults.stall_s)
            if fault == "cut":
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            elif fault == "slow":
                for start in range(0, len(content), max(1, len(content) // 4)):
                    self.wfile.write(content[start : start + max(1, len(content) // 4)])
                    time.sleep(0.1)
            else:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the client disconnected

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield StoreServer(f"http://127.0.0.1:{server.server_port}", faults, requests, objects)
        finally:
            server.shutdown()
            thread.join()
