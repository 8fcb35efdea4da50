# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The tests' own small client of the API server: what they look at must not come through the code that they test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import urllib3
from certificates import Pair

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

TIMEOUT = 30.0  # seconds


class Refused(Exception):
    """The API server's answer is a Status that tells of a failure."""

    def __init__(self, method: str, path: str, status: int, body: bytes, retry_after: str | None = None) -> None:
        try:
            self.body: Object = json.loads(body)
        except ValueError:
            self.body = {"message": body.decode(errors="replace")}
        self.status = status
        self.retry_after = retry_after
        self.reason = self.body.get("reason", "")
        super().__init__(f"{method} {path}: {status} {self.reason}: {self.body.get('message')}")


class Client:
    """JSON over kept-alive connections; as the owner of a certificate, or of a token. Safe to use from threads."""

    def __init__(self, host: str, ca: Path, *, pair: Pair | None = None, token: str = "", connections: int = 8) -> None:
        self.host = host
        self._headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self._pool = urllib3.PoolManager(
            ca_certs=str(ca),
            cert_file=str(pair.certificate) if pair else None,
            key_file=str(pair.key) if pair else None,
            maxsize=connections,
            retries=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._pool.clear()

    def raw(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float = TIMEOUT,
    ) -> bytes:
        """The answer's bytes. Raises Refused, and urllib3's errors where the server does not answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({"Content-Type": content_type} if data is not None else {})
        answer = self._pool.request(method, self.host + path, body=data, headers=headers, timeout=timeout)
        if answer.status >= 400:
            raise Refused(method, path, answer.status, answer.data, answer.headers.get("Retry-After"))
        return answer.data

    def get(self, path: str, **query: Any) -> Object:
        return _object(self.raw("GET", path + _query(query)))

    def items(self, path: str, **query: Any) -> list[Object]:
        found: list[Object] = self.get(path, **query)["items"]
        return found

    def exists(self, path: str) -> bool:
        try:
            self.get(path)
        except Refused as refused:
            if refused.status != 404:
                raise
            return False
        return True

    def create(self, path: str, body: Object) -> Object:
        return _object(self.raw("POST", path, body=body))

    def replace(self, path: str, body: Object) -> Object:
        return _object(self.raw("PUT", path, body=body))

    def patch(self, path: str, body: Object, *, content_type: str = MERGE, **query: Any) -> Object:
        return _object(self.raw("PATCH", path + _query(query), body=body, content_type=content_type))

    def apply(self, path: str, body: Object, *, manager: str, force: bool = False) -> Object:
        return self.patch(path, body, content_type=APPLY, fieldManager=manager, force=str(force).lower())

    def delete(self, path: str, body: Object | None = None) -> Object:
        return _object(self.raw("DELETE", path, body=body))

    def watch(self, path: str, *, version: str, seconds: int = 300, **query: Any) -> Iterator[Object]:
        """Events until the server ends the watch, at the latest after so many seconds."""
        query |= {"watch": "1", "resourceVersion": version, "timeoutSeconds": seconds, "allowWatchBookmarks": "true"}
        answer = self._pool.request(
            "GET", self.host + path + _query(query), headers=self._headers, preload_content=False, timeout=seconds + 10
        )
        try:
            if answer.status >= 400:
                raise Refused("GET", path, answer.status, answer.read())
            rest = b""
            for block in answer.stream(1 << 16, decode_content=True):
                *lines, rest = (rest + block).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        finally:
            # Not given back to the pool: a watch that is left early has more to say.
            answer.close()
            answer.release_conn()


def _object(data: bytes) -> Object:
    found: Object = json.loads(data)
    return found


def _query(query: dict[str, Any]) -> str:
    return "?" + urlencode(query) if query else ""
