"""Hands out quotations: GET / gives one, GET /slow gives one after a second, GET /status tells that all is well."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

QUOTES = (
    "Simplicity is prerequisite for reliability. (Edsger W. Dijkstra)",
    "Make it work, make it right, make it fast. (Kent Beck)",
    "The cheapest, fastest, and most reliable components are those that aren't there. (Gordon Bell)",
)
NEXT_QUOTE = itertools.cycle(QUOTES)

# PaaSTA tells a container what it is through its environment.
WHO = {
    "service": os.environ.get("PAASTA_SERVICE", "quotes"),
    "instance": os.environ.get("PAASTA_INSTANCE", "dev"),
    "git_sha": os.environ.get("PAASTA_GIT_SHA", ""),
    "host": os.environ.get("PAASTA_HOST", socket.gethostname()),
}


class Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds a client may take to send its request

    def do_GET(self) -> None:
        if self.path == "/status":
            self.answer(200, {"status": "ok"})
        elif self.path in ("/", "/slow"):
            time.sleep(1 if self.path == "/slow" else 0)
            self.answer(200, {**WHO, "quote": next(NEXT_QUOTE)})
        else:
            self.answer(404, {"error": f"there is no {self.path} here"})

    def answer(self, code: int, content: dict[str, str]) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if self.path != "/status":  # asked every second, and of no interest
            super().log_request(code, size)


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close() waits for the requests in flight
    request_queue_size = 128


def main() -> None:
    server = Server(("", int(os.environ.get("PAASTA_PORT", "8888"))), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}).start()
    print(f"{WHO} listens on port {server.server_port}", flush=True)

    # A container may be stopped at any time: finish what was begun, then go.
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    stop.wait()
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
