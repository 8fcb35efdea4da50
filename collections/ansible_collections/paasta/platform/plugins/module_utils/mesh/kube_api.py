# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Pods of an API server, listed and watched: as little of a client as a program on a host needs.

Its kubeconfig is JSON, which is YAML too, and names files: they are read anew for every connection, so whoever replaces
a certificate need not tell anybody. It may have several contexts, one for each API server: when one does not answer,
the next is asked.

Part of a program that runs on hosts: only the standard library (Python 3.8).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

PODS = "/api/v1/pods"

#: Pods in one page of a list.
PAGE = 500

#: Seconds that a connection, an answer, or silence may take; a watch is quiet for at most a minute (bookmarks).
CONNECT_TIMEOUT, ANSWER_TIMEOUT, SILENCE = 5, 30, 150

#: Seconds after which the server ends a watch; the next one begins with whatever certificate is there then.
WATCH = 240

# Seconds until a peer that is gone without a word is noticed.
_KEEPALIVE = (
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 5),
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 3),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 3),
    ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 15000),
)


class Unavailable(Exception):
    """No answer, or none that helps; the text says which server and why."""


class TooOld(Exception):
    """The server does not know any more what has changed since: list again."""


class PodApi:
    """The pods of a cluster that have some labels.

    :param kubeconfig: path of the file.
    :param selector: a label selector.
    """

    def __init__(self, kubeconfig: str, selector: str) -> None:
        self._kubeconfig = kubeconfig
        self._selector = selector
        self._turn = 0

    def list(self) -> tuple[list[dict[str, Any]], str]:
        """All pods, and the version of the list.

        :raises Unavailable:
        :raises TooOld: when the list has changed too much between its pages.
        """
        found: list[dict[str, Any]] = []
        query = {"labelSelector": self._selector, "limit": str(PAGE)}
        with self._connection() as connection:
            while True:
                page = json.loads(self._ask(connection, query).read())
                found += page["items"]
                token = page["metadata"].get("continue")
                if not token:
                    return found, str(page["metadata"]["resourceVersion"])
                query["continue"] = token

    def watch(self, version: str) -> Iterator[dict[str, Any]]:
        """Events since a version, until the server ends the watch.

        :raises Unavailable:
        :raises TooOld:
        """
        query = {
            "labelSelector": self._selector,
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH),
        }
        with self._connection() as connection:
            answer = self._ask(connection, query)
            connection.sock.settimeout(SILENCE)
            while True:
                line = answer.readline()
                if not line:
                    return
                event: dict[str, Any] = json.loads(line)
                if event["type"] == "ERROR":
                    raise _refusal(int(event["object"].get("code", 0)), event["object"].get("message", ""))
                yield event

    @contextlib.contextmanager
    def _connection(self) -> Iterator[http.client.HTTPSConnection]:
        """A connection to the server whose turn it is. Any failure on it is the next one's turn.

        :raises Unavailable: instead of whatever went wrong.
        """
        server, connection = "", None
        try:
            server, headers, context = self._context()
            connection = http.client.HTTPSConnection(urlsplit(server).netloc, timeout=CONNECT_TIMEOUT, context=context)
            connection.connect()
            connection.sock.settimeout(ANSWER_TIMEOUT)
            for name, level, value in _KEEPALIVE:
                connection.sock.setsockopt(level, getattr(socket, name), value)
            connection.paasta_headers = headers  # type: ignore[attr-defined]
            yield connection
        except (OSError, http.client.HTTPException, ValueError, LookupError, Unavailable) as error:
            self._turn += 1
            where = server or self._kubeconfig
            raise Unavailable(f"{where}: {str(error) or type(error).__name__}") from error
        finally:
            if connection is not None:
                connection.close()

    def _ask(self, connection: http.client.HTTPSConnection, query: dict[str, str]) -> http.client.HTTPResponse:
        headers = connection.paasta_headers  # type: ignore[attr-defined]
        connection.request("GET", f"{PODS}?{urlencode(query)}", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            body = answer.read().decode(errors="replace")
            with contextlib.suppress(ValueError, LookupError, TypeError):
                body = json.loads(body)["message"]
            raise _refusal(answer.status, body)
        return answer

    def _context(self) -> tuple[str, dict[str, str], ssl.SSLContext]:
        """The server whose turn it is, headers for it, and how to speak to it; from files as they are now."""
        with open(self._kubeconfig) as stream:
            config = json.load(stream)
        chosen = config["contexts"][self._turn % len(config["contexts"])]["context"]
        cluster = next(one["cluster"] for one in config["clusters"] if one["name"] == chosen["cluster"])
        user = next(one["user"] for one in config["users"] if one["name"] == chosen["user"])
        context = ssl.create_default_context(cafile=self._path(cluster["certificate-authority"]))
        if "client-certificate" in user:
            context.load_cert_chain(self._path(user["client-certificate"]), self._path(user["client-key"]))
        headers = {"Accept": "application/json", "User-Agent": "paasta-endpoints"}
        if "tokenFile" in user:
            with open(self._path(user["tokenFile"])) as stream:
                headers["Authorization"] = f"Bearer {stream.read().strip()}"
        return str(cluster["server"]), headers, context

    def _path(self, name: str) -> str:
        """Names of files are relative to the kubeconfig."""
        return os.path.join(os.path.dirname(os.path.abspath(self._kubeconfig)), name)


def _refusal(status: int, message: str) -> Exception:
    return TooOld(message) if status == 410 else Unavailable(f"{status} {message.strip()[:300]}")
