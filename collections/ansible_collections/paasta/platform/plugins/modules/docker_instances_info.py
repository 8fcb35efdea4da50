#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_instances_info
short_description: See what runs of the plan on a group of Docker hosts
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Looks at every host of the group and returns one row for each instance of the plan, and for each that runs
    without being in it. Changes nothing.
extends_documentation_fragment:
  - paasta.platform.docker_fleet
  - paasta.platform.selection
  - paasta.platform.attributes
  - paasta.platform.attributes.looks
seealso:
  - module: paasta.platform.docker_instances
"""

EXAMPLES = r"""
- name: See what runs
  paasta.platform.docker_instances_info:
    cluster: "{{ paasta_cluster }}"
    instances: "{{ paasta_plan.plan.docker.instances }}"
    namespaces: "{{ paasta_plan.plan.mesh.namespaces }}"
    hosts: "{{ hostvars | paasta.platform.docker_hosts(groups['docker_hosts']) }}"
"""

RETURN = r"""
instances:
  description: One row for each instance, as M(paasta.platform.docker_instances) returns them.
  type: list
  elements: dict
  returned: success
lost:
  description: Hosts that did not answer, with the reason.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.arguments import INFO_ARGUMENTS
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.docker_instances import gather


def main() -> None:
    module = AnsibleModule(argument_spec=INFO_ARGUMENTS, supports_check_mode=True)
    result = gather(module.params)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
