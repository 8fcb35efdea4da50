"""What a visitor sees: GET / asks the quotes service for its content, through the mesh."""

from __future__ import annotations

import hmac
import json
import os
import signal
import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# PaaSTA tells a container what it is through its environment.
WHO = {
    "service": os.environ.get("PAASTA_SERVICE", "web"),
    "instance": os.environ.get("PAASTA_INSTANCE", "dev"),
    "git_sha": os.environ.get("PAASTA_GIT_SHA", ""),
    "host": os.environ.get("PAASTA_HOST", socket.gethostname()),
}
# Other services are at one address on every host, each at its own port; which replica answers is the mesh's business.
MESH = os.environ.get("PAASTA_MESH_ADDRESS", "169.254.255.254")
QUOTES_URL = f"http://{MESH}:{os.environ.get('QUOTES_PORT', '20001')}/"
QUOTES_TIMEOUT = 3  # seconds
# A secret. All replicas have the same, so whoever has it too can tell that an answer comes from one of them.
SIGNING_KEY = os.environ.get("SIGNING_KEY", "")


def page() -> dict[str, Any]:
    """The content; what depends on another service is left out when that service does not answer."""
    try:
        with urllib.request.urlopen(QUOTES_URL, timeout=QUOTES_TIMEOUT) as response:
            return {**WHO, "quotes": json.load(response)}
    except (OSError, ValueError) as error:
        return {**WHO, "quotes": None, "error": f"{QUOTES_URL}: {error}"}


class Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds a client may take to send its request

    def do_GET(self) -> None:
        if self.path == "/status":
            # Tells of this replica only: if quotes is down, replacing web does not help.
            self.answer(200, {"status": "ok"})
        elif self.path == "/":
            self.answer(200, page())
        else:
            self.answer(404, {"error": f"there is no {self.path} here"})

    def answer(self, code: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if SIGNING_KEY:
            self.send_header("X-Signature", hmac.new(SIGNING_KEY.encode(), body, "sha256").hexdigest())
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
