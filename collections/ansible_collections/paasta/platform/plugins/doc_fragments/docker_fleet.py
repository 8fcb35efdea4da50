# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    """What docker_instances and docker_instances_info have in common."""

    DOCUMENTATION = r"""
requirements:
  - docker >= 7.1.0 (Python package, where the module runs)
options:
  cluster:
    description: The cluster. Containers labelled with another one are never touched.
    type: str
    required: true
  instances:
    description: What should run, by C(service.instance), as M(paasta.platform.plan) has it in C(docker.instances).
    type: dict
    required: true
  namespaces:
    description: The mesh's namespaces, as M(paasta.platform.plan) has them in C(mesh.namespaces).
    type: dict
    default: {}
  hosts:
    description: The hosts of the group; see P(paasta.platform.docker_hosts#filter).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The host's name in the inventory.
        type: str
        required: true
      url:
        description:
          - How the host and its Docker Engine are reached from where the module runs.
          - V(unix:///SOCKET) for this machine, V(ssh://[USER@]HOST[:PORT]) (with V(?sudo=1) where the user needs
            it, V(?config=FILE) for another ssh configuration), V(container://NAME) for a node container.
        type: str
        required: true
      address:
        description: Where other hosts reach the ports that containers publish on it.
        type: str
        required: true
      pool:
        description: The pool that the host belongs to. An instance runs on hosts of its own C(pool) only.
        type: str
        default: default
  url_host:
    description: The host part of the URLs in the result.
    type: str
    default: localhost
"""
