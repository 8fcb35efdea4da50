# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Objects that others change, have made, or hold: drift, conflicts, adoption."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from client import Object
from cluster import Cluster
from control_plane import ControlPlane
from deploys import Deploys
from seen import Seen
from test_kubelet import TestKubelet

INSTANCE = {"instances": 2, "cpus": 0.1, "mem": 64, "env": {"A": "1"}}


@pytest.fixture
def web(deploys: Deploys, kubelet: TestKubelet, control_plane: ControlPlane) -> Seen:
    service = deploys.service("web", {"main": INSTANCE})
    deploys.deployed()
    return Seen(control_plane.admin, service)


def kubectl_set(control_plane: ControlPlane, web: Seen, *words: str) -> None:
    control_plane.kubectl("set", *words[:1], f"deployment/{web.name}", "-n", web.namespace, *words[1:])


def test_a_value_changed_by_hand_is_a_conflict_until_it_is_forced(
    deploys: Deploys, web: Seen, control_plane: ControlPlane
) -> None:
    planned = web.container["image"]
    kubectl_set(control_plane, web, "image", "*=elsewhere/web:1")
    for check in (True, False):
        result = deploys.deploy(check=check)
        assert result["failed"] is True
        for word in ("image", "kubectl-set", "elsewhere/web:1", planned, "force_conflicts"):
            assert word in result["msg"]
        assert web.container["image"] == "elsewhere/web:1"
    result = deploys.deployed(force_conflicts=True)
    assert result["changed"] is True
    assert any("kubectl-set" in text for text in result["drift"])
    assert web.container["image"] == planned
    assert deploys.deployed()["changed"] is False


def test_replicas_changed_by_hand_are_a_conflict(deploys: Deploys, web: Seen, control_plane: ControlPlane) -> None:
    control_plane.kubectl("scale", "deployment", web.name, "-n", web.namespace, "--replicas=5")
    result = deploys.deploy()
    assert "spec.replicas" in result["msg"]
    deploys.deployed(force_conflicts=True)
    assert web.deployment["spec"]["replicas"] == 2


def test_what_was_added_by_hand_is_shown_in_every_run(deploys: Deploys, web: Seen, control_plane: ControlPlane) -> None:
    kubectl_set(control_plane, web, "env", "DEBUG=1")
    for result in (deploys.deployed(check=True), deploys.deployed()):
        assert result["changed"] is False
        assert any("env[DEBUG]" in text and "kubectl-set" in text for text in result["warnings"])


def test_a_conflict_of_one_instance_does_not_stop_the_others(
    deploys: Deploys, web: Seen, control_plane: ControlPlane
) -> None:
    kubectl_set(control_plane, web, "image", "*=elsewhere/web:1")
    api = deploys.service("api", {"main": INSTANCE})
    result = deploys.deploy()
    assert result["failed"] is True
    assert "1 of 2 instances" in result["msg"]
    assert Seen(control_plane.admin, api).deployment["status"]["readyReplicas"] == 2


def made_by(
    who: str, control_plane: ControlPlane, deploys: Deploys, tmp_path: Path, **container: Any
) -> tuple[str, Object]:
    """The workload that our plan has, made by somebody else in the way that they would, with another config sha."""
    service = deploys.service("web", {"main": INSTANCE})
    planned = deploys.plan()["kubernetes"]
    found = planned["instances"][f"{service}.main"]
    manifest = copy.deepcopy(next(one for one in found["objects"] if one["kind"] == "Deployment"))
    template = manifest["spec"]["template"]
    for metadata in (manifest["metadata"], template["metadata"]):
        for name in [name for name in metadata["labels"] if name.endswith("config_sha")]:
            metadata["labels"][name] = "configabcdef12"
    template["spec"]["containers"][0] |= container
    admin = control_plane.admin
    admin.create("/api/v1/namespaces", {"metadata": {"name": found["namespace"]}})
    collection = f"/apis/apps/v1/namespaces/{found['namespace']}/deployments"
    if who == "kubectl":
        path = tmp_path / "deployment.json"
        path.write_text(json.dumps(manifest))
        control_plane.kubectl("apply", "-f", str(path))
    else:
        # The API client of PaaSTA, whose field manager is what its user agent begins with.
        admin.create(f"{collection}?fieldManager=OpenAPI-Generator", manifest)
    return service, manifest


@pytest.mark.parametrize("who", ["kubectl", "PaaSTA"])
def test_equal_pods_run_on_when_they_are_adopted(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet, tmp_path: Path, who: str
) -> None:
    service, _manifest = made_by(who, control_plane, deploys, tmp_path)
    seen = Seen(control_plane.admin, service)
    before = seen.deployment
    told = deploys.deployed(check=True)
    result = deploys.deployed()
    assert told["diff"] == result["diff"]
    after = seen.deployment
    assert after["spec"]["template"] == before["spec"]["template"], "no bounce"
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["labels"]["paasta.yelp.com/config_sha"] != "configabcdef12"
    assert deploys.deployed()["changed"] is False
    # The next change of the configuration takes hold of the pods.
    deploys.change("web", env={"A": "2"})
    deploys.deployed()
    labels = seen.deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["paasta.yelp.com/config_sha"] != "configabcdef12"


@pytest.mark.parametrize("who", ["kubectl", "PaaSTA"])
def test_what_the_maker_had_set_and_the_plan_does_not_goes(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet, tmp_path: Path, who: str
) -> None:
    service, _manifest = made_by(who, control_plane, deploys, tmp_path, tty=True, workingDir="/old")
    told = deploys.deployed(check=True)
    result = deploys.deployed()
    assert told["diff"] == result["diff"]
    container = Seen(control_plane.admin, service).container
    assert "workingDir" not in container
    assert "tty" not in container
    assert deploys.deployed()["changed"] is False


def test_namespaces_keep_what_others_have_labelled(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet, cluster: Cluster
) -> None:
    theirs = cluster.namespace("theirs")
    service = deploys.service("web", {"main": INSTANCE, "guest": {**INSTANCE, "namespace": theirs}})
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    control_plane.admin.create("/api/v1/namespaces", {"metadata": {"name": f"paastasvc-{service}", "labels": labels}})
    before = control_plane.admin.get(f"/api/v1/namespaces/{theirs}")
    deploys.deployed(wait=False)
    ours = control_plane.admin.get(f"/api/v1/namespaces/paastasvc-{service}")["metadata"]["labels"]
    assert ours.items() > labels.items()
    assert ours["paasta.yelp.com/managed"] == "true"
    assert control_plane.admin.get(f"/api/v1/namespaces/{theirs}")["metadata"] == before["metadata"]
    assert deploys.deployed(wait=False)["changed"] is False


def test_what_belongs_to_somebody_else_is_refused(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet, cluster: Cluster
) -> None:
    namespace = cluster.namespace("shared")
    service = deploys.service("web", {"main": {**INSTANCE, "namespace": namespace}})
    control_plane.kubectl("create", "deployment", f"{service}-main", "-n", namespace, "--image=theirs")
    for check in (True, False):
        result = deploys.deploy(check=check)
        assert result["failed"] is True
        assert "not paasta's" in result["msg"]
        assert "kubectl-create" in result["msg"]
    found = control_plane.admin.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{service}-main")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "theirs"


def test_another_cluster_in_the_same_api_server_is_left_alone(
    deploys: Deploys, web: Seen, control_plane: ControlPlane, cluster: Cluster, tmp_path: Path
) -> None:
    directory = tmp_path / "other"
    directory.mkdir()
    other = Deploys(
        directory, control_plane.deployer_kubeconfig, f"{cluster.name}-b", lambda name: f"{cluster.prefix}-b-{name}"
    )
    other.service("web", {"main": INSTANCE})
    result = other.deployed()
    assert result["removed"] == []
    assert web.exists("deployments")
    assert deploys.deployed()["changed"] is False
