# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Module kubernetes_objects: objects of many kinds, labels and taints of nodes, what it refuses."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.objects import MANAGER, run
from client import STRATEGIC, Object
from cluster import Cluster
from control_plane import ControlPlane

TAINT = {"key": "dedicated", "value": "batch", "effect": "NoSchedule"}
OTHERS = {"key": "example.org/broken", "effect": "NoSchedule"}
Run = Callable[..., Object]


@pytest.fixture
def apply(control_plane: ControlPlane) -> Run:
    def apply(*manifests: Object, check: bool = False, force: bool = False) -> Object:
        args = {"kubeconfig": str(control_plane.admin_kubeconfig), "manifests": list(manifests)}
        return run({**args, "force_conflicts": force, "concurrency": 8}, check, True)

    return apply


@pytest.fixture
def node(control_plane: ControlPlane) -> Iterator[str]:
    """A node without a kubelet, with a taint that somebody else has set."""
    name = f"objects-{uuid.uuid4().hex[:6]}"
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"taints": [OTHERS]}}
    control_plane.admin.create("/api/v1/nodes", body)
    yield name
    control_plane.admin.delete(f"/api/v1/nodes/{name}")


def node_manifest(name: str, taints: list[Object] | None = None, **labels: str) -> Object:
    metadata = {"name": name, "labels": {f"example.org/{key}": value for key, value in labels.items()}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": taints or []}}


def rights(namespace: str, *verbs: str) -> list[Object]:
    """A namespace with a role in it and a binding, the last first."""
    group = "rbac.authorization.k8s.io"
    inside = {"name": "look", "namespace": namespace}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": list(verbs)}]
    subjects = [{"apiGroup": group, "kind": "Group", "name": "lookers"}]
    role = {"apiGroup": group, "kind": "Role", "name": "look"}
    return [
        {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": inside, "roleRef": role, "subjects": subjects},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": inside, "rules": rules},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
    ]


def applies(control_plane: ControlPlane) -> int:
    """Server-side applies of such objects, so far."""
    counts = control_plane.request_counts()
    return sum(count for (verb, resource, _code), count in counts.items() if verb == "APPLY" and "role" in resource)


def actions(result: Object) -> dict[str, str]:
    return {row["object"].split()[0]: row["action"] for row in result["objects"]}


def test_a_namespace_and_what_is_in_it(apply: Run, cluster: Cluster, control_plane: ControlPlane) -> None:
    namespace = f"{cluster.prefix}-objects"
    wanted = rights(namespace, "get", "list")
    created = {"Namespace": "created", "Role": "created", "RoleBinding": "created"}
    check = apply(*wanted, check=True)
    assert (check["changed"], actions(check), check.get("msg")) == (True, created, None)
    assert namespace not in [item["metadata"]["name"] for item in control_plane.admin.items("/api/v1/namespaces")]

    assert actions(apply(*wanted)) == created
    before = applies(control_plane)
    again = apply(*wanted)
    assert (again["changed"], again["diff"]) == (False, [])
    assert applies(control_plane) == before

    changed = apply(*rights(namespace, "get"))
    assert actions(changed) == {"Namespace": "unchanged", "Role": "changed", "RoleBinding": "unchanged"}
    assert applies(control_plane) == before + 1
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/look"
    assert control_plane.admin.get(path)["rules"][0]["verbs"] == ["get"]


def test_labels_of_a_node_come_and_go_and_those_of_others_stay(
    apply: Run, node: str, control_plane: ControlPlane
) -> None:
    control_plane.kubectl("label", "node", node, "mine=yes")
    assert apply(node_manifest(node, pool="batch", zone="a"))["changed"] is True
    assert apply(node_manifest(node, pool="batch", zone="a"))["changed"] is False
    result = apply(node_manifest(node, pool="default"))
    assert result["objects"][0]["changes"] == ["metadata.labels.example.org/pool", "metadata.labels.example.org/zone"]
    labels = control_plane.admin.get(f"/api/v1/nodes/{node}")["metadata"]["labels"]
    assert {name: value for name, value in labels.items() if "kubernetes.io" not in name} == {
        "mine": "yes",
        "example.org/pool": "default",
    }


def test_taints_of_others_stay(apply: Run, node: str, control_plane: ControlPlane) -> None:
    def taints() -> list[tuple[str, str]]:
        found = control_plane.admin.get(f"/api/v1/nodes/{node}")["spec"].get("taints") or []
        return sorted((taint["key"], taint.get("value", "")) for taint in found if "kubernetes.io" not in taint["key"])

    check = apply(node_manifest(node, [TAINT], pool="batch"), check=True)
    assert {"spec.taints[dedicated]", "metadata.labels"} <= set(check["objects"][0]["changes"])
    assert taints() == [("example.org/broken", "")]

    assert apply(node_manifest(node, [TAINT], pool="batch"))["changed"] is True
    assert taints() == [("dedicated", "batch"), ("example.org/broken", "")]
    assert apply(node_manifest(node, [TAINT], pool="batch"))["changed"] is False
    assert apply(node_manifest(node, [{**TAINT, "value": "other"}], pool="batch"))["changed"] is True
    assert taints() == [("dedicated", "other"), ("example.org/broken", "")]
    assert apply(node_manifest(node, [], pool="batch"))["changed"] is True
    assert taints() == [("example.org/broken", "")]
    assert apply(node_manifest(node, [], pool="batch"))["changed"] is False


def test_a_node_that_is_not_registered_is_not_made(apply: Run, control_plane: ControlPlane) -> None:
    for check in (True, False):
        result = apply(node_manifest("no-such-node", pool="default"), check=check)
        assert result["failed"] is True
        assert "Node no-such-node is not registered" in result["msg"]
    assert not control_plane.admin.exists("/api/v1/nodes/no-such-node")


def test_what_somebody_else_wants_otherwise(apply: Run, node: str, control_plane: ControlPlane) -> None:
    path = f"/api/v1/nodes/{node}"
    control_plane.admin.patch(
        path, {"metadata": {"labels": {"example.org/pool": "x"}}}, content_type=STRATEGIC, fieldManager="jane"
    )
    result = apply(node_manifest(node, pool="default"))
    assert result["failed"] is True
    for word in (f"Node {node}", "example.org/pool", "jane", "force_conflicts"):
        assert word in result["msg"]
    assert apply(node_manifest(node, pool="default"), force=True)["changed"] is True
    assert control_plane.admin.get(path)["metadata"]["labels"]["example.org/pool"] == "default"
    managers = {entry["manager"] for entry in control_plane.admin.get(path)["metadata"]["managedFields"]}
    assert MANAGER in managers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Nood"}, "objects of kind v1/Nood are not handled"),
        ({"metadata": {}}, "manifest 1: Node needs metadata.name"),
        ({"metadata": {"name": "n", "namespace": "x"}}, "Node n: cannot have metadata.namespace"),
        ({"kind": "Secret", "metadata": {"name": "s"}}, "Secret s: needs metadata.namespace"),
    ],
)
def test_mistakes_are_all_said_before_anything_is_sent(apply: Run, change: dict[str, Any], message: str) -> None:
    twice = node_manifest("twice")
    result = apply({**node_manifest("n"), **change}, twice, twice)
    assert message in result["msg"]
    assert "Node twice: given twice" in result["msg"]
