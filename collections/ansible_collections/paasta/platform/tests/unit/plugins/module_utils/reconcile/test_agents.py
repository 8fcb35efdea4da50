# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The agent on a host, as a real process on this machine; Envoy's admin interface is a small real HTTP server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import (
    Endpoint,
    EndpointFiles,
    Source,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.agents import (
    AgentError,
    HostAgent,
    ask_all,
    lock,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.channel import Channel, Unreachable

HERE = Channel.parse("unix:///nowhere.sock")


@pytest.fixture
def agent() -> Iterator[HostAgent]:
    found = HostAgent("here", HERE)
    yield found
    found.close()


def host_status(port: int, status: dict[str, Any], **stats: int) -> dict[str, Any]:
    return {
        "address": {"socket_address": {"address": "10.0.0.1", "port_value": port}},
        "health_status": status,
        "stats": [{"name": name, "value": str(value)} for name, value in stats.items()] + [{"name": "cx_total"}],
    }


CLUSTERS = {
    "cluster_statuses": [
        {
            "name": "web.main.egress_cluster",
            "host_statuses": [
                host_status(31000, {"eds_health_status": "HEALTHY"}, rq_active=2, rq_total=5, cx_active=3),
                host_status(31001, {"eds_health_status": "HEALTHY", "failed_active_health_check": True}),
                host_status(31002, {"eds_health_status": "DRAINING", "failed_eds_health": True}, cx_active=4),
                host_status(31003, {}),
            ],
        },
        {"name": "empty.main.egress_cluster"},
    ]
}


class Admin(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/clusters?format=json":
            self.send_error(404)
            return
        body = json.dumps(CLUSTERS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def admin() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Admin)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def envoy_directory(tmp_path: Path) -> str:
    """As the role envoy leaves it, with one namespace."""
    (tmp_path / "eds").mkdir()
    EndpointFiles(str(tmp_path)).declare(["web.main"])
    return str(tmp_path)


LOOK: dict[str, Any] = {"source": "docker", "files": {}, "whole": False, "others": []}
WRITE = {**LOOK, "files": {"web.main": Source((Endpoint("10.0.0.1", 31000),)).text()}, "whole": True}


def test_files_are_written_once_and_envoys_view_is_told(agent: HostAgent, admin: str, envoy_directory: str) -> None:
    stale = {"directory": envoy_directory, "source": "docker", "files": WRITE["files"]}
    assert agent.ask("mesh_stale", **stale) == {"stale": ["web.main"]}
    first = agent.ask("mesh", directory=envoy_directory, admin=admin, **WRITE)
    assert first["changed"] == ["web.main"]
    assert first["seen"] == {
        "web.main.egress_cluster": {
            "10.0.0.1:31000": [True, 2],
            "10.0.0.1:31001": [False, 0],
            "10.0.0.1:31002": [False, 4],
            "10.0.0.1:31003": [True, 0],
        },
        "empty.main.egress_cluster": {},
    }
    assert agent.ask("mesh", directory=envoy_directory, admin=admin, **WRITE)["changed"] == []
    assert agent.ask("mesh_stale", **stale) == {"stale": []}
    written = Path(envoy_directory, "eds", "web.main.json")
    assert "31000" in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o644


def test_what_other_sources_have_is_told_where_it_is_asked_for(
    agent: HostAgent, admin: str, envoy_directory: str
) -> None:
    pod = Source((Endpoint("10.244.0.1", 8888),), {"web.main": 1})
    EndpointFiles(envoy_directory).write("kubernetes", {"web.main": pod.text()})
    told = agent.ask("mesh", directory=envoy_directory, admin=admin, **{**WRITE, "others": ["web.main"]})
    assert told["others"] == {"web.main": {"endpoints": ["10.244.0.1:8888"], "instances": {"web.main": 1}}}
    assert agent.ask("mesh", directory=envoy_directory, admin=admin, **LOOK)["others"] == {}


def test_an_envoy_that_does_not_answer_is_named(agent: HostAgent, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="here: Envoy's admin interface at 127.0.0.1:1 does not answer"):
        agent.ask("mesh", directory=str(tmp_path), admin="127.0.0.1:1", **LOOK)


def test_a_directory_that_cannot_be_written_leaves_nothing_behind(agent: HostAgent, admin: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(AgentError, match="No such file or directory"):
        agent.ask("mesh", directory=missing, admin=admin, **WRITE)
    assert os.listdir(tmp_path) == []


def test_the_lock_is_one_run_s_until_it_ends(agent: HostAgent, tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    other = HostAgent("other", HERE)
    try:
        assert agent.ask("lock", path=path, owner="first")["locked"]
        assert other.ask("lock", path=path, owner="second") == {"locked": False, "held_by": "first"}
        agent.close()
        assert other.ask("lock", path=path, owner="second")["locked"]
    finally:
        other.close()


def test_waiting_for_a_lock_ends_and_says_who_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(HostAgent):
        def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
            return {"locked": False, "held_by": "somebody@elsewhere"}

    with pytest.raises(AgentError, match="cluster local is being changed by somebody@elsewhere; waited 0 s"):
        lock([Busy("node1", HERE)], "local", timeout=0)


def test_a_host_that_goes_away_is_unreachable(agent: HostAgent) -> None:
    agent.ask("list_secrets", root="/nonexistent")
    conversation = agent._conversation
    assert conversation is not None
    conversation[0].process.kill()
    with pytest.raises(Unreachable, match="here"):
        agent.ask("list_secrets", root="/nonexistent")


def test_several_hosts_are_asked_at_once() -> None:
    agents = {name: HostAgent(name, HERE) for name in ("a", "b", "c")}
    try:
        requests: dict[str, dict[str, Any]] = {name: {"do": "list_secrets", "root": "/nonexistent"} for name in agents}
        assert ask_all(agents, requests) == {name: {"names": [], "hidden": ""} for name in agents}
    finally:
        for found in agents.values():
            found.close()
