# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a deploy makes of an instance, from the first to the last, with real controllers and as the deployer."""

from __future__ import annotations

from typing import Any

import pytest
from client import Object
from cluster import Cluster
from control_plane import ControlPlane
from deploys import NEW, OLD, Deploys
from seen import CORE, HPA, PDB, Seen
from test_kubelet import TestKubelet


@pytest.fixture
def web(deploys: Deploys, kubelet: TestKubelet, control_plane: ControlPlane) -> Seen:
    """web.main, deployed."""
    service = deploys.service("web", {"main": {"instances": 2, "cpus": 0.1, "mem": 64, "env": {"A": "1"}}})
    deploys.deployed()
    return Seen(control_plane.admin, service)


def test_first_deploy_makes_everything_and_waits_for_it(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet
) -> None:
    service = deploys.service("web", {"main": {"instances": 3, "cpus": 0.1}})
    result = deploys.deployed()
    assert result["changed"] is True
    row = result["instances"][0]
    assert (row["id"], row["replicas"], row["ready"], row["current"]) == (f"{service}.main", 3, 3, 3)
    seen = Seen(control_plane.admin, service)
    assert seen.deployment["status"]["availableReplicas"] == 3
    assert seen.get("poddisruptionbudgets", PDB)["status"]["disruptionsAllowed"] >= 1
    assert seen.deployment["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f"paasta-{OLD}")


def test_second_run_changes_nothing_and_writes_nothing(
    deploys: Deploys, web: Seen, control_plane: ControlPlane
) -> None:
    with control_plane.requests() as requests:
        result = deploys.deployed()
    assert result["changed"] is False
    assert result["diff"] == []
    assert [write for write in requests.writes() if "leases" not in write] == []


def test_new_version_rolls_out(deploys: Deploys, web: Seen) -> None:
    deploys.mark("web", NEW)
    result = deploys.deployed()
    assert result["changed"] is True
    assert result["instances"][0]["git_sha"] == NEW[:8]
    status = web.deployment["status"]
    assert (status["updatedReplicas"], status["replicas"]) == (2, 2)


@pytest.mark.parametrize(
    ("keys", "path", "wanted"),
    [
        ({"env": {"A": "2", "B": "3"}}, ("env",), None),
        ({"cpus": 0.2}, ("resources", "requests", "cpu"), "200m"),
        ({"mem": 128}, ("resources", "limits", "memory"), "128Mi"),
        ({"cmd": "sleep 5"}, ("command",), ["sh", "-c", "sleep 5"]),
        ({"args": ["a", "b"]}, ("args",), ["a", "b"]),
        ({"container_port": 9000}, ("ports", 0, "containerPort"), 9000),
        ({"healthcheck_mode": "tcp"}, ("readinessProbe", "tcpSocket", "port"), 8888),
        ({"cap_add": ["NET_BIND_SERVICE"]}, ("securityContext", "capabilities", "add"), ["NET_BIND_SERVICE"]),
        (
            {"extra_volumes": [{"containerPath": "/d", "hostPath": "/etc", "mode": "RO"}]},
            ("volumeMounts", 0, "mountPath"),
            "/d",
        ),
        ({"gpus": 1, "instances": 0}, ("resources", "limits", "nvidia.com/gpu"), "1"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_every_class_of_keys_is_updated_once(
    deploys: Deploys, web: Seen, control_plane: ControlPlane, keys: Object, path: tuple[Any, ...], wanted: Any
) -> None:
    deploys.change("web", **keys)
    told = deploys.deployed(check=True)
    result = deploys.deployed()
    assert result["changed"] is told["changed"] is True
    assert told["diff"] == result["diff"], "a dry run tells what the run does"
    found: Any = web.container
    for part in path:
        found = found[part]
    if wanted is not None:
        assert found == wanted
    with control_plane.requests() as requests:
        assert deploys.deployed()["changed"] is False
    assert [write for write in requests.writes() if "leases" not in write] == []
    # What was taken out of soa-configs goes out of the object.
    deploys.change("web", **{**dict.fromkeys(keys), "instances": 2, "cpus": 0.1, "mem": 64, "env": {"A": "1"}})
    deploys.deployed()
    assert deploys.deployed()["changed"] is False
    assert {"name": "A", "value": "1"} in web.container["env"]
    assert "command" not in web.container
    assert not [one for one in web.container.get("volumeMounts", ()) if one["mountPath"] == "/d"]


def test_scale_by_instances(deploys: Deploys, web: Seen) -> None:
    before = web.deployment["spec"]["template"]
    deploys.change("web", instances=4)
    assert deploys.deployed()["instances"][0]["ready"] == 4
    assert web.deployment["spec"]["template"] == before, "scaling is no bounce"


def test_stop_and_start(deploys: Deploys, web: Seen) -> None:
    deploys.mark("web", OLD, main={"desired_state": "stop"})
    result = deploys.deployed()
    assert result["instances"][0]["replicas"] == 0
    assert web.deployment["spec"]["replicas"] == 0
    deploys.mark("web", OLD, main={"desired_state": "start"})
    deploys.deployed()
    assert web.deployment["status"]["readyReplicas"] == 2


def test_restart_replaces_the_pods_once(deploys: Deploys, web: Seen) -> None:
    before = web.deployment["status"]["observedGeneration"]
    deploys.mark("web", OLD, main={"desired_state": "start", "force_bounce": "2026-01-01"})
    assert deploys.deployed()["changed"] is True
    template = web.deployment["spec"]["template"]["metadata"]["annotations"]
    assert template["paasta.yelp.com/force_bounce"] == "2026-01-01"
    assert web.deployment["status"]["observedGeneration"] > before
    assert deploys.deployed()["changed"] is False


def test_autoscaler_keeps_its_replicas(deploys: Deploys, web: Seen, control_plane: ControlPlane) -> None:
    deploys.change("web", instances=None, min_instances=3, max_instances=6)
    deploys.deployed()
    assert web.deployment["spec"]["replicas"] == 3, "an instance that becomes autoscaled never falls to one replica"
    control_plane.kubectl("scale", "deployment", web.name, "-n", web.namespace, "--replicas=5")
    assert deploys.deployed()["changed"] is False
    deploys.change("web", env={"A": "changed"})
    deploys.deployed()
    assert web.deployment["spec"]["replicas"] == 5
    assert web.get("horizontalpodautoscalers", HPA)["spec"]["maxReplicas"] == 6


def test_stopping_an_autoscaled_instance_removes_its_autoscaler_first(
    deploys: Deploys, web: Seen, control_plane: ControlPlane
) -> None:
    deploys.change("web", instances=None, min_instances=3, max_instances=6)
    deploys.deployed()
    deploys.mark("web", OLD, main={"desired_state": "stop"})
    with control_plane.requests() as requests:
        deploys.deployed()
    writes = [write.split()[:2] for write in requests.writes() if "leases" not in write]
    assert writes.index(["delete", "horizontalpodautoscalers"]) < writes.index(["patch", "deployments"])
    assert not web.exists("horizontalpodautoscalers", HPA)
    assert web.deployment["spec"]["replicas"] == 0


def test_instances_that_are_gone_are_removed_and_shown_first(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet, cluster: Cluster
) -> None:
    service = deploys.service("web", {"main": {"cpus": 0.1}, "canary": {"cpus": 0.1}, "old": {"cpus": 0.1}})
    deploys.deployed()
    canary = Seen(control_plane.admin, service, "canary")
    deploys.remove("web", "canary")
    told = deploys.deployed(check=True)
    assert f"Deployment {canary.namespace}/{canary.name}" in told["removed"]
    assert canary.exists("deployments"), "a dry run removes nothing"
    assert deploys.deployed()["removed"] == told["removed"]
    assert not canary.exists("deployments")
    assert not canary.exists("poddisruptionbudgets", PDB)
    assert Seen(control_plane.admin, service).exists("deployments")
    assert deploys.deployed()["changed"] is False


def test_guard_refuses_to_remove_much(deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet) -> None:
    service = deploys.service("web", {"main": {"cpus": 0.1}, "canary": {"cpus": 0.1}})
    deploys.deployed()
    deploys.remove("web", "canary")
    result = deploys.deploy(prune_guard=0.4)
    assert result["failed"] is True
    assert f"{service}.canary" in result["msg"]
    assert "prune_guard" in result["msg"]
    assert Seen(control_plane.admin, service, "canary").exists("deployments")


def test_selection_leaves_the_others_alone(deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet) -> None:
    web = deploys.service("web", {"main": {"cpus": 0.1}})
    api = deploys.service("api", {"main": {"cpus": 0.1}})
    deploys.deployed()
    deploys.mark("web", NEW)
    deploys.mark("api", NEW)
    deploys.deployed(web)
    assert NEW in str(Seen(control_plane.admin, web).container["image"])
    assert NEW not in str(Seen(control_plane.admin, api).container["image"])


def test_undeployed_instance_is_left_alone(deploys: Deploys, web: Seen) -> None:
    plan = deploys.plan()
    id = next(iter(plan["kubernetes"]["instances"]))
    plan["kubernetes"]["instances"] = {}
    plan["undeployed"] = [id]
    result = deploys.deployed(plan=plan)
    assert result["removed"] == []
    assert web.exists("deployments")


def test_statefulset_with_volumes(deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet) -> None:
    volumes = [{"container_path": "/data", "size": 1, "mode": "RW", "storage_class_name": "ebs"}]
    service = deploys.service("db", {"main": {"cpus": 0.1, "persistent_volumes": volumes}})
    deploys.deployed(wait=False)
    seen = Seen(control_plane.admin, service)
    assert seen.get("statefulsets")["spec"]["serviceName"] == seen.name
    assert seen.get("services", CORE)["spec"]["clusterIP"] == "None"
    assert deploys.deployed(wait=False)["changed"] is False


def test_moved_namespace_keeps_the_old_until_the_new_serves(
    deploys: Deploys, web: Seen, control_plane: ControlPlane, kubelet: TestKubelet, cluster: Cluster
) -> None:
    moved = cluster.namespace("elsewhere")
    deploys.change("web", namespace=moved)
    kubelet.never_ready(instance="main")
    result = deploys.deploy(timeout=4)
    assert result["failed"] is True
    assert web.exists("deployments"), "the old one serves until the new one does"
    kubelet.reset()
    deploys.deployed()
    assert not web.exists("deployments")
    assert control_plane.admin.exists(f"/apis/apps/v1/namespaces/{moved}/deployments/{web.name}")


def test_new_versions_are_written_before_configuration(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet
) -> None:
    names = [deploys.service(name, {"main": {"cpus": 0.1}}) for name in ("a", "b", "c")]
    deploys.deployed()
    deploys.change("a", env={"X": "1"})
    deploys.change("b", env={"X": "1"})
    deploys.mark("c", NEW)
    with control_plane.requests() as requests:
        deploys.deployed(concurrency=1)
    order = [write.split("/")[-1] for write in requests.writes() if "deployments" in write]
    assert order == [f"{names[2]}-main", f"{names[0]}-main", f"{names[1]}-main"]
