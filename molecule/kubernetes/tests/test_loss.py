# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A host of the control plane is lost, disk and all, and replaced: the API and the services go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from cluster import FIRST, NODES, PLATFORM, Cluster
from driver import QUOTES, WEB, Platform, docker, wait_for

LOST = "node2"
NAMESPACE = "test-loss"
#: Seconds in which nobody may notice anything any more.
CALM = 5


@pytest.fixture(scope="module")
def lost(platform: Platform) -> Iterator[None]:
    """A machine that is not there. The last test makes it anew; if that was not run, this does, for the others."""
    docker("rm", "--force", "--volumes", PLATFORM.container(LOST))
    yield
    if not docker("ps", "--quiet", "--filter", f"name=^{PLATFORM.container(LOST)}$"):
        platform.play("nodes")
        platform.play("bootstrap")


def ready(cluster: Cluster, node: str) -> bool:
    conditions = cluster.get("node", node)["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize("node", [FIRST, "node4"])
def test_the_api_answers_every_host(node: str) -> None:
    """Also the one that is not of the control plane."""
    healthy = "curl --silent --fail --max-time 3 --cacert /etc/kubernetes/pki/ca.crt https://127.0.0.1:7443/readyz"
    # A request to the API server that is gone may be the last before its proxy knows.
    wait_for("an answer", lambda: PLATFORM.node(node, *healthy.split()) == "ok", timeout=20)
    for _request in range(20):
        assert PLATFORM.node(node, *healthy.split()) == "ok"


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize("port", [WEB, QUOTES])
def test_services_answer(platform: Platform, port: int) -> None:
    def calm() -> bool:
        with platform.traffic(port) as seen:
            time.sleep(CALM)
        return not seen.failures and len(seen.answers) > 50

    wait_for("nobody notices it any more", calm)


@pytest.mark.usefixtures("lost")
def test_the_scheduler_and_the_controllers_work() -> None:
    cluster = Cluster()
    wait_for("the node is known to be lost", lambda: not ready(cluster, LOST))
    cluster.namespace(NAMESPACE)
    try:
        cluster.kubectl("create", "deployment", "new", f"--namespace={NAMESPACE}", f"--image={cluster.image()}")
        rollout = ("rollout", "status", "deployment/new", f"--namespace={NAMESPACE}", "--timeout=90s")
        cluster.kubectl(*rollout)
    finally:
        cluster.remove(NAMESPACE)


def test_a_new_machine_takes_its_place(platform: Platform, lost: None) -> None:
    cluster = Cluster()
    platform.play("nodes")
    with platform.traffic(WEB) as seen:
        platform.play("bootstrap")
    assert seen.failures == []
    assert cluster.members() == {"node1": True, "node2": True, "node3": True}
    assert ready(cluster, LOST)
    assert Cluster(node=LOST).kubectl("get", "--raw", "/readyz") == "ok"
    cluster.namespace(f"{NAMESPACE}-new")
    try:
        cluster.serve(f"{NAMESPACE}-new", NODES)
        wait_for(
            "pods of all nodes",
            lambda: (
                {each.split()[0] for each in cluster.fetch(f"{NAMESPACE}-new", LOST, *["http://all/"] * 40)}
                == set(NODES)
            ),
        )
    finally:
        cluster.remove(f"{NAMESPACE}-new")
