# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible_collections.paasta.platform.plugins.inventory.node_containers import InventoryModule, machines


def container(name: str, kind: str = "node", state: str = "running", network: str = "bridge") -> dict[str, Any]:
    published = {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}]} if name == "node1" else {}
    return {
        "Name": f"/paasta-local-{name}",
        "Config": {"Labels": {"paasta.cluster": "local", "paasta.kind": kind}},
        "State": {"Status": state},
        "HostConfig": {"NetworkMode": network, "PortBindings": published},
        "NetworkSettings": {
            "Networks": {"paasta-local": {"IPAddress": "172.18.0.11"}},
            "Ports": published if state == "running" else {},
        },
    }


def variables(**options: str) -> dict[str, Any]:
    return machines([container("node1", **options)], "local", "127.0.0.1", 5000)[0].variables


def test_hosts_are_in_the_order_of_their_numbers() -> None:
    found = machines([container(f"node{n}") for n in (10, 2, 1)], "local", "127.0.0.1", 5000)
    assert [one.name for one in found] == ["node1", "node2", "node10"]


def test_a_node_is_reached_as_a_container() -> None:
    found = variables()
    assert found["ansible_host"] == "paasta-local-node1"
    assert found["paasta_host_url"] == "container://paasta-local-node1"
    assert found["paasta_address"] == "172.18.0.11"


@pytest.mark.parametrize("state", ["exited", "paused"])
def test_a_node_that_does_not_run_stays_in_the_inventory_without_an_address(state: str) -> None:
    found = variables(state=state)
    assert (found["paasta_address"], found["paasta_node_state"]) == ("", state)


def test_the_gateway_is_at_this_machine_s_own_address() -> None:
    assert variables(network="host")["paasta_address"] == "127.0.0.1"


def test_only_the_registry_s_host_says_where_to_push() -> None:
    one, two = machines([container("node1"), container("node2")], "local", "127.0.0.1", 5000)
    assert one.variables["paasta_registry_push"] == "127.0.0.1:32768"
    assert "paasta_registry_push" not in two.variables


def test_nowhere_to_push_while_the_registry_s_host_is_down() -> None:
    assert variables(state="exited")["paasta_registry_push"] == ""


def test_groups_are_said_by_the_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "cluster": "local",
        "host_network_address": "127.0.0.1",
        "registry_port": 5000,
        "strict": True,
        "compose": {"rack": trust_as_template("paasta_node_number % 2")},
        "keyed_groups": [],
        "groups": {
            "docker_hosts": trust_as_template("paasta_node_kind == 'node'"),
            "envoy": True,
            "registry": trust_as_template("paasta_node_number == 1"),
            "gateways": trust_as_template("paasta_node_kind == 'gateway'"),
            "kube_control_plane": trust_as_template("1 <= paasta_node_number <= (3 if paasta_node_count >= 3 else 1)"),
        },
    }
    found = [*(container(f"node{n}") for n in (1, 2, 3, 4)), container("gateway", "gateway", network="host")]
    plugin = InventoryModule()
    monkeypatch.setattr(plugin, "_read_config_data", lambda _path: None)
    monkeypatch.setattr(plugin, "_containers", lambda _cluster: found)
    monkeypatch.setattr(plugin, "get_option", options.get)
    inventory = InventoryData()
    plugin.parse(inventory, DataLoader(), "nodes.node_containers.yml")
    groups = inventory.get_groups_dict()
    assert groups["docker_hosts"] == ["node1", "node2", "node3", "node4"]
    assert groups["kube_control_plane"] == ["node1", "node2", "node3"]
    assert groups["registry"] == ["node1"]
    assert groups["gateways"] == ["gateway"]
    assert sorted(groups["envoy"]) == ["gateway", "node1", "node2", "node3", "node4"]
    assert inventory.hosts["node3"].get_vars()["rack"] == 1
