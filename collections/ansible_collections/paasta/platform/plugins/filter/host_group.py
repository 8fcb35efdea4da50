# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Filters that turn inventory groups into the arguments of the bulk modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def docker_hosts(hostvars: Mapping[str, Any], names: list[str]) -> list[dict[str, str]]:
    """The C(hosts) of docker_instances: how each host is reached, and where its ports are."""
    return [
        {
            "name": str(name),
            "url": _needed(hostvars, name, "paasta_host_url"),
            "address": _needed(hostvars, name, "paasta_address", empty=True),
            "pool": str(hostvars[name].get("paasta_pool", "default")),
        }
        for name in names
    ]


def proxies(hostvars: Mapping[str, Any], names: list[str]) -> list[dict[str, str]]:
    """The C(proxies) of docker_instances: how each host is reached, and where its Envoy answers."""
    found = []
    for name in names:
        variables = hostvars[name]
        admin = f"{variables.get('envoy_admin_address', '127.0.0.1')}:{variables.get('envoy_admin_port', 9901)}"
        found.append({"name": str(name), "url": _needed(hostvars, name, "paasta_host_url"), "admin": admin})
    return found


def _needed(hostvars: Mapping[str, Any], name: str, variable: str, empty: bool = False) -> str:
    value = hostvars[name].get(variable)
    if value is None or (value == "" and not empty):
        raise AnsibleFilterError(f"host {name} has no {variable}: set it in the inventory (docs/inventory.md)")
    return str(value)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        return {"docker_hosts": docker_hosts, "proxies": proxies}
