#!/usr/bin/env python3
# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The least that any client has to do: send server-side applies, and nothing else. For ``benchmarks/kubernetes.py``.

    kubernetes_bare.py ACCESS MANIFESTS

ACCESS is a JSON file with ``host``, ``ca`` and either ``certificate`` and ``key`` (files) or ``token``; MANIFESTS one
with a list of ``{"path": ..., "manifest": {...}}``, namespaces first. Everything is read and encoded before the clock
starts; then 16 threads of the standard library's HTTP client send it over connections that stay open: the namespaces,
and when all of these are there, the rest. Looks at nothing but the status. Prints JSON: ``seconds``, ``requests``.
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Any
from urllib.parse import urlsplit

THREADS = 16


class Client:
    """One connection for each thread."""

    def __init__(self, access: dict[str, str]) -> None:
        self._address = urlsplit(access["host"])
        self._tls = ssl.create_default_context(cafile=access["ca"])
        self._headers = {"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"}
        if "token" in access:
            self._headers["Authorization"] = f"Bearer {access['token']}"
        else:
            self._tls.load_cert_chain(access["certificate"], access["key"])
        self._local = local()

    def apply(self, request: tuple[str, bytes]) -> None:
        path, body = request
        connection = self._connection()
        connection.request("PATCH", f"{path}?fieldManager=bare", body, self._headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            sys.exit(f"PATCH {path}: {answer.status} {text.decode()[:500]}")

    def _connection(self) -> http.client.HTTPSConnection:
        found: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if found is None:
            found = http.client.HTTPSConnection(self._address.hostname or "", self._address.port, context=self._tls)
            self._local.connection = found
        return found


def main(access: str, manifests: str) -> None:
    client = Client(json.loads(Path(access).read_text()))
    entries: list[dict[str, Any]] = json.loads(Path(manifests).read_text())
    first = [_encoded(entry) for entry in entries if entry["manifest"]["kind"] == "Namespace"]
    others = [_encoded(entry) for entry in entries if entry["manifest"]["kind"] != "Namespace"]
    with ThreadPoolExecutor(THREADS) as pool:
        start = time.monotonic()
        for requests in (first, others):
            list(pool.map(client.apply, requests))
        print(json.dumps({"seconds": time.monotonic() - start, "requests": len(entries)}))


def _encoded(entry: dict[str, Any]) -> tuple[str, bytes]:
    return entry["path"], json.dumps(entry["manifest"], separators=(",", ":")).encode()


if __name__ == "__main__":
    main(*sys.argv[1:])
