# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.paasta.platform.plugins.filter.host_group import docker_hosts, proxies

HOSTVARS = {
    "node1": {"paasta_host_url": "ssh://node1", "paasta_address": "10.0.0.1", "paasta_pool": "batch"},
    "node2": {"paasta_host_url": "ssh://node2", "paasta_address": "", "envoy_admin_port": 9999},
    "node3": {"paasta_address": "10.0.0.3"},
    "node4": {"paasta_host_url": "ssh://node4", "paasta_address": "node4.example.org"},
}


def test_hosts_and_proxies() -> None:
    assert docker_hosts(HOSTVARS, ["node1", "node2"]) == [
        {"name": "node1", "url": "ssh://node1", "address": "10.0.0.1", "pool": "batch"},
        {"name": "node2", "url": "ssh://node2", "address": "", "pool": "default"},
    ]
    assert proxies(HOSTVARS, ["node1", "node2"]) == [
        {"name": "node1", "url": "ssh://node1", "admin": "127.0.0.1:9901", "directory": "/var/lib/envoy"},
        {"name": "node2", "url": "ssh://node2", "admin": "127.0.0.1:9999", "directory": "/var/lib/envoy"},
    ]


def test_a_missing_variable_is_named_with_its_host() -> None:
    with pytest.raises(AnsibleFilterError, match="host node3 has no paasta_host_url"):
        docker_hosts(HOSTVARS, ["node3"])


def test_an_address_must_be_a_number() -> None:
    with pytest.raises(AnsibleFilterError, match="host node4: paasta_address 'node4.example.org' is not an IP address"):
        docker_hosts(HOSTVARS, ["node4"])
