# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Pods of a real API server become endpoints of Envoy, with no more rights than role kube_mesh gives, and stay them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from control_plane import ROOT, ControlPlane
from deploys import NEW, Deploys
from fault_proxy import FaultProxy
from follower import Follower, kubeconfig
from pod_states import Behaviour
from test_kubelet import TestKubelet

RIGHTS = ROOT / "roles/kube_mesh/files/rights.yml"
HEALTHY, DRAINING = "HEALTHY", "DRAINING"

Start = Callable[..., Follower]


@pytest.fixture
def namespace(deploys: Deploys) -> str:
    """Of web.main, which two pods are to serve."""
    service = deploys.service(
        "web", {"main": {"instances": 2, "cpus": 0.1}}, smartstack={"main": {"proxy_port": 20002}}
    )
    return f"{service}.main"


@pytest.fixture
def mesh(control_plane: ControlPlane) -> dict[str, str]:
    """Who a proxy's host is to the API server."""
    control_plane.kubectl("apply", "--server-side", f"--filename={RIGHTS}")
    pair = control_plane.authority.issue("paasta:mesh", groups=("paasta:mesh",))
    return {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}


@pytest.fixture
def start(
    control_plane: ControlPlane, cluster: Cluster, namespace: str, mesh: dict[str, str], tmp_path: Path
) -> Iterator[Start]:
    """Start the program; by default at the API server itself, with a proxy's own certificate."""
    started: list[Follower] = []

    def start(*servers: str, user: dict[str, str] | None = None, nodes: tuple[str, ...] = ()) -> Follower:
        path = kubeconfig(tmp_path / "mesh.conf", control_plane.ca, list(servers) or [control_plane.host], user or mesh)
        started.append(Follower(tmp_path, path, cluster.name, [namespace], list(nodes)))
        return started[-1].start()

    yield start
    for follower in started:
        follower.__exit__()


@pytest.fixture
def token(control_plane: ControlPlane, tmp_path: Path) -> dict[str, str]:
    """Certificates end at the proxy that fails on purpose: what goes through it has a token."""
    (tmp_path / "token").write_text(control_plane.deployer_token)
    return {"tokenFile": "token"}


def states(follower: Follower, namespace: str) -> list[str]:
    return sorted(follower.endpoints(namespace).values())


def test_pods_join_when_they_are_ready_and_drain_when_they_stop(
    start: Start, deploys: Deploys, kubelet: TestKubelet, namespace: str
) -> None:
    kubelet.behave(Behaviour(ready_after=1.0, stops_after=6.0))
    follower = start()
    assert follower.ready()
    assert follower.endpoints(namespace) == {}
    deploys.deployed()
    follower.eventually(lambda: states(follower, namespace) == [HEALTHY, HEALTHY])
    before = set(follower.endpoints(namespace))
    assert all(key.endswith(":8888") for key in before)
    assert follower.files.read("kubernetes", namespace).instances == {namespace: 2}
    deploys.mark("web", NEW)
    deploys.deployed()
    # The new pods are ready and the old ones stop, which proxies need until they have checked the new.
    assert states(follower, namespace) == [HEALTHY] * 4
    follower.eventually(lambda: states(follower, namespace) == [DRAINING, DRAINING, HEALTHY, HEALTHY])
    follower.eventually(lambda: states(follower, namespace) == [HEALTHY, HEALTHY])
    assert not before & set(follower.endpoints(namespace))
    said = "\n".join(follower.log)
    assert all(f"{namespace}: {key} {what}" in said for key in before for what in ("joins", "drains", "leaves"))


def test_a_change_is_there_within_a_tenth_of_a_second(
    start: Start, deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet, namespace: str
) -> None:
    """Measured from the answer to who deletes a pod."""
    deploys.deployed()
    kubelet.behave(Behaviour(stops_after=3.0))
    follower = start()
    follower.eventually(lambda: states(follower, namespace) == [HEALTHY, HEALTHY])
    space = f"paastasvc-{namespace.partition('.')[0]}"
    pod = control_plane.admin.items(f"/api/v1/namespaces/{space}/pods")[0]["metadata"]["name"]
    control_plane.admin.delete(f"/api/v1/namespaces/{space}/pods/{pod}")
    began = time.monotonic()
    follower.eventually(lambda: DRAINING in states(follower, namespace))
    assert time.monotonic() - began < 1.0  # 0.1 and what a busy machine adds


def test_what_other_sources_have_is_left_alone(
    start: Start, deploys: Deploys, kubelet: TestKubelet, namespace: str
) -> None:
    follower = start()
    text = '{"endpoints": [{"address": "10.0.0.1", "port": 31000, "state": "HEALTHY", "weight": 10}], "instances": {}}'
    follower.files.write("docker", {namespace: text})
    deploys.deployed()
    follower.eventually(lambda: len(follower.endpoints(namespace)) == 3)
    deploys.mark("web", NEW, main={"desired_state": "stop", "force_bounce": None})
    deploys.deployed()
    follower.eventually(lambda: set(follower.endpoints(namespace)) == {"10.0.0.1:31000"})


def test_while_no_server_answers_endpoints_stay(
    start: Start, deploys: Deploys, kubelet: TestKubelet, fault_proxy: FaultProxy, namespace: str, token: dict[str, str]
) -> None:
    deploys.deployed()
    fault_proxy.cut(2.0, times=1)
    follower = start(fault_proxy.url, user=token)
    follower.eventually(lambda: states(follower, namespace) == [HEALTHY, HEALTHY])
    before = follower.endpoints(namespace)
    fault_proxy.reset()
    follower.eventually(lambda: any("endpoints stay as they are" in line for line in follower.log))
    deploys.change("web", instances=3)
    deploys.deployed()
    assert follower.endpoints(namespace) == before
    fault_proxy.clear()
    follower.eventually(lambda: len(follower.endpoints(namespace)) == 3)
    assert any("the API server answers again" in line for line in follower.log)
    # What was said while nothing changed is said once.
    assert sum("endpoints stay as they are" in line for line in follower.log) == 1


def test_a_restart_without_a_server_empties_nothing_and_with_one_puts_everything_right(
    start: Start, deploys: Deploys, kubelet: TestKubelet, fault_proxy: FaultProxy, namespace: str, token: dict[str, str]
) -> None:
    deploys.deployed()
    follower = start(fault_proxy.url, user=token)
    assert follower.ready()
    before = follower.endpoints(namespace)
    assert len(before) == 2
    follower.kill()
    fault_proxy.answer(503)
    follower.start()
    assert not follower.ready(seconds=1.5)
    assert follower.endpoints(namespace) == before
    deploys.change("web", instances=1)
    deploys.deployed()
    fault_proxy.clear()
    assert follower.ready()
    assert len(follower.endpoints(namespace)) == 1
    assert set(follower.endpoints(namespace)) < set(before)


def test_what_the_server_has_forgotten_is_listed_again(
    start: Start, deploys: Deploys, kubelet: TestKubelet, fault_proxy: FaultProxy, namespace: str, token: dict[str, str]
) -> None:
    fault_proxy.answer(410, path="[?&]watch=", times=2)
    deploys.deployed()
    follower = start(fault_proxy.url, user=token)
    follower.eventually(lambda: states(follower, namespace) == [HEALTHY, HEALTHY])
    follower.eventually(lambda: fault_proxy.count("GET", "/api/v1/pods") > 4)
    deploys.change("web", instances=3)
    deploys.deployed()
    follower.eventually(lambda: len(follower.endpoints(namespace)) == 3)
    assert not any("stay as they are" in line for line in follower.log)


def test_the_next_server_is_asked_when_one_is_gone(
    start: Start, deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet, namespace: str
) -> None:
    deploys.deployed()
    follower = start("https://127.0.0.1:1", control_plane.host)
    assert follower.ready()
    assert states(follower, namespace) == [HEALTHY, HEALTHY]


def test_credentials_that_are_replaced_are_used(
    start: Start,
    deploys: Deploys,
    kubelet: TestKubelet,
    fault_proxy: FaultProxy,
    namespace: str,
    token: dict[str, str],
    tmp_path: Path,
) -> None:
    good = (tmp_path / "token").read_text()
    (tmp_path / "token").write_text("expired")
    deploys.deployed()
    follower = start(fault_proxy.url, user=token)
    follower.eventually(lambda: any("401" in line for line in follower.log))
    assert not follower.ready(seconds=0.5)
    (tmp_path / "token").write_text(good)
    assert follower.ready()
    assert states(follower, namespace) == [HEALTHY, HEALTHY]


def test_who_may_not_list_pods_is_told_so(start: Start, control_plane: ControlPlane) -> None:
    pair = control_plane.authority.issue("nobody")
    follower = start(user={"client-certificate": str(pair.certificate), "client-key": str(pair.key)})
    follower.eventually(lambda: any('403 pods is forbidden: User "nobody"' in line for line in follower.log))


def test_through_nodes_their_proxies_are_the_endpoints(
    start: Start, deploys: Deploys, kubelet: TestKubelet, namespace: str
) -> None:
    deploys.deployed()
    follower = start(nodes=("172.18.0.2", "172.18.0.3"))
    assert follower.ready()
    # The proxy port of the namespace is not known yet: envoy_config comes later.
    assert follower.endpoints(namespace) == {}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 20002}}
    listeners = {"resources": [{"name": f"{namespace}.listener", "address": address}]}
    (follower.directory / "lds.json").write_text(json.dumps(listeners))
    follower.eventually(
        lambda: follower.endpoints(namespace) == {"172.18.0.2:20002": HEALTHY, "172.18.0.3:20002": HEALTHY}
    )
    assert follower.files.read("kubernetes", namespace).instances == {namespace: 2}
    deploys.mark("web", NEW, main={"desired_state": "stop", "force_bounce": None})
    deploys.deployed()
    follower.eventually(lambda: follower.endpoints(namespace) == {})
