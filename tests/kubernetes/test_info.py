# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What kubernetes_instances_info says of workloads that the real controllers made, asked as the deployer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes import info
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.access import access
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.api import Api
from ansible_collections.paasta.platform.plugins.module_utils.table import render
from cluster import Cluster
from control_plane import ControlPlane
from services import CONFIG, Deployer, P, sha
from test_kubelet import TestKubelet

Rows = dict[str, dict[str, Any]]


def planned(namespace: str, service: str, version: str, *, replicas: int = 2, **more: Any) -> dict[str, Any]:
    """An instance of the plan, as far as it is looked at."""
    return {
        "namespace": namespace,
        "name": f"{service}-main",
        "kind": "Deployment",
        "git_sha": sha(version),
        "image_version": None,
        "config_sha": CONFIG,
        "replicas": replicas,
        "autoscaling": None,
        "objects": [],
    } | more


@pytest.fixture
def deployer(control_plane: ControlPlane, cluster: Cluster) -> Iterator[Deployer]:
    api = Api(access({"kubeconfig": str(control_plane.deployer_kubeconfig)}))
    yield Deployer(api, cluster.name)
    api.close()


@pytest.fixture
def gather(control_plane: ControlPlane, cluster: Cluster) -> Callable[..., Rows]:
    def ask(instances: dict[str, Any], *, only: tuple[str, ...] = (), undeployed: tuple[str, ...] = ()) -> Rows:
        args = {
            "kubeconfig": str(control_plane.deployer_kubeconfig),
            "cluster": cluster.name,
            "plan": {"prefix": P, "instances": instances, "shared": {}},
            "only": list(only),
            "undeployed": list(undeployed),
            "elsewhere": {},
        }
        result = info.gather(args)
        assert not result.get("failed"), result["msg"]
        assert result["changed"] is False
        return {row["id"]: row for row in result["instances"]}

    return ask


def test_what_runs_as_planned(
    deployer: Deployer, cluster: Cluster, kubelet: TestKubelet, gather: Callable[..., Rows]
) -> None:
    namespace = cluster.namespace("web")
    deployer.wait(deployer.apply(namespace, "web", "one"))
    row = gather({"web.main": planned(namespace, "web", "one")})["web.main"]
    assert (row["replicas"], row["ready"], row["current"], row["problem"]) == (2, 2, 2, "")
    assert (row["engine"], row["kind"], row["namespace"], row["name"]) == (
        "kubernetes", "Deployment", namespace, "web-main",
    )  # fmt: skip
    assert (row["git_sha"], row["config_sha"], row["hosts"]) == (sha("one")[:8], CONFIG, {"node-1": 2})
    assert [(pod["ready"], pod["restarts"], pod["reason"]) for pod in row["pods"]] == [(True, 0, "")] * 2
    assert row["autoscaler"] is None
    assert render([row]).splitlines()[2].split() == [
        "web.main",
        "kubernetes",
        "2/2",
        sha("one")[:8],
        "node-1",
        "2",
        "-",
    ]


def test_two_versions_and_why_the_new_one_is_not_ready(
    deployer: Deployer, cluster: Cluster, kubelet: TestKubelet, gather: Callable[..., Rows]
) -> None:
    namespace = cluster.namespace("web")
    deployer.wait(deployer.apply(namespace, "web", "good"))
    kubelet.never_ready("HTTP probe failed with statuscode: 503", service="web", image=":bad$")
    deployer.wait(deployer.apply(namespace, "web", "bad"), timeout=3.0)
    row = gather({"web.main": planned(namespace, "web", "bad")})["web.main"]
    assert (row["ready"], row["current"]) == (2, 0)
    assert row["git_sha"] == f"{sha('bad')[:8]},{sha('good')[:8]}"
    versions = {version["git_sha"]: (version["replicas"], version["ready"]) for version in row["versions"]}
    assert versions == {sha("good"): (2, 2), sha("bad"): (2, 0)}
    assert "0 of 2 new replicas ready, 2 old left" in row["problem"]
    assert "Readiness probe failed: HTTP probe failed with statuscode: 503" in row["problem"]
    assert {event["reason"] for event in row["events"]} == {"Unhealthy"}
    assert any("its readiness probe has not passed yet" in pod["reason"] for pod in row["pods"])
    assert "  ! 0 of 2 new" in render([row])


def test_what_is_planned_and_not_there_and_what_is_there_and_not_planned(
    deployer: Deployer, cluster: Cluster, kubelet: TestKubelet, gather: Callable[..., Rows]
) -> None:
    namespace = cluster.namespace("web")
    for service in ("web", "gone", "unmarked"):
        deployer.wait(deployer.apply(namespace, service, "one", replicas=1))
    instances = {
        "new.main": planned(namespace, "new", "one"),
        "stopped.main": planned(namespace, "stopped", "one", replicas=0),
        "web.main": planned(namespace, "web", "two", replicas=3),
    }
    rows = gather(instances, undeployed=("unmarked.main", "never.main"))
    assert sorted(rows) == ["gone.main", "never.main", "new.main", "stopped.main", "unmarked.main", "web.main"]
    assert "is not there" in rows["new.main"]["problem"]
    assert rows["stopped.main"]["problem"] == ""
    assert "is not in the plan" in rows["gone.main"]["problem"]
    assert (rows["gone.main"]["ready"], rows["gone.main"]["replicas"]) == (1, 0)
    assert "no version is marked" in rows["unmarked.main"]["problem"]
    assert (rows["unmarked.main"]["ready"], rows["never.main"]["ready"]) == (1, 0)
    assert rows["web.main"]["problem"].splitlines() == [
        f"git_sha is {sha('one')[:8]}, planned is {sha('two')[:8]}: not deployed yet",
        "replicas is 1, planned is 3",
    ]
    assert sorted(gather({"web.main": instances["web.main"]}, only=("web",))) == ["web.main"]
    assert sorted(gather({}, only=("gone.main",))) == ["gone.main"]


def test_the_autoscaler(
    control_plane: ControlPlane,
    deployer: Deployer,
    cluster: Cluster,
    kubelet: TestKubelet,
    gather: Callable[..., Rows],
) -> None:
    namespace = cluster.namespace("web")
    deployer.wait(deployer.apply(namespace, "web", "one"))
    manifest = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        # As PaaSTA labels it: without the cluster.
        "metadata": {"namespace": namespace, "name": "web-main", "labels": {f"{P}/managed": "true"}},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-main"},
            "minReplicas": 2,
            "maxReplicas": 5,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                }
            ],
        },
    }
    deployer.api.apply(manifest, manager="paasta")
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/web-main"
    control_plane.wait_for(
        "its status", lambda: bool(control_plane.admin.get(path).get("status", {}).get("conditions"))
    )
    plan = planned(namespace, "web", "one", autoscaling={"min": 2, "max": 5}, objects=[manifest])
    row = gather({"web.main": plan})["web.main"]
    scaler = row["autoscaler"]
    assert (scaler["min"], scaler["max"], scaler["current"]) == (2, 5, 2)
    assert scaler["metrics"] == [{"name": "cpu", "target": "80%", "current": ""}]
    assert {condition["type"] for condition in scaler["conditions"]} >= {"AbleToScale", "ScalingActive"}
    # Nobody serves metrics here.
    assert "autoscaler: FailedGetResourceMetric" in row["problem"]
    assert "2/2 (2-5)" in render([row])


def test_what_belongs_to_others_does_not_matter(
    control_plane: ControlPlane,
    deployer: Deployer,
    cluster: Cluster,
    kubelet: TestKubelet,
    foreign: str,
    gather: Callable[..., Rows],
) -> None:
    namespace = cluster.namespace("web")
    # The controllers look at each of the others' objects first.
    assert deployer.wait(deployer.apply(namespace, "web", "one"), timeout=300.0) == {"web.main": ""}
    # The same service of another cluster of paasta on the same Kubernetes.
    other = Deployer(deployer.api, "another")
    other.apply(cluster.namespace("other"), "web", "two")
    started = time.monotonic()
    with control_plane.requests() as requests:
        rows = gather({"web.main": planned(namespace, "web", "one")})
    assert time.monotonic() - started < 5.0
    assert sorted(rows) == ["web.main"]
    assert rows["web.main"]["problem"] == ""
    # One page of each kind: the server sorts out what is not ours.
    assert requests.count("list") == 5
    assert requests.count("get", "watch") == 0
