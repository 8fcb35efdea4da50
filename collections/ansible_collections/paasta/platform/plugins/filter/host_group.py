# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Filters that turn inventory groups into the arguments of the bulk modules."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def docker_hosts(hostvars: Mapping[str, Any], names: list[str]) -> list[dict[str, str]]:
    """The C(hosts) of docker_instances: how each host is reached, and where its ports are."""
    return [
        {
            "name": str(name),
            "url": _needed(hostvars, name, "paasta_host_url"),
            "address": _address(hostvars, name),
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
        directory = str(variables.get("envoy_config_dir", "/var/lib/envoy"))
        url = _needed(hostvars, name, "paasta_host_url")
        found.append({"name": str(name), "url": url, "admin": admin, "directory": directory})
    return found


def _needed(hostvars: Mapping[str, Any], name: str, variable: str) -> str:
    value = hostvars[name].get(variable)
    if not value:
        raise AnsibleFilterError(f"host {name} has no {variable}: set it in the inventory (docs/inventory.md)")
    return str(value)


def _address(hostvars: Mapping[str, Any], name: str) -> str:
    """A number, because Envoy looks up no names in its endpoints; a node container that is down has none."""
    if hostvars[name].get("paasta_address") == "":
        return ""
    address = _needed(hostvars, name, "paasta_address")
    try:
        return str(ipaddress.ip_address(address))
    except ValueError as error:
        raise AnsibleFilterError(f"host {name}: paasta_address {address!r} is not an IP address") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        return {"docker_hosts": docker_hosts, "proxies": proxies}
