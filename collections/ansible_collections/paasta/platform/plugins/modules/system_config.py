#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: system_config
short_description: Turn PaaSTA's /etc/paasta into inventory variables
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Reads every C(*.json) below a directory, merges them, and writes what still means something as variables C(paasta_*)
    to one file of an inventory.
  - Every file that cannot be read, and every value that two files set differently, is an error. All of them are
    reported at once, and nothing is written then.
  - Secrets are not written, nor any value that looks like one. They are reported by name only.
options:
  directory:
    description: The directory with PaaSTA's system configuration.
    type: path
    default: /etc/paasta
  dest:
    description:
      - The file to write, such as C(group_vars/all/paasta.yml) of an inventory. Missing directories are made.
      - A file that this module did not write is not replaced.
    type: path
    required: true
extends_documentation_fragment:
  - paasta.platform.attributes
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run reports no change.
    support: full
"""

EXAMPLES = r"""
- name: Take over the system configuration of PaaSTA
  paasta.platform.system_config:
    directory: /etc/paasta
    dest: inventories/norcal-prod/group_vars/all/paasta.yml
  register: imported
"""

RETURN = r"""
dest:
  description: The file.
  type: str
  returned: success
variables:
  description: The variables in it.
  type: list
  elements: str
  returned: success
  sample: [paasta_cluster, paasta_docker_registry]
taken:
  description: Keys that are settings of the same name, with their places.
  type: list
  elements: str
  returned: success
  sample: ["docker_registry (registry.json:2): paasta_docker_registry"]
renamed:
  description: Keys that are settings of another name.
  type: list
  elements: str
  returned: success
  sample: ["vault_cluster_map (vault.json:2): paasta_secret_environments"]
dropped:
  description: Keys that mean nothing here, with the reason.
  type: list
  elements: str
  returned: success
  sample: ["api_endpoints (api.json:2): there is no API server: playbooks and AWX take its place"]
unknown:
  description: Keys that PaaSTA does not have. Their values are nowhere, as nobody knows whether they are secrets.
  type: list
  elements: str
  returned: success
  sample: ["docker_regsitry (registry.json:3): PaaSTA has no such key; did you mean docker_registry?"]
attention:
  description: What is to be done by hand, such as secrets to put into Ansible Vault.
  type: list
  elements: str
  returned: success
  sample: ["paasta_soa_dir is not in these files: set it (the soa-configs directory, on the controller)"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.system_config import ARGUMENTS, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = run(module.params, module.check_mode, module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
