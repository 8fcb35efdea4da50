#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: envoy_config
short_description: Give a host's Envoy its listeners and clusters
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Renders one listener and one cluster for each SmartStack namespace, lets Envoy's own parser check them, moves the
    files in atomically and waits until Envoy uses them. Envoy is not restarted and no connection is cut.
  - Endpoints are written by M(paasta.platform.docker_instances) while it replaces containers; a new namespace starts
    with none.
  - Ports that another program holds are refused, all at once, before anything is changed.
options:
  namespaces:
    description:
      - The namespaces by C(service.namespace), as M(paasta.platform.plan) has them in C(mesh.namespaces).
    type: dict
    required: true
  addresses:
    description: Addresses of this host that every listener is bound to.
    type: list
    elements: str
    required: true
  directory:
    description: Where Envoy's dynamic configuration lives (role C(envoy)).
    type: path
    default: /var/lib/envoy
  admin:
    description: Envoy's admin interface, as C(address:port).
    type: str
    default: 127.0.0.1:9901
  program:
    description: The Envoy program, which checks the configuration.
    type: path
    default: /usr/local/bin/envoy
  timeout:
    description: Seconds to wait until Envoy uses the new configuration.
    type: float
    default: 30
attributes:
  check_mode:
    support: full
    description: Port conflicts and Envoy's own check are reported in check mode too.
  diff_mode:
    support: full
    description: Returns what changes.
  idempotent:
    support: full
    description: A second run changes nothing.
"""

EXAMPLES = r"""
- name: Give every proxy the namespaces of the plan
  paasta.platform.envoy_config:
    namespaces: "{{ hostvars['localhost'].paasta_plan.plan.mesh.namespaces }}"
    addresses: "{{ envoy_mesh_addresses }}"
"""

RETURN = r"""
listeners:
  description: The namespaces that the host serves now.
  type: list
  elements: str
  returned: always
  sample: [web.main]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.envoy_config import ARGUMENTS, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = run(module.params, module.check_mode, module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
