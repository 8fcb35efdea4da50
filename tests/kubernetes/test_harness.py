# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The tests' own tools do what the tests believe of them."""

from __future__ import annotations

import threading
import time

import pytest
import urllib3
from client import Client, Refused
from cluster import Cluster
from control_plane import DEPLOYER_USER, ControlPlane

# (what, whether the deployer may). The shipped role is examples/kubernetes/deployer.yml.
RIGHTS = [
    ("create deployments.apps -n any", True),
    ("patch statefulsets.apps -n any", True),
    ("delete horizontalpodautoscalers.autoscaling -n any", True),
    ("watch poddisruptionbudgets.policy --all-namespaces", True),
    ("list secrets --all-namespaces", True),
    ("create namespaces", True),
    ("get pods --subresource=log -n any", True),
    ("list events.events.k8s.io --all-namespaces", True),
    ("bind clusterroles/paasta-api-server-per-namespace", True),
    ("update leases.coordination.k8s.io -n paasta", True),
    ("delete namespaces", False),
    ("bind clusterroles/cluster-admin", False),
    ("escalate clusterroles", False),
    ("create clusterrolebindings", False),
    ("get leases.coordination.k8s.io -n kube-system", False),
    ("create pods -n any", False),
    ("delete pods -n any", False),
    ("create pods --subresource=exec -n any", False),
    ("create serviceaccounts --subresource=token -n any", False),
    ("impersonate users", False),
    ("patch nodes", False),
    ("patch resourcequotas -n any", False),
    ("deletecollection deployments.apps -n any", False),
    ("get nodes --subresource=proxy", False),
]


@pytest.mark.parametrize(("question", "answer"), RIGHTS, ids=[question for question, _answer in RIGHTS])
def test_rights_of_the_deployer(control_plane: ControlPlane, question: str, answer: bool) -> None:
    said = control_plane.kubectl(
        "auth", "can-i", *question.split(), kubeconfig=control_plane.deployer_kubeconfig, check=False
    )
    assert said.split()[:1] == ["yes" if answer else "no"], said


def test_the_deployer_can_give_nobody_more_rights_than_its_own(control_plane: ControlPlane, cluster: Cluster) -> None:
    namespace = cluster.namespace("rights")
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "more"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": DEPLOYER_USER}],
    }
    with control_plane.deployer() as deployer, pytest.raises(Refused, match="attempting to grant RBAC permissions"):
        deployer.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding)


def test_requests_of_the_deployer_are_seen(control_plane: ControlPlane, cluster: Cluster) -> None:
    namespace = cluster.namespace("seen")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    with control_plane.deployer() as deployer, control_plane.requests() as seen:
        deployer.create(path, configmap)
        deployer.patch(f"{path}/a", {"data": {"k": "v"}}, dryRun="All")
        deployer.items(path)
        control_plane.admin.items(path)
    assert seen.writes() == [f"create configmaps {namespace}/a"]
    assert (seen.count("list"), seen.count("patch")) == (1, 1)


def test_the_api_server_comes_back_with_what_it_had(control_plane: ControlPlane, cluster: Cluster) -> None:
    namespace = cluster.namespace("kept")
    with control_plane.apiserver_down(), pytest.raises(urllib3.exceptions.NewConnectionError):
        control_plane.admin.get("/version")
    assert control_plane.admin.exists(f"/api/v1/namespaces/{namespace}")


def test_a_stopped_etcd_holds_requests_up(control_plane: ControlPlane, cluster: Cluster) -> None:
    namespace = cluster.namespace("slow")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    timer = threading.Timer(1.0, control_plane.cont_etcd)
    started = time.monotonic()
    with control_plane.etcd_stopped():
        timer.start()
        control_plane.admin.create(path, configmap)
        assert time.monotonic() - started >= 1
    timer.join()


def test_a_token_that_has_expired_is_refused(control_plane: ControlPlane) -> None:
    path = "/api/v1/namespaces"
    with Client(control_plane.host, control_plane.ca, token=control_plane.short_token(60)) as good:
        good.get(path)
    expired = Client(control_plane.host, control_plane.ca, token=control_plane.short_token(-1))
    with expired, pytest.raises(Refused) as refused:
        expired.get(path)
    assert refused.value.status == 401
    assert control_plane.kubectl("get", "namespaces", kubeconfig=control_plane.deployer_kubeconfig)


def test_the_exec_plugin_gives_what_it_is_told(control_plane: ControlPlane) -> None:
    plugin = control_plane.exec_plugin("harness")
    control_plane.kubectl("get", "namespaces", kubeconfig=plugin.kubeconfig)
    assert plugin.calls == 1
    plugin.give(control_plane.short_token(-1))
    said = control_plane.kubectl("get", "namespaces", kubeconfig=plugin.kubeconfig, check=False)
    assert "Unauthorized" in said
