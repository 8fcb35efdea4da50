# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""An HTTPS proxy in front of the API server that fails as it is told, and counts what passes.

    proxy.answer(429, method="PATCH", retry_after=1, times=3)      # the first three
    proxy.reset(path="/deployments/web", after=True)               # the server does it, the client never hears of it
    proxy.delay(2.0, method="GET", skip=1, times=1)                # the second only
    proxy.cut(0.5)                                                 # watches break off after half a second

Clients reach it with a token, for certificates of clients end here: `proxy.url` is the host to put into a kubeconfig.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from certificates import Pair
from https_server import Handler, HttpsServer

FOREVER = 1 << 30
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclass
class Rule:
    """What is done with requests that fit: method and path (a regular expression, found anywhere; the query counts).

    skip: so many are let through first. times: so many are met after that. action: a method of FaultHandler.
    """

    action: str
    method: str = ""
    path: str = ""
    skip: int = 0
    times: int = FOREVER
    value: Any = None
    met: int = 0

    def meets(self, method: str, path: str) -> bool:
        """Whether this request is one of them; it is counted if it fits."""
        if self.method not in ("", method) or not re.search(self.path, path):
            return False
        self.met += 1
        return self.skip < self.met <= self.skip + self.times


@dataclass
class Seen:
    """A request, and what the client got: a status, 0 where it got none."""

    method: str
    path: str
    query: dict[str, list[str]]
    status: int = 0
    at: float = field(default_factory=time.monotonic)


class FaultProxy(HttpsServer):
    """requests: all that came, in order. connections: how many the clients opened."""

    def __init__(self, target: str, ca: Path, pair: Pair) -> None:
        self.target = urlsplit(target).netloc
        self.upstream_tls = ssl.create_default_context(cafile=str(ca))
        self.requests: list[Seen] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        super().__init__(FaultHandler, pair)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Rules, of which the first that meets a request counts. which: method, path, skip and times, see Rule.

    def answer(self, status: int, *, retry_after: int | None = None, message: str = "told to", **which: Any) -> Rule:
        """Answer in the API server's stead."""
        return self._add("refuse", (status, retry_after, message), which)

    def reset(self, *, after: bool = False, **which: Any) -> Rule:
        """Reset the connection: before the server has the request, or after it has carried it out."""
        return self._add("reset_after" if after else "reset_before", None, which)

    def delay(self, seconds: float, **which: Any) -> Rule:
        """Hold the request back, then let it through."""
        return self._add("hold", seconds, which)

    def cut(self, seconds: float, **which: Any) -> Rule:
        """Let watches begin and break them off."""
        return self._add("cut_off", seconds, {"path": "[?&]watch=", **which})

    def clear(self) -> None:
        """Forget rules and requests."""
        with self._lock:
            self._rules.clear()
            self.requests.clear()

    def count(self, method: str = "", path: str = "") -> int:
        """How many requests fit."""
        return sum(method in ("", seen.method) and bool(re.search(path, seen.path)) for seen in list(self.requests))

    def _add(self, action: str, value: Any, which: dict[str, Any]) -> Rule:
        rule = Rule(action, value=value, **which)
        with self._lock:
            self._rules.append(rule)
        return rule

    def note(self, method: str, path: str) -> tuple[Seen, Rule | None]:
        with self._lock:
            url = urlsplit(path)
            seen = Seen(method, url.path, parse_qs(url.query))
            self.requests.append(seen)
            return seen, next((rule for rule in self._rules if rule.meets(method, path)), None)


class FaultHandler(Handler):
    """One connection of a client, with one of its own to the API server."""

    server: FaultProxy
    upstream: http.client.HTTPSConnection | None = None

    def relay(self) -> None:
        self.seen, rule = self.server.note(self.command, self.path)
        self.until = float("inf")  # when a watch is to break off
        body = self.body()
        if rule is None or getattr(self, rule.action)(rule.value):
            self._pass_on(body, silent=rule is not None and rule.action == "reset_after")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = relay

    # Actions; true if the request goes on to the server.

    def refuse(self, how: tuple[int, int | None, str]) -> bool:
        status, retry_after, message = how
        reasons = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
        body = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "code": status}
        body |= {"reason": reasons.get(status, "Unknown")}
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self.seen.status = status
        self.answer(status, json.dumps(body).encode(), "application/json", headers)
        return False

    def reset_before(self, _: None) -> bool:
        self._reset()
        return False

    def reset_after(self, _: None) -> bool:
        return True

    def hold(self, seconds: float) -> bool:
        time.sleep(seconds)
        return True

    def cut_off(self, seconds: float) -> bool:
        self.until = time.monotonic() + seconds
        return True

    # The way to the server and back

    def _pass_on(self, body: bytes, *, silent: bool) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        try:
            answer = self._ask(body, headers)
            if silent:
                answer.read()
                self._reset()
            elif answer.chunked:
                self._stream(answer)
            else:
                content = answer.read()
                self.seen.status = answer.status
                self.answer(answer.status, content, answer.headers.get("Content-Type", ""), _kept(answer))
        except (OSError, http.client.HTTPException):
            # The server is gone: the client sees just that.
            self._drop_upstream()
            self._reset()

    def _ask(self, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        reused = self.upstream is not None
        if self.upstream is None:
            self.upstream = http.client.HTTPSConnection(
                self.server.target, context=self.server.upstream_tls, timeout=120
            )
        try:
            self.upstream.request(self.command, self.path, body=body or None, headers=headers)
            return self.upstream.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            if not reused:
                raise
            # Kept alive for too long. The server has not seen this request, which is therefore sent anew.
            self._drop_upstream()
            return self._ask(body, headers)

    def _stream(self, answer: http.client.HTTPResponse) -> None:
        """A watch, or a long list: pass on what comes, as it comes."""
        self.seen.status = answer.status
        self.send_response(answer.status)
        for name, value in (_kept(answer) | {"Content-Type": answer.headers.get("Content-Type", "")}).items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while block := self._read(answer):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
        if time.monotonic() >= self.until:
            self._drop_upstream()
            self._reset()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        if self.until == float("inf"):
            return answer.read1(1 << 16)
        if (left := self.until - time.monotonic()) <= 0:
            return b""
        assert self.upstream is not None
        self.upstream.sock.settimeout(left)
        try:
            return answer.read1(1 << 16)
        except TimeoutError:
            return b""

    def _reset(self) -> None:
        """The client gets a RST in place of an orderly end."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Under TLS, so that not even TLS says goodbye.
            socket.socket.close(self.connection)

    def _drop_upstream(self) -> None:
        if self.upstream is not None:
            self.upstream.close()
            self.upstream = None

    def finish(self) -> None:
        self._drop_upstream()
        with contextlib.suppress(OSError, ValueError):
            super().finish()


def _kept(answer: http.client.HTTPResponse) -> dict[str, str]:
    """The headers that matter to clients of the API."""
    return {
        name: value
        for name, value in answer.headers.items()
        if name in ("Audit-Id", "Content-Encoding", "Retry-After", "Warning") or name.startswith("X-Kubernetes-Pf-")
    }
