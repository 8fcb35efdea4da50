# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A real Envoy with the files that envoy_config, docker_instances and paasta-endpoints write: what clients see.

    .venv/bin/pytest tests/mesh

Envoy is what role `envoy` has downloaded on this machine; without it there is nothing to test here.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import (
    DRAINING,
    Endpoint,
    EndpointFiles,
    Source,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.envoy_config import run
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.host_agent import endpoints_seen

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paasta/envoy"
PROGRAMS = sorted(CACHE.glob("*/envoy"))
WEB = "web.main"

pytestmark = pytest.mark.skipif(not PROGRAMS, reason=f"no Envoy in {CACHE}: playbooks/bootstrap.yml downloads it")


class Backend(BaseHTTPRequestHandler):
    """Says who it is; /slow takes a second."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1.0)
        body = str(self.server.server_address[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def backend(address: str = "127.0.0.1", port: int = 0) -> Iterator[Endpoint]:
    server = ThreadingHTTPServer((address, port), Backend)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    try:
        yield Endpoint(address, server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Envoy:
    """One Envoy with its files, and namespace web.main at a port of its own."""

    def __init__(self, directory: Path) -> None:
        (directory / "eds").mkdir(parents=True)
        self.directory = directory
        self.files = EndpointFiles(str(directory))
        self.port, self.admin = free_port(), f"127.0.0.1:{free_port()}"
        for name in ("lds.json", "cds.json"):
            (directory / name).write_text('{"version_info": "0", "resources": []}')
        paths = {
            f"{kind}_config": {
                "resource_api_version": "V3",
                "path_config_source": {"path": str(directory / f"{kind}.json")},
            }
            for kind in ("lds", "cds")
        }
        address, _colon, port = self.admin.partition(":")
        bootstrap = {
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": {"socket_address": {"address": address, "port_value": int(port)}}},
            "dynamic_resources": paths,
        }
        options = ["--disable-hot-restart", "--concurrency", "1", "-l", "error", "--config-yaml", json.dumps(bootstrap)]
        self.process = subprocess.Popen([str(PROGRAMS[-1]), *options])

    def configure(self, *addresses: str) -> None:
        namespace = {
            **{"proxy_port": self.port, "mode": "http", "healthcheck_mode": "http", "healthcheck_uri": "/status"},
            **{"healthcheck_timeout_s": 0.2, "extra_healthcheck_headers": {}, "extra_headers": {}, "retries": 1},
            **{"timeout_connect_ms": 200, "timeout_server_ms": 5000, "idle_timeout": 60, "endpoint_timeouts": {}},
            **{"lb_policy": "ROUND_ROBIN", "allow_websocket_upgrade": False},
        }
        args = {"namespaces": {WEB: namespace}, "addresses": list(addresses), "directory": str(self.directory)}
        result = run({**args, "admin": self.admin, "program": str(PROGRAMS[-1]), "timeout": 20}, False, False)
        assert not result.get("failed"), result["msg"]

    def give(self, source: str, *endpoints: Endpoint) -> None:
        self.files.write(source, {WEB: Source(endpoints).text()})

    def takes(self, *endpoints: Endpoint) -> bool:
        """Whether it sends requests to these and to no others."""
        seen = endpoints_seen(self.admin).get("web.main.egress_cluster", {})
        return {key for key, (takes, _active) in seen.items() if takes} == {one.key for one in endpoints}

    def ask(self, path: str = "/", address: str = "127.0.0.1") -> tuple[int, str]:
        connection = http.client.HTTPConnection(address, self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture
def envoys(tmp_path: Path) -> Iterator[Callable[[], Envoy]]:
    started: list[Envoy] = []

    def start() -> Envoy:
        started.append(Envoy(tmp_path / str(len(started))))
        eventually(lambda: endpoints_seen(started[-1].admin) is not None)
        return started[-1]

    yield start
    for envoy in started:
        envoy.process.kill()
        envoy.process.wait()


def eventually(check: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if check():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


@contextmanager
def traffic(envoy: Envoy) -> Iterator[list[tuple[int, str]]]:
    """A client that asks without a pause, each time on a new connection."""
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                answers.append(envoy.ask())
            except OSError as error:
                answers.append((0, repr(error)))

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def test_a_move_from_one_source_to_another_and_back_loses_no_request(envoys: Callable[[], Envoy]) -> None:
    with backend() as container, backend() as pod:
        envoy = envoys()
        envoy.give("docker", container)
        envoy.configure("127.0.0.1")
        eventually(lambda: envoy.takes(container))
        with traffic(envoy) as answers:
            for source, there, other, gone in (
                ("kubernetes", pod, "docker", container),
                ("docker", container, "kubernetes", pod),
            ):
                envoy.give(source, there)
                eventually(lambda: envoy.takes(pod, container))
                envoy.give(other, Endpoint(gone.address, gone.port, 10, DRAINING))
                eventually(lambda there=there: envoy.takes(there))  # type: ignore[misc]
                envoy.give(other)
                time.sleep(0.3)
    assert {status for status, _body in answers} == {200}
    assert {body for _status, body in answers} == {str(container.port), str(pod.port)}
    assert len(answers) > 100


def test_an_open_request_ends_when_its_pod_drains_and_leaves(envoys: Callable[[], Envoy]) -> None:
    with backend() as pod:
        envoy = envoys()
        envoy.give("kubernetes", pod)
        envoy.configure("127.0.0.1")
        eventually(lambda: envoy.takes(pod))
        answers: list[tuple[int, str]] = []
        client = threading.Thread(target=lambda: answers.append(envoy.ask("/slow")))
        client.start()
        time.sleep(0.2)
        envoy.give("kubernetes", Endpoint(pod.address, pod.port, 10, DRAINING))
        eventually(lambda: envoy.takes())
        assert envoy.ask()[0] == 503
        envoy.give("kubernetes")
        client.join()
    assert answers == [(200, str(pod.port))]


def test_through_another_proxy_a_request_reaches_the_pod(envoys: Callable[[], Envoy]) -> None:
    """The gateway's endpoint is a node's proxy, whose endpoint is the pod."""
    with backend() as pod:
        node, gateway = envoys(), envoys()
        node.give("kubernetes", pod)
        node.configure("127.0.0.1")
        gateway.give("kubernetes", Endpoint("127.0.0.1", node.port))
        gateway.configure("127.0.0.1")
        eventually(lambda: gateway.takes(Endpoint("127.0.0.1", node.port)))
        assert gateway.ask() == (200, str(pod.port))
        # Without a pod the node's proxy fails the gateway's check, and is not sent any.
        node.give("kubernetes")
        eventually(lambda: gateway.takes())


def test_a_host_that_begins_to_serve_others_cuts_nobody_off(envoys: Callable[[], Envoy]) -> None:
    """A node's Envoy that a gateway is to send requests to from now on, and no more later."""
    others = own_address()
    with backend() as pod:
        envoy = envoys()
        envoy.give("kubernetes", pod)
        envoy.configure("127.0.0.1", "127.0.0.2")
        eventually(lambda: envoy.takes(pod))
        with traffic(envoy) as answers:
            time.sleep(0.3)
            envoy.configure("127.0.0.1", "127.0.0.2", others)
            eventually(lambda: envoy.ask(address=others)[0] == 200)
            time.sleep(0.3)
            envoy.configure("127.0.0.1", "127.0.0.2")
            time.sleep(0.3)
    assert {status for status, _body in answers} == {200}


def own_address() -> str:
    """An address of this machine outside of the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: only the route is looked up
        except OSError:
            pytest.skip("this machine has no address outside of the loopback")
        return str(probe.getsockname()[0])
