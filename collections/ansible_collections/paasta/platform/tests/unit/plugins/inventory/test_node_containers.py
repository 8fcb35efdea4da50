# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.inventory.node_containers import machines


def container(name: str, groups: str, state: str = "running", network: str = "bridge") -> dict[str, Any]:
    return {
        "Name": f"/paasta-local-{name}",
        "Config": {"Labels": {"paasta.cluster": "local", "paasta.groups": groups}},
        "State": {"Status": state},
        "HostConfig": {"NetworkMode": network},
        "NetworkSettings": {
            "Networks": {"paasta-local": {"IPAddress": "172.18.0.11"}},
            "Ports": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}]},
        },
    }


def variables(**options: str) -> dict[str, str]:
    return machines([container("node1", "docker_hosts,envoy", **options)], "local", "127.0.0.1", 5000)[0].variables


def test_hosts_are_in_the_order_of_their_numbers() -> None:
    found = machines([container(f"node{n}", "envoy") for n in (10, 2, 1)], "local", "127.0.0.1", 5000)
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
    one, two = machines([container("node1", "registry"), container("node2", "envoy")], "local", "127.0.0.1", 5000)
    assert one.variables["paasta_registry_push"] == "127.0.0.1:32768"
    assert "paasta_registry_push" not in two.variables
