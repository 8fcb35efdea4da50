#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Read soa-configs and render everything that a cluster should run
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Reads a soa-configs directory once, checks it, and returns the native objects of every instance and the namespaces
    of the mesh. Needs no cluster, no Docker and no network, and changes nothing.
  - Every mistake in the directory is reported at once, each with file, line, key and what would be right.
options:
  cluster:
    description: The cluster, as in the names C(<type>-<cluster>.yaml).
    type: str
    required: true
  engines:
    description:
      - "Which engine runs which instance type, for example C(kubernetes: docker): V(docker) or V(kubernetes). A type
        that is not named is its own engine; that of V(eks) is V(kubernetes)."
      - Only instances of these types are rendered, V(kubernetes) and V(eks) when empty. The cluster's other files are
        checked.
    type: dict
    default: {}
  services:
    description: Only these services. Of all others only the namespaces are read, for the mesh has them all.
    type: list
    elements: str
    default: []
  instances:
    description: Only these instances, as C(service.instance), or by name within O(services).
    type: list
    elements: str
    default: []
  registry:
    description: The image registry as hosts reach it, put before every image's name.
    type: str
    required: true
extends_documentation_fragment:
  - paasta.platform.attributes
  - paasta.platform.attributes.looks
  - paasta.platform.soa_configs
  - paasta.platform.soa_configs.settings
"""

EXAMPLES = r"""
- name: Read soa-configs
  paasta.platform.plan:
    soa_dir: /nail/etc/services
    cluster: norcal-prod
    engines:
      kubernetes: docker
    registry: registry.example.org:5000
    settings: "{{ lookup('paasta.platform.settings') }}"
  register: paasta_plan
"""

RETURN = r"""
plan:
  description: What the cluster should run.
  type: dict
  returned: success
  contains:
    cluster:
      description: The cluster.
      type: str
    only:
      description: What was selected; empty for everything.
      type: list
      elements: str
    secret_environment:
      description: The environment whose secrets the cluster uses.
      type: str
    engines:
      description: The engines that instances of the given types run on, whether there are any or not.
      type: list
      elements: str
    docker:
      description: C(instances) of the engine docker, by id.
      type: dict
    kubernetes:
      description:
        - C(instances) of the engine kubernetes, by id, each with its C(objects) in the order in which they are applied.
        - C(shared) are the objects that several of them need, such as namespaces, by reference
          C(<apiVersion>/<kind>/<namespace>/<name>); C(prefix) is that of labels.
        - JSON text, for Ansible handles large structures slowly; P(ansible.builtin.from_json#filter) reads it.
      type: str
    elsewhere:
      description:
        - For each engine the instances that another one is to run, by id, each with C(engine), C(label) (its id in
          labels there), C(replicas) and the C(registrations) under which clients will find it there.
        - JSON text, as C(kubernetes).
      type: dict
    mesh:
      description: C(namespaces) of the mesh, by id.
      type: dict
    undeployed:
      description: Instances whose deploy group has not been marked for deployment.
      type: list
      elements: str
    warnings:
      description: What the engines do not carry out.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.plan import ARGUMENTS, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = run(module.params)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
