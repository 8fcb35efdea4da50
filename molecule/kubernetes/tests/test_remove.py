# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts leave the cluster, with nothing left on them, and come back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import NODES, Cluster
from driver import WEB, Platform, wait_for

pytestmark = pytest.mark.life

GOES = "node3"
BUDGET = "clock-main", "--namespace=paastasvc-clock"


def nodes(cluster: Cluster) -> set[str]:
    return {node["metadata"]["name"] for node in cluster.get("nodes")["items"]}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"node": "node9"}, "not in groups etcd, kube_control_plane or kube_nodes"),
        ({"node": "node1,node2,node3"}, "would be left"),
    ],
)
def test_what_would_end_the_cluster_is_refused(platform: Platform, arguments: dict[str, str], reason: str) -> None:
    output = " ".join(platform.fails("kubernetes_remove_node", **arguments).split())
    assert reason in output
    assert "Nothing was touched" in output


def test_another_cluster_s_teardown_is_refused(platform: Platform) -> None:
    assert "Nothing was touched" in platform.fails("kubernetes_teardown", confirm="production")


def test_a_budget_that_lets_no_pod_go_is_named(platform: Platform) -> None:
    cluster = Cluster()
    (pod,) = cluster.get("pods", BUDGET[1])["items"]
    node, name = pod["spec"]["nodeName"], pod["metadata"]["name"]
    cluster.kubectl("patch", "pdb", *BUDGET, "--type=merge", '--patch={"spec": {"maxUnavailable": 0}}')
    try:
        output = platform.fails("kubernetes_remove_node", node=node, drain_timeout=10)
        assert f"paastasvc-clock/{name}: PodDisruptionBudget {BUDGET[0]} lets none go" in output
        assert nodes(cluster) == set(NODES)
    finally:
        cluster.kubectl("patch", "pdb", *BUDGET, "--type=merge", '--patch={"spec": {"maxUnavailable": 1}}')
        cluster.kubectl("uncordon", node)


@pytest.fixture(scope="module")
def removed(platform: Platform) -> Iterator[list[str]]:
    """The requests that failed while a host of the control plane left. The last test brings it back, or else this."""
    with platform.traffic(WEB) as seen:
        platform.play("kubernetes_remove_node", node=GOES)
    yield seen.failures
    if GOES not in nodes(Cluster()):
        platform.play("bootstrap")


def test_a_host_of_the_control_plane_leaves_and_nobody_notices(removed: list[str]) -> None:
    assert removed == []
    cluster = Cluster()
    assert nodes(cluster) == set(NODES) - {GOES}
    assert set(cluster.members()) == {"node1", "node2"}


@pytest.mark.usefixtures("removed")
def test_nothing_is_left_on_it(platform: Platform) -> None:
    paths = "/etc/kubernetes /etc/etcd /var/lib/etcd/member /var/lib/kubelet/pods /usr/local/bin/kubelet"
    assert not platform.node(GOES, "sh", "-c", f"ls -d {paths} 2>/dev/null || true")
    assert not platform.node(GOES, "sh", "-c", "systemctl list-units --no-legend 'kube*' 'etcd*' coredns.service")
    assert not platform.node(GOES, "ip", "netns")
    assert "kube" not in platform.node(GOES, "sh", "-c", "ip route; ip link; nft list tables")


@pytest.mark.usefixtures("removed")
def test_it_comes_back(platform: Platform) -> None:
    platform.play("bootstrap")
    cluster = Cluster()
    assert set(cluster.members()) == {"node1", "node2", "node3"}
    wait_for("its node", lambda: nodes(cluster) == set(NODES))
    cluster.kubectl("wait", "nodes", "--all", "--for=condition=Ready", "--timeout=60s")
