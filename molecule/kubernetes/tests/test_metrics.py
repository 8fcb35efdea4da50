# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What nodes and pods use is measured, and autoscalers can go by it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cluster import NODES, Cluster
from driver import wait_for

NAMESPACE = "test-metrics"
NODE_METRICS = "/apis/metrics.k8s.io/v1beta1/nodes"


@pytest.fixture
def namespace() -> Iterator[str]:
    cluster = Cluster()
    yield cluster.namespace(NAMESPACE)
    cluster.remove(NAMESPACE)


def test_every_node_is_measured() -> None:
    cluster = Cluster()

    def usage() -> dict[str, dict[str, str]]:
        items = json.loads(cluster.kubectl("get", "--raw", NODE_METRICS))["items"]
        return {item["metadata"]["name"]: item["usage"] for item in items}

    wait_for("all nodes", lambda: set(usage()) == set(NODES))
    for used in usage().values():
        assert used["cpu"] != "0"
        assert used["memory"] != "0"


def test_its_pods_are_on_different_nodes() -> None:
    pods = Cluster().get("pods", "--namespace=kube-system", "--selector=k8s-app=metrics-server")["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2


def test_an_autoscaler_goes_by_what_pods_use(namespace: str) -> None:
    cluster = Cluster()
    metadata = {"name": "busy", "namespace": namespace}
    labels = {"app": "busy"}
    container = {
        "name": "main",
        "image": cluster.image(),
        "command": ["python3", "-c", "while True: sum(range(10000))"],
        "resources": {"requests": {"cpu": "10m"}, "limits": {"cpu": "50m"}},
    }
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    target = {"type": "Utilization", "averageUtilization": 100}
    autoscaler = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"},
        "minReplicas": 1,
        "maxReplicas": 2,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    cluster.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": metadata,
            "spec": autoscaler,
        },
    )
    wait_for(
        "a second pod, as one uses more than it asked for",
        lambda: cluster.get("deployment", "busy", f"--namespace={namespace}")["spec"]["replicas"] == 2,
        timeout=180,
    )
