"""A local HTTP server that does what a test says, request by request: an API server on a bad day."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

Step = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            # Tests break connections on purpose.
            self.close_connection = True

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.seen.append({"method": self.command, "path": self.path, "headers": self.headers, "body": body})
            step = self.server.steps.pop(0) if len(self.server.steps) > 1 else self.server.steps[0]
        step(self)

    do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = do_any

    def log_message(self, *_args: Any) -> None:
        pass

    def reset(self) -> None:
        """End the connection as a killed process does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # A close alone waits for the files made of the socket.
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        raise ConnectionResetError


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, steps: list[Step]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = Lock()
        self.steps = steps
        self.seen: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(*steps: Step) -> Iterator[Server]:
    """A server that takes one step for each request; the last one for all that follow."""
    with Server(list(steps)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def answer(body: Any, status: int = 200, **headers: str) -> Step:
    def step(handler: Handler) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return step


def refuse(status: int, reason: str, message: str, **headers: str) -> Step:
    body = {"kind": "Status", "apiVersion": "v1", "code": status, "reason": reason, "message": message}
    return answer(body, status, **headers)


def half_an_answer(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"metadata": {"na')
    handler.wfile.flush()
    handler.reset()


def stream(*parts: bytes, then: Callable[[Handler], None] | None = None) -> Step:
    """The parts of a watch, each a chunk of its own; ``then``: how it ends, if not properly."""

    def step(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in parts:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            handler.wfile.flush()
        if then:
            then(handler)
        handler.wfile.write(b"0\r\n\r\n")

    return step


def event(kind: str, name: str, version: int) -> bytes:
    metadata = {"name": name, "resourceVersion": str(version)}
    return json.dumps({"type": kind, "object": {"kind": "Pod", "metadata": metadata}}).encode() + b"\n"
