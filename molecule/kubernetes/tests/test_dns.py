# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Names of services and of the world, from pods of every node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import FIRST, NODES, Cluster, restart
from driver import wait_for

NAMESPACE = "test-dns"
ADDRESS = "169.254.20.10"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    cluster.namespace(NAMESPACE)
    cluster.serve(NAMESPACE)
    yield cluster
    cluster.remove(NAMESPACE)


def resolve(cluster: Cluster, pod: str, *names: str) -> list[str]:
    """The address of each name as a pod sees it, or the error in place of it."""
    code = f"""
import socket
for name in {list(names)!r}:
    try:
        print(socket.gethostbyname(name))
    except OSError as error:
        print(error)
"""
    return cluster.python(NAMESPACE, pod, code).splitlines()


def service_address(cluster: Cluster) -> str:
    return str(cluster.get("service", "all", f"--namespace={NAMESPACE}")["spec"]["clusterIP"])


def test_pods_ask_the_server_of_their_own_node(cluster: Cluster) -> None:
    for node in NODES:
        text = cluster.python(NAMESPACE, node, "print(open('/etc/resolv.conf').read())")
        assert [line for line in text.splitlines() if line.startswith("nameserver")] == [f"nameserver {ADDRESS}"]


def test_a_service_by_its_short_and_its_whole_name(cluster: Cluster) -> None:
    address = service_address(cluster)
    names = ("all", f"all.{NAMESPACE}", f"all.{NAMESPACE}.svc.cluster.local")
    for node in NODES:
        assert resolve(cluster, node, *names) == [address] * len(names)
    assert {answer.split()[0] for answer in cluster.fetch(NAMESPACE, "node2", *["http://all/"] * 40)} == set(NODES)


def test_names_of_the_world_as_the_host_knows_them(cluster: Cluster) -> None:
    # A name of Docker's own resolver, which answers the host and nobody else.
    address = cluster.output("getent ahostsv4 node3").split()[0]
    for node in NODES:
        # The pod on node3 is called like it, and knows itself by its own address.
        if node != "node3":
            assert resolve(cluster, node, "node3") == [address]


def test_a_name_that_is_not_there_is_not_there(cluster: Cluster) -> None:
    (answer,) = resolve(cluster, "node2", f"nothing.{NAMESPACE}.svc.cluster.local")
    assert "not known" in answer or "No address" in answer


def test_a_new_service_has_a_name_within_a_moment(cluster: Cluster) -> None:
    metadata = {"name": "new", "namespace": NAMESPACE}
    spec = {"selector": {"app": "all"}, "ports": [{"port": 80}]}
    cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    address = cluster.get("service", "new", f"--namespace={NAMESPACE}")["spec"]["clusterIP"]
    wait_for("its name", lambda: resolve(cluster, "node4", "new") == [address], timeout=10)


def test_nobody_but_the_host_and_its_pods_is_answered(cluster: Cluster) -> None:
    listening = cluster.output("ss -Hlntup").splitlines()
    own = {line.split()[4] for line in listening if '"coredns"' in line}
    assert own == {f"{ADDRESS}:53", "127.0.0.1:9153", "127.0.0.1:9154", "127.0.0.1:9155"}


def test_it_may_see_services_and_nothing_secret(cluster: Cluster) -> None:
    def may(*words: str) -> bool:
        command = f"kubectl --kubeconfig /etc/kubernetes/admin.conf auth can-i {' '.join(words)} --as=system:coredns"
        return bool(cluster.run(f"{command} --all-namespaces").returncode == 0)

    assert may("watch", "services")
    assert may("watch", "endpointslices.discovery.k8s.io")
    assert not may("get", "secrets")
    assert not may("list", "pods")
    assert "system.slice/coredns.service" in cluster.output("systemd-cgls --unit coredns.service")
    user = cluster.output("ps -o user= -C coredns").strip()
    assert user != "root"


def test_after_it_was_killed_it_answers_again(cluster: Cluster) -> None:
    cluster.output("systemctl kill --signal=KILL coredns.service")
    wait_for("an answer", lambda: resolve(cluster, FIRST, "all") == [service_address(cluster)], timeout=20)


def test_names_after_a_restart_of_the_node(cluster: Cluster) -> None:
    restart("node4")
    cluster.wait_ready(NAMESPACE)
    wait_for("an answer", lambda: resolve(cluster, "node4", "all", "kubernetes.default")[0] == service_address(cluster))
