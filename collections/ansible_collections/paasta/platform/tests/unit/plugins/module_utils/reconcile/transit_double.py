# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A double of HashiCorp Vault: the transit engine's batches and AppRole over HTTP, with real AES-256-GCM.

Answers have the statuses and bodies of Vault 1.14.2, read off that server; test_secrets_vault.py runs against a real
one as well when PAASTA_TEST_VAULT names it. What a real server does not do on demand (be down, busy, slow or a standby)
is scripted with ``answers``.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROOT_TOKEN = "hvs.root-of-the-double"


class Refused(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        self.status = status
        self.errors = errors


@dataclass
class Answer:
    """What the next request gets instead of its own answer, after ``delay`` seconds; status 0 hangs up."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0


@dataclass
class TransitDouble:
    """``keys``: AES keys by mount and name, oldest first. ``requests``: method, path and headers of all so far."""

    url: str = ""
    keys: dict[str, dict[str, list[bytes]]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=lambda: {ROOT_TOKEN})
    role: dict[str, str] = field(default_factory=lambda: {"role_id": "role", "secret_id": "opensesame"})
    answers: list[Answer] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def reply(self, path: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "auth/approle/login":
            if body != self.role:
                raise Refused(400, "invalid role or secret ID")
            made = f"hvs.{len(self.tokens)}"
            self.tokens.add(made)
            return 200, {"auth": {"client_token": made}}
        if token not in self.tokens:
            raise Refused(403, "permission denied")
        if path == "auth/token/revoke-self":
            self.tokens.discard(token)
            return 204, {}
        if path.startswith("sys/mounts/"):
            self.keys[path.removeprefix("sys/mounts/")] = {}
            return 204, {}
        mount, _slash, rest = path.partition("/")
        action, _slash, name = rest.partition("/")
        if mount not in self.keys:
            raise Refused(404, f'no handler for route "{path}". route entry not found.')
        if action == "keys":
            self.keys[mount].setdefault(name.removesuffix("/rotate"), []).append(AESGCM.generate_key(256))
            return 200, {"data": {}}
        return self._batch(action, self.keys[mount], name, body)

    def _batch(
        self, action: str, keys: dict[str, list[bytes]], name: str, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        if not body.get("batch_input"):
            raise Refused(400, "missing batch input to process")
        if action == "encrypt":
            keys.setdefault(name, [AESGCM.generate_key(256)])
        if name not in keys:
            raise Refused(400, "encryption key not found")
        results: list[dict[str, Any]] = []
        for item in body["batch_input"]:
            try:
                results.append(_one(action, keys[name], item))
            except ValueError as error:
                results.append({"error": str(error), **({"plaintext": ""} if action == "decrypt" else {})})
        # Vault: a failed item makes the status 400 of decrypt and encrypt, and leaves it 200 of rewrap.
        failed = action != "rewrap" and any("error" in result for result in results)
        return 400 if failed else 200, {"data": {"batch_results": results}}


def _one(action: str, versions: list[bytes], item: dict[str, str]) -> dict[str, Any]:
    if action == "encrypt":
        return _seal(versions, base64.b64decode(item["plaintext"], validate=True))
    _vault, version, encoded = item["ciphertext"].split(":", 2)
    if int(version[1:]) > len(versions):
        raise ValueError("invalid ciphertext: version is too new")
    try:
        sealed = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError("invalid ciphertext: could not decode base64") from None
    if len(sealed) < 28:
        raise ValueError("invalid ciphertext length")
    try:
        cleartext = AESGCM(versions[int(version[1:]) - 1]).decrypt(sealed[:12], sealed[12:], None)
    except InvalidTag:
        raise ValueError("cipher: message authentication failed") from None
    return _seal(versions, cleartext) if action == "rewrap" else {"plaintext": base64.b64encode(cleartext).decode()}


def _seal(versions: list[bytes], cleartext: bytes) -> dict[str, Any]:
    nonce = os.urandom(12)
    sealed = nonce + AESGCM(versions[-1]).encrypt(nonce, cleartext, None)
    return {"ciphertext": f"vault:v{len(versions)}:{base64.b64encode(sealed).decode()}", "key_version": len(versions)}


@contextmanager
def serving() -> Iterator[TransitDouble]:
    """A double that listens on this machine's loopback until the end."""
    double = TransitDouble()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            double.requests.append((self.command, self.path, dict(self.headers)))
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"null") or {}
            if double.answers:
                answer = double.answers.pop(0)
                time.sleep(answer.delay)
                if not answer.status:
                    self.close_connection = True
                    return
                self._send(answer.status, answer.body, answer.headers)
                return
            try:
                token = self.headers.get("X-Vault-Token", "")
                status, found = double.reply(self.path.removeprefix("/v1/"), token, body)
            except Refused as refused:
                status, found = refused.status, {"errors": list(refused.errors)}
            self._send(status, found, {})

        def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
            data = json.dumps(body).encode() if status != 204 else b""
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Type": "application/json"}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:  # the client's patience was over
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
