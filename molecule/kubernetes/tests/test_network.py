# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Pods reach each other, services and the world, wherever they run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import FIRST, NODES, PORT, Cluster, restart
from driver import wait_for

NAMESPACE = "test-network"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    cluster.namespace(NAMESPACE)
    cluster.serve(NAMESPACE)
    yield cluster
    cluster.remove(NAMESPACE)


def every_pair(cluster: Cluster) -> list[str]:
    """Which pods do not reach which; and those that see another address than the pod's own."""
    addresses = cluster.addresses(NAMESPACE)
    wrong = []
    for client, own in addresses.items():
        answers = cluster.fetch(NAMESPACE, client, *(f"http://{each}:{PORT}/" for each in addresses.values()))
        for server, answer in zip(addresses, answers, strict=True):
            if answer != f"{server} {own}":
                wrong.append(f"{client} -> {server}: {answer}")
    return wrong


def test_every_pod_reaches_every_pod_as_itself(cluster: Cluster) -> None:
    assert set(cluster.addresses(NAMESPACE)) == set(NODES)
    assert every_pair(cluster) == []


def test_addresses_are_of_the_nodes_part_of_the_pod_network(cluster: Cluster) -> None:
    parts = {node["metadata"]["name"]: node["spec"]["podCIDR"] for node in cluster.get("nodes")["items"]}
    assert len(set(parts.values())) == len(NODES)
    for node, address in cluster.addresses(NAMESPACE).items():
        assert address.rpartition(".")[0] == parts[node].rpartition(".")[0]


def test_a_service_answers_on_its_address_from_every_node_with_pods_of_all(cluster: Cluster) -> None:
    address = cluster.get("service", "all", f"--namespace={NAMESPACE}")["spec"]["clusterIP"]
    for client in NODES:
        answers = cluster.fetch(NAMESPACE, client, *[f"http://{address}/"] * 40)
        # A pod that asks itself through the service is seen under its node's address.
        assert {answer.split()[0] for answer in answers} == set(NODES)


def test_a_node_reaches_pods_of_other_nodes(cluster: Cluster) -> None:
    for node, address in cluster.addresses(NAMESPACE).items():
        assert cluster.output(f"curl -sSf -m 5 http://{address}:{PORT}/").split()[0] == node


def test_whoever_is_no_pod_sees_the_nodes_address(cluster: Cluster) -> None:
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
    address = {each["type"]: each["address"] for each in nodes["node2"]["status"]["addresses"]}["InternalIP"]
    code = "import socket; s = socket.socket(); s.bind(('', 18099)); s.listen(); print(s.accept()[1][0])"
    cluster.output(
        f'systemd-run --quiet --unit=test-network --property=StandardOutput=file:/run/test-network python3 -uc "{code}"'
    )
    first = {each["type"]: each["address"] for each in nodes[FIRST]["status"]["addresses"]}["InternalIP"]
    asked = f"import socket; socket.create_connection(('{first}', 18099), 5)"
    wait_for("a listener", lambda: cluster.run("ss -Hltn sport = :18099").stdout)
    cluster.python(NAMESPACE, "node2", asked)
    wait_for("a connection", lambda: cluster.output("cat /run/test-network") == address)


def test_packets_as_large_as_the_network_takes_pass_whole(cluster: Cluster) -> None:
    code = (
        "import socket; s = socket.create_connection(('{}', {}), 5); s.sendall(b'GET / HTTP/1.0\\r\\nX: ' "
        "+ b'x' * 60000 + b'\\r\\n\\r\\n'); print(s.recv(12).decode())"
    )
    address = cluster.addresses(NAMESPACE)["node2"]
    assert cluster.python(NAMESPACE, FIRST, code.format(address, PORT)).startswith("HTTP/1.0")
    sizes = {cluster.python(NAMESPACE, node, "print(open('/sys/class/net/eth0/mtu').read())") for node in NODES}
    own = cluster.output("cat /sys/class/net/kube-pods/mtu")
    assert sizes == {own}


def test_addresses_that_no_node_has_are_refused_at_once(cluster: Cluster) -> None:
    assert cluster.run("ip route get 10.244.255.9").returncode != 0


def test_the_network_is_as_its_program_wants_it(cluster: Cluster) -> None:
    assert cluster.output("kube-network --check") == ""
    cluster.output("ip link del kube-pods")
    assert "overlay" in cluster.output("kube-network --check")
    cluster.output("kube-network")
    assert cluster.output("kube-network --check") == ""
    assert every_pair(cluster) == []


def test_forwarding_passes_beside_a_firewall_that_refuses(cluster: Cluster) -> None:
    """As Docker Engine leaves it where it was there first."""
    cluster.output("iptables -P FORWARD DROP")
    try:
        assert every_pair(cluster) == []
    finally:
        cluster.output("iptables -P FORWARD ACCEPT")


def test_after_a_restart_of_a_node_its_pods_are_reached_again(cluster: Cluster) -> None:
    restart("node4")
    wait_for("node4's pod", lambda: cluster.get("pod", "node4", f"--namespace={NAMESPACE}")["status"].get("podIP"))
    cluster.wait_ready(NAMESPACE)
    wait_for("every pair", lambda: every_pair(cluster) == [])
