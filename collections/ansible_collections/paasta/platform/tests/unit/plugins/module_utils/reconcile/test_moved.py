# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What has moved to another engine goes when every proxy knows it there, and not before.

The proxies' files are real and so is the code that writes them; hosts and Envoys are doubles that do as they are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import (
    DRAINING,
    HEALTHY,
    Endpoint,
    EndpointFiles,
    Source,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import rollout
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.decision import Wanted
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.difference import Difference
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.docker_instances import _elsewhere, _to_prune
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.host_agent import Agent
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.proxies import Elsewhere, Proxies, Proxy
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.replicas import Replica, read
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.rollout import Rollout, Task
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.factories import NOW, inspect

WEB = "web.main"
POD = Endpoint("10.244.0.1", 8888)


class Host:
    """The agent of a host with an Envoy that takes every endpoint in at once, unless it is told to be slow."""

    def __init__(self, directory: Path, takes: bool = True) -> None:
        (directory / "eds").mkdir(parents=True)
        self.files = EndpointFiles(str(directory))
        self.files.declare([WEB])
        self.directory = str(directory)
        self.takes = takes
        self.history: list[dict[str, str]] = []

    def ask(self, do: str, *, directory: str, admin: str, **arguments: Any) -> dict[str, Any]:
        changed = self.files.write(arguments["source"], arguments["files"], arguments["whole"])
        states = {
            one.key: one.state for name in ("docker", "kubernetes") for one in self.files.read(name, WEB).endpoints
        }
        if states not in self.history[-1:]:
            self.history.append(states)
        seen = {key: [state == HEALTHY and (self.takes or key != POD.key), 0] for key, state in states.items()}
        others = self.files.others(arguments["source"], arguments["others"])
        return {"changed": changed, "seen": {"web.main.egress_cluster": seen}, "others": others}


class Fleet:
    """One Docker host with one container."""

    def __init__(self, replica: Replica) -> None:
        self.replicas = [replica]

    def observe(self, changing: Any = None) -> list[Replica]:
        return list(self.replicas)

    def pull(self, needed: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def create(self, requests: list[Any]) -> list[Any]:
        assert not requests
        return []

    def remove(self, replica: Replica, finished: Any) -> None:
        self.replicas.remove(replica)
        finished(None)


@pytest.fixture
def replica() -> Replica:
    return read(inspect(), "node1", "10.0.0.1", NOW)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "TURN", 0.01)


def move(fleet: Fleet, hosts: dict[str, Host], timeout: float = 0.3, replicas: int = 1) -> Task:
    moved = Elsewhere("kubernetes", WEB, replicas, (WEB,))
    task = Task(Wanted.nothing(WEB), {}, Difference(WEB), moved=moved)
    proxies = Proxies([Proxy(name, "admin", host.directory) for name, host in hosts.items()], hosts, [WEB])  # type: ignore[arg-type]
    Rollout(fleet, proxies, {WEB: task}, timeout).run()  # type: ignore[arg-type]
    return task


def test_the_agent_has_what_the_double_has() -> None:
    assert {"directory", "admin", "source", "files", "whole", "others"} <= set(Agent.mesh.__annotations__)


def test_it_is_drained_and_goes_when_every_proxy_knows_the_pods(tmp_path: Path, replica: Replica) -> None:
    fleet, hosts = Fleet(replica), {"node1": Host(tmp_path / "1"), "gateway": Host(tmp_path / "2")}
    for host in hosts.values():
        host.files.write("kubernetes", {WEB: Source((POD,), {WEB: 1}).text()})
    task = move(fleet, hosts)
    assert (task.error, fleet.replicas) == ("", [])
    for host in hosts.values():
        assert {"10.0.0.1:31000": HEALTHY, POD.key: HEALTHY} in host.history
        assert {"10.0.0.1:31000": DRAINING, POD.key: HEALTHY} in host.history
        assert host.history[-1] == {POD.key: HEALTHY}
        # At no time was there nobody to send a request to.
        assert all(HEALTHY in states.values() for states in host.history)


@pytest.mark.parametrize(
    ("known", "takes", "reason"),
    [
        (False, True, "the proxy of node2 knows 0 of 1 replicas on kubernetes"),
        (True, False, "the proxy of node2 sends 0 of 1 on kubernetes requests"),
    ],
)
def test_it_stays_as_long_as_one_proxy_does_not(
    tmp_path: Path, replica: Replica, known: bool, takes: bool, reason: str
) -> None:
    fleet, hosts = Fleet(replica), {"node1": Host(tmp_path / "1"), "node2": Host(tmp_path / "2", takes)}
    for host in hosts.values():
        if known or host is hosts["node1"]:
            host.files.write("kubernetes", {WEB: Source((POD,), {WEB: 1}).text()})
    task = move(fleet, hosts)
    assert reason in task.error
    assert "It still runs here" in task.error
    assert fleet.replicas == [replica]
    assert all(states.get("10.0.0.1:31000") == HEALTHY for host in hosts.values() for states in host.history)


def test_what_is_stopped_elsewhere_goes_without_anybody_knowing_it(tmp_path: Path, replica: Replica) -> None:
    fleet = Fleet(replica)
    assert move(fleet, {"node1": Host(tmp_path / "1")}, replicas=0).error == ""
    assert fleet.replicas == []


def test_without_proxies_nobody_is_asked(replica: Replica) -> None:
    fleet = Fleet(replica)
    assert move(fleet, {}).error == ""
    assert fleet.replicas == []


def test_a_move_is_no_removal_for_the_guard(replica: Replica) -> None:
    there = {"engine": "kubernetes", "label": WEB, "replicas": 1, "registrations": [WEB]}
    args = {"undeployed": [], "prune_guard": 0.0, "elsewhere": {WEB: there}}
    assert _to_prune({}, {WEB: [replica]}, _elsewhere(args), args) == []
