# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

"""Inventory of node containers: machines of a local cluster that are containers of this machine's Docker Engine."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_containers
short_description: Machines that are containers of this machine's Docker Engine
version_added: 0.1.0
author:
  - paasta contributors (@paasta)
description:
  - Lists the node containers of one cluster, which the role C(node_containers) makes; stopped ones too.
  - A container belongs to a cluster by its label C(paasta.cluster); its label C(paasta.kind) says whether it is a node
    or the gateway.
  - Which machine has which task is said here, by O(groups), as in every other inventory.
  - Without a Docker Engine, or without containers, the inventory is empty and that is no error, so that the play which
    makes the machines can start from it.
  - The Docker Engine is found as the C(docker) command finds it, by E(DOCKER_HOST) or at its usual socket.
requirements:
  - docker >= 7.0.0 (Python package)
options:
  plugin:
    description: Token that makes this file an inventory of this plugin.
    type: str
    required: true
    choices: [paasta.platform.node_containers]
  cluster:
    description: The cluster whose machines are listed.
    type: str
    required: true
  host_network_address:
    description: The value of C(paasta_address) for machines on the host's network, where the gateway's proxies listen.
    type: str
    default: 127.0.0.1
  registry_port:
    description: The port of the image registry inside its machine, which is looked up to set C(paasta_registry_push).
    type: int
    default: 5000
  timeout:
    description: Seconds to wait for an answer of the Docker Engine.
    type: int
    default: 10
extends_documentation_fragment: [ansible.builtin.constructed]
notes:
  - "Host variables: C(paasta_address) is the address in the cluster's network (empty if the machine is down),
    C(paasta_host_url) is how modules of this collection reach the machine, C(paasta_node_state) is the state of it,
    C(paasta_registry_push) is the address on this machine at which a registry in the machine takes images: only where
    its port is published, and empty while the machine is down."
  - "For O(groups): C(paasta_node_kind) is V(node) or V(gateway), C(paasta_node_number) is 1 for C(node1), 0 for the
    gateway, and C(paasta_node_count) is how many nodes there are."
"""

EXAMPLES = r"""
# inventories/local/nodes.node_containers.yml
plugin: paasta.platform.node_containers
cluster: local
groups:
  docker_hosts: paasta_node_kind == 'node'
  envoy: true
  registry: paasta_node_number == 1
  gateways: paasta_node_kind == 'gateway'
---
# A second cluster beside it, whose gateway listens at another address of the loopback interface.
plugin: paasta.platform.node_containers
cluster: molecule
host_network_address: 127.0.0.77
"""

import os
import typing as t

try:
    import docker
    import docker.errors
    import requests.exceptions
except ImportError as error:
    DOCKER_IMPORT_ERROR: ImportError | None = error
else:
    DOCKER_IMPORT_ERROR = None

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

if t.TYPE_CHECKING:
    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader

LABEL_CLUSTER = "paasta.cluster"
LABEL_KIND = "paasta.kind"


class Machine(t.NamedTuple):
    """One host of the inventory."""

    name: str
    variables: dict[str, t.Any]


def machine(container: dict[str, t.Any], cluster: str, host_network_address: str, registry_port: int) -> Machine:
    """The host that a container is, from the container as the Docker Engine describes it (C(docker inspect))."""
    full_name = container["Name"].lstrip("/")
    labels = container["Config"].get("Labels") or {}
    state = container["State"]["Status"]
    name = full_name.removeprefix(f"paasta-{cluster}-")
    variables: dict[str, t.Any] = {
        "ansible_connection": "community.docker.docker",
        "ansible_host": full_name,
        "ansible_python_interpreter": "/usr/bin/python3",
        "paasta_address": _address(container, cluster, host_network_address) if state == "running" else "",
        "paasta_host_url": f"container://{full_name}",
        "paasta_node_kind": labels.get(LABEL_KIND, ""),
        "paasta_node_number": _number(name),
        "paasta_node_state": state,
    }
    if f"{registry_port}/tcp" in (container["HostConfig"].get("PortBindings") or {}):
        variables["paasta_registry_push"] = _published(container, registry_port)
    return Machine(name, variables)


def machines(
    containers: t.Iterable[dict[str, t.Any]], cluster: str, host_network_address: str, registry_port: int
) -> list[Machine]:
    """The hosts that are a cluster's containers, in the order of their names with numbers read as numbers."""
    found = [machine(container, cluster, host_network_address, registry_port) for container in containers]
    nodes = sum(one.variables["paasta_node_kind"] == "node" for one in found)
    for one in found:
        one.variables["paasta_node_count"] = nodes
    return sorted(found, key=lambda one: (one.name.rstrip("0123456789"), _number(one.name)))


def _number(name: str) -> int:
    digits = name[len(name.rstrip("0123456789")) :]
    return int(digits) if digits else 0


def _address(container: dict[str, t.Any], cluster: str, host_network_address: str) -> str:
    if container["HostConfig"].get("NetworkMode") == "host":
        return host_network_address
    networks: dict[str, dict[str, t.Any]] = container["NetworkSettings"].get("Networks") or {}
    return str(networks.get(f"paasta-{cluster}", {}).get("IPAddress") or "")


def _published(container: dict[str, t.Any], port: int) -> str:
    """C(address:port) at which this machine reaches a port of the container; empty if it is not published."""
    bindings = (container["NetworkSettings"].get("Ports") or {}).get(f"{port}/tcp") or []
    for binding in bindings:
        address = binding.get("HostIp") or "127.0.0.1"
        reached = "127.0.0.1" if address == "0.0.0.0" else address
        return f"{reached}:{binding['HostPort']}"
    return ""


def _engine_is_absent(error: BaseException) -> bool:
    """Whether nothing listens at all, as against a Docker Engine that refuses or fails."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (FileNotFoundError, ConnectionRefusedError)):
            return True
        reason = next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        seen = seen.__cause__ or seen.__context__ or reason
    return False


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Lists the containers and turns them into hosts."""

    NAME = "paasta.platform.node_containers"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith(("node_containers.yml", "node_containers.yaml"))

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        cluster = self.get_option("cluster")
        for one in machines(
            self._containers(cluster),
            cluster,
            self.get_option("host_network_address"),
            self.get_option("registry_port"),
        ):
            inventory.add_host(one.name)
            for key, value in one.variables.items():
                inventory.set_variable(one.name, key, value)
            self._constructed(one)

    def _constructed(self, one: Machine) -> None:
        """What the options of all inventories with constructed variables and groups say."""
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), one.variables, one.name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), one.variables, one.name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), one.variables, one.name, strict=strict)

    def _containers(self, cluster: str) -> list[dict[str, t.Any]]:
        if DOCKER_IMPORT_ERROR is not None:
            raise AnsibleParserError(
                f"Cannot list the node containers of cluster {cluster}: the Python package docker is missing "
                f"({DOCKER_IMPORT_ERROR}). Install requirements.txt into the environment of ansible-playbook."
            ) from DOCKER_IMPORT_ERROR
        client = None
        try:
            client = docker.DockerClient.from_env(version="auto", timeout=self.get_option("timeout"))
            found = []
            for summary in client.api.containers(all=True, filters={"label": f"{LABEL_CLUSTER}={cluster}"}):
                try:
                    found.append(client.api.inspect_container(summary["Id"]))
                except docker.errors.NotFound:
                    continue  # removed since it was listed
            return found
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            if _engine_is_absent(error) and not os.environ.get("DOCKER_HOST"):
                self.display.vv(f"No Docker Engine answers, so cluster {cluster} has no machines.")
                return []
            place = os.environ.get("DOCKER_HOST") or "its usual socket"
            raise AnsibleParserError(
                f"Cannot list the node containers of cluster {cluster}: Docker Engine at {place} answered: {error}. "
                "Check with `docker ps` that this user may use it."
            ) from error
        finally:
            if client is not None:
                client.close()
