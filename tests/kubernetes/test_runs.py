# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that are disturbed: the API server dies, requests are refused for a while, two run at once, one is killed."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster import Cluster
from control_plane import ControlPlane
from deploys import NEW, Deploys
from fault_proxy import FaultProxy
from seen import Seen
from test_kubelet import TestKubelet

INSTANCE = {"cpus": 0.1, "mem": 64}
SERVICES = ("a", "b", "c", "d", "e", "f")


@pytest.fixture
def many(deploys: Deploys) -> list[str]:
    """Twelve instances of six services."""
    return [deploys.service(name, {"main": INSTANCE, "canary": INSTANCE}) for name in SERVICES]


def all_ready(control_plane: ControlPlane, many: list[str]) -> bool:
    workloads = [Seen(control_plane.admin, service, name).deployment for service in many for name in ("main", "canary")]
    return all(workload["status"].get("readyReplicas") == 1 for workload in workloads)


def test_the_api_server_is_killed_half_way_and_comes_back(
    deploys: Deploys, many: list[str], control_plane: ControlPlane, kubelet: TestKubelet
) -> None:
    with ThreadPoolExecutor(1) as pool:
        # Slowly, so that the server dies in the middle.
        running = pool.submit(deploys.deploy, rate_limit=20, timeout=120)
        control_plane.wait_for("the first namespace", lambda: bool(_namespaces(control_plane, many)))
        control_plane.kill_apiserver()
        time.sleep(2)
        control_plane.start_apiserver()
        result = running.result()
    assert not result.get("failed"), result["msg"]
    assert all_ready(control_plane, many)
    assert deploys.deployed()["changed"] is False


def _namespaces(control_plane: ControlPlane, many: list[str]) -> list[str]:
    return [name for name in many if control_plane.admin.exists(f"/api/v1/namespaces/paastasvc-{name}")]


def test_a_server_that_stays_away_is_told_and_the_next_run_finishes(
    deploys: Deploys, many: list[str], control_plane: ControlPlane, kubelet: TestKubelet, fault_proxy: FaultProxy
) -> None:
    direct = deploys.kubeconfig
    deploys.kubeconfig = control_plane.deployer_kubeconfig_at(fault_proxy.url)
    fault_proxy.answer(403, method="PATCH", path="/deployments/", skip=5)
    result = deploys.deploy(timeout=60)
    assert result["failed"] is True
    assert "of 12 instances did not reach the plan" in result["msg"]
    deploys.kubeconfig = direct
    assert deploys.deployed()["changed"] is True
    assert all_ready(control_plane, many)
    assert deploys.deployed()["changed"] is False


@pytest.mark.parametrize("retry_after", [1, None])
def test_a_storm_of_429_is_sat_out(
    deploys: Deploys,
    many: list[str],
    control_plane: ControlPlane,
    kubelet: TestKubelet,
    fault_proxy: FaultProxy,
    retry_after: int | None,
) -> None:
    deploys.kubeconfig = control_plane.deployer_kubeconfig_at(fault_proxy.url)
    fault_proxy.answer(429, retry_after=retry_after, method="PATCH", times=30)
    deploys.deployed()
    assert all_ready(control_plane, many)


def test_connections_that_break_lose_nothing(
    deploys: Deploys, many: list[str], control_plane: ControlPlane, kubelet: TestKubelet, fault_proxy: FaultProxy
) -> None:
    deploys.kubeconfig = control_plane.deployer_kubeconfig_at(fault_proxy.url)
    fault_proxy.reset(method="PATCH", path="deployments", times=4)
    fault_proxy.reset(after=True, method="PATCH", path="poddisruptionbudgets", times=4)
    fault_proxy.cut(0.5, path="watch=", times=3)
    deploys.deployed()
    assert all_ready(control_plane, many)
    deploys.kubeconfig = control_plane.deployer_kubeconfig
    assert deploys.deployed()["changed"] is False


def test_an_autoscaler_that_scales_between_look_and_write_keeps_its_decision(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet, fault_proxy: FaultProxy
) -> None:
    service = deploys.service("web", {"main": {**INSTANCE, "min_instances": 2, "max_instances": 6}})
    deploys.deployed()
    seen = Seen(control_plane.admin, service)
    deploys.kubeconfig = control_plane.deployer_kubeconfig_at(fault_proxy.url)
    fault_proxy.delay(2, method="PATCH", path="/deployments/")
    deploys.mark("web", NEW)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(deploys.deploy, timeout=60)
        control_plane.wait_for("the write to be under way", lambda: fault_proxy.count("PATCH", "/deployments/") > 0)
        control_plane.kubectl("scale", "deployment", seen.name, "-n", seen.namespace, "--replicas=5")
        result = running.result()
    assert not result.get("failed"), result["msg"]
    assert seen.deployment["spec"]["replicas"] == 5
    assert NEW in seen.container["image"]


def test_two_runs_at_once_take_turns(
    deploys: Deploys, many: list[str], control_plane: ControlPlane, kubelet: TestKubelet
) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: deploys.deploy(rate_limit=100, lock_timeout=60), range(2)))
    assert not any(result.get("failed") for result in results), results
    assert sorted(result["changed"] for result in results) == [False, True], "the second finds everything done"


def test_a_run_that_waits_too_long_for_another_touches_nothing(
    deploys: Deploys, many: list[str], control_plane: ControlPlane, cluster: Cluster
) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    lease = {
        "metadata": {"name": f"deploy-{cluster.name}"},
        "spec": {"holderIdentity": "somebody/1", "leaseDurationSeconds": 30, "acquireTime": now, "renewTime": now},
    }
    control_plane.admin.create("/apis/coordination.k8s.io/v1/namespaces/paasta/leases", lease)
    result = deploys.deploy(lock_timeout=1)
    assert result["failed"] is True
    assert "somebody/1" in result["msg"]
    assert _namespaces(control_plane, many) == []


def test_the_lease_of_a_killed_run_is_taken_over_when_it_has_expired(
    deploys: Deploys, control_plane: ControlPlane, cluster: Cluster, kubelet: TestKubelet
) -> None:
    deploys.service("web", {"main": INSTANCE})
    lease = {
        "metadata": {"name": f"deploy-{cluster.name}"},
        "spec": {"holderIdentity": "killed/1", "leaseDurationSeconds": 2},
    }
    path = "/apis/coordination.k8s.io/v1/namespaces/paasta/leases"
    control_plane.admin.create(path, lease)
    assert deploys.deployed(lock_timeout=20)["changed"] is True
    found = control_plane.admin.get(f"{path}/deploy-{cluster.name}")
    assert found["spec"].get("holderIdentity", "") == "", "given back"


def test_what_a_killed_run_has_begun_is_finished_by_the_next(
    deploys: Deploys, many: list[str], control_plane: ControlPlane, kubelet: TestKubelet, cluster: Cluster
) -> None:
    process = deploys.started(rate_limit=10)
    control_plane.wait_for("some of the Deployments", lambda: len(_deployments(control_plane, many)) > 2)
    process.kill()
    process.wait()
    begun = _deployments(control_plane, many)
    assert 2 < len(begun) < 12
    # Its Lease would expire by itself, after a while.
    control_plane.admin.delete(f"/apis/coordination.k8s.io/v1/namespaces/paasta/leases/deploy-{cluster.name}")
    result = deploys.deployed()
    assert result["changed"] is True
    assert all_ready(control_plane, many)
    assert {name: version for name, version in _deployments(control_plane, many).items() if name in begun} == begun, (
        "what was done is not done again"
    )
    assert deploys.deployed()["changed"] is False


def _deployments(control_plane: ControlPlane, many: list[str]) -> dict[str, int]:
    """Name and generation of those that are there."""
    items = control_plane.admin.items("/apis/apps/v1/deployments")
    ours = [item["metadata"] for item in items if item["metadata"]["name"].startswith(tuple(many))]
    return {metadata["name"]: metadata["generation"] for metadata in ours}


def test_a_run_that_has_lost_its_lease_writes_nothing_more(
    deploys: Deploys, many: list[str], control_plane: ControlPlane, kubelet: TestKubelet, cluster: Cluster
) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/paasta/leases/deploy-{cluster.name}"
    taken = threading.Event()

    def steal() -> None:
        control_plane.wait_for("the Lease", lambda: control_plane.admin.exists(path))
        control_plane.admin.patch(path, {"spec": {"holderIdentity": "thief/1"}})
        taken.set()

    with ThreadPoolExecutor(2) as pool:
        stealing = pool.submit(steal)
        # One change a second: the run lasts longer than it takes to notice.
        result = pool.submit(deploys.deploy, rate_limit=1).result()
        stealing.result()
    assert taken.is_set()
    assert result["failed"] is True
    assert "thief/1" in result["msg"]
    assert len(_namespaces(control_plane, many)) <= len(many)
    lease = control_plane.admin.get(path)
    assert lease["spec"]["holderIdentity"] == "thief/1", "what is somebody else's is not released"


def test_five_thousand_foreign_objects_do_not_matter(
    deploys: Deploys, control_plane: ControlPlane, foreign: str
) -> None:
    service = deploys.service("web", {"main": {**INSTANCE, "namespace": foreign}})
    with control_plane.requests() as requests:
        # Their controllers may take a while to have seen all of them, and see ours after that.
        deploys.deployed(wait=False)
    assert requests.count("list") < 30, "one list for each kind, and none of theirs"
    theirs = control_plane.admin.items(f"/apis/apps/v1/namespaces/{foreign}/deployments")
    assert len(theirs) == 5001
    control_plane.admin.delete(f"/apis/apps/v1/namespaces/{foreign}/deployments/{service}-main")


def test_an_expired_token_is_told_and_nothing_is_touched(
    deploys: Deploys, many: list[str], control_plane: ControlPlane, kubelet: TestKubelet
) -> None:
    plugin = control_plane.exec_plugin("runs")
    plugin.give(control_plane.short_token(-60))
    deploys.kubeconfig = plugin.kubeconfig
    result = deploys.deploy()
    assert result["failed"] is True
    assert "Unauthorized" in result["msg"]
    assert _namespaces(control_plane, many) == []
    plugin.give(control_plane.deployer_token)
    deploys.deployed()
    assert all_ready(control_plane, many)
