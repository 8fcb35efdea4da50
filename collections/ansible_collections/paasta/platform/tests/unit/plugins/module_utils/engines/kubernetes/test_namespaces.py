# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import namespaces
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web

OURS = {"paasta.yelp.com/managed": "true", "paasta.yelp.com/cluster": "prod"}
BINDING = {
    "name": "readers",
    "cluster_role": "view",
    "subjects": [
        {"kind": "User", "name": "ann"},
        {"kind": "ServiceAccount", "name": "bot"},
        {"kind": "ServiceAccount", "name": "ci", "namespace": "ci"},
    ],
}


def binding(namespace: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "readers", "namespace": namespace, "labels": OURS},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [
            {"kind": "User", "name": "ann", "apiGroup": group},
            {"kind": "ServiceAccount", "name": "bot", "namespace": namespace},
            {"kind": "ServiceAccount", "name": "ci", "namespace": "ci"},
        ],
    }


def test_a_namespace_of_a_service(web: Web) -> None:
    limits = {"cpu": "1", "ephemeral-storage": "1Gi", "memory": "1Gi"}
    service = {**OURS, "paasta.yelp.com/service": "web"}
    assert namespaces.objects(*web("", settings={"kubernetes_namespace_role_bindings": [BINDING]})) == [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "paastasvc-web", "labels": {**service, "name": "paastasvc-web"}},
        },
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {
                "name": "limit-mem-cpu-disk-per-container",
                "namespace": "paastasvc-web",
                "labels": service,
            },
            "spec": {"limits": [{"type": "Container", "default": limits, "defaultRequest": limits}]},
        },
        binding("paastasvc-web"),
    ]


def test_a_namespace_that_others_may_use_is_not_ours(web: Web) -> None:
    assert namespaces.objects(*web("namespace: tools", settings={"kubernetes_namespace_role_bindings": [BINDING]})) == [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tools", "labels": {"name": "tools"}}},
        binding("tools"),
    ]


def test_limits_are_a_setting(web: Web) -> None:
    settings = {"kubernetes_namespace_limits": {"memory": "1024Ki", "cpu": 0.5}}
    limit = namespaces.objects(*web("", settings=settings))[1]["spec"]["limits"][0]
    assert limit["default"] == {"cpu": "500m", "memory": "1Mi"}
    assert len(namespaces.objects(*web("", service="db", settings={"kubernetes_namespace_limits": {}}))) == 1
