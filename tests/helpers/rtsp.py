"""A network camera: an RTSP server (RFC 2326) that plays one MPEG transport stream, once.

The end of the last frame is never sent, so clients do not see that frame.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PACKET = 7 * 188  # bytes of a transport stream that fit into a packet


@contextmanager
def rtsp_server(stream: bytes) -> Iterator[str]:
    """Serve a transport stream; yields the address, which needs no password but can contain one."""

    class Player(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while request := self._request():
                method, sequence = request
                body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:1\r\n"
                lines = {
                    "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n",
                    "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}",
                    "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n\r\n",
                    "PLAY": "Session: 1\r\n\r\n",
                }.get(method, "\r\n")
                self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{lines}".encode())
                if method == "PLAY":
                    self._play()
                    return

        def _request(self) -> tuple[str, str] | None:
            method, sequence = self.rfile.readline().decode().partition(" ")[0], "0"
            while line := self.rfile.readline().decode().strip():
                if line.lower().startswith("cseq:"):
                    sequence = line.partition(":")[2].strip()
            return (method, sequence) if method else None

        def _play(self) -> None:
            for number, start in enumerate(range(0, len(stream), _PACKET)):
                content = struct.pack(">BBHII", 0x80, 33, number, 3600 * number, 7) + stream[start : start + _PACKET]
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(content)) + content)

    with socketserver.TCPServer(("127.0.0.1", 0), Player) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        yield f"rtsp://127.0.0.1:{server.server_address[1]}/stream"
