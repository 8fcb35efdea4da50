# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The ``docker`` package's low-level client, over a :class:`~.channel.Channel`.

Only the transport is ours: a connection is a ``docker system dial-stdio`` on the host, kept alive and pooled by
urllib3 like any other.
"""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

try:
    import docker
    import requests.exceptions
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool
    from urllib3.connection import HTTPConnection
except ImportError:  # libraries.py says so
    if not TYPE_CHECKING:
        HTTPAdapter = HTTPConnection = HTTPConnectionPool = object

from .channel import Channel, Process, Unreachable

#: Connections kept per host, and so the number of requests under way there.
POOL_SIZE = 8

#: Seconds for one request. Starting and stopping containers can take long on a busy disk.
REQUEST_TIMEOUT = 120

# The name is for error messages only; docker-py wants a port in it.
_BASE_URL = "http://docker:80"


class _Connection(HTTPConnection):
    """An HTTP connection whose socket is a program's standard input and output."""

    def __init__(self, channel: Channel, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._channel = channel
        self._process: Process | None = None
        self._timeout = timeout

    def connect(self) -> None:
        self._process = self._channel.start(["docker", "system", "dial-stdio"])
        self._process.socket.settimeout(self._timeout)
        self.sock = self._process.socket

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        process = self._process
        try:
            return super().getresponse(*args, **kwargs)
        except (http.client.HTTPException, ConnectionError) as error:
            reason = process.failure() if process else error
            raise Unreachable(f"{self._channel.url}: {reason}") from error

    def close(self) -> None:
        super().close()
        if self._process is not None:
            self._process.close()
            self._process = None


class _Pool(HTTPConnectionPool):
    def __init__(self, channel: Channel) -> None:
        super().__init__("docker", maxsize=POOL_SIZE, block=True, timeout=REQUEST_TIMEOUT)
        self._channel = channel

    def _new_conn(self) -> Any:
        return _Connection(self._channel, REQUEST_TIMEOUT)


class _Adapter(HTTPAdapter):
    """Sends every request of a session through one pool of such connections."""

    def __init__(self, channel: Channel) -> None:
        self._pool = _Pool(channel)
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> str:
        return str(request.path_url)

    def close(self) -> None:
        self._pool.close()
        super().close()


def connect(channel: Channel) -> docker.APIClient:
    """A client of the host's Engine, its API version agreed.

    :raises Unreachable: when the host or its Engine does not answer.
    """
    try:
        if channel.docker_socket:
            return docker.APIClient(base_url=f"unix://{channel.docker_socket}", version="auto", timeout=REQUEST_TIMEOUT)
        # The version named here is only used to ask for the version: the client has no other way to a transport.
        client = docker.APIClient(base_url=_BASE_URL, version="1.41", timeout=REQUEST_TIMEOUT)
        client.mount(_BASE_URL, _Adapter(channel))
        vars(client)["_version"] = str(client.version(api_version=False)["ApiVersion"])
        return client
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise Unreachable(f"{channel.url}: the Docker Engine does not answer: {error}") from error
