# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A small HTTPS server in a thread: what kubelet, fault proxy and admission webhook of the tests stand on."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from certificates import Pair


class HttpsServer(ThreadingHTTPServer):
    """Listens on a port of the loopback that the kernel chooses.

    clients: file of the CA that signs certificates of clients, if they have to show one.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler], pair: Pair, clients: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pair.certificate, pair.key)
        if clients:
            self._tls.load_verify_locations(clients)
            self._tls.verify_mode = ssl.CERT_REQUIRED
        self._open: set[socket.socket] = set()
        self.connections = 0  # how many there have been
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=type(self).__name__, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def get_request(self) -> tuple[Any, Any]:
        plain, address = super().get_request()
        # The handshake is left to the connection's own thread: a client that is slow at it keeps nobody waiting.
        request = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(request)
        self.connections += 1
        return request, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go as they please, and have their own way of telling when they are not content."""

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with kept-alive connections, and no log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": content_type} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
