#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_info
short_description: List the secrets of a soa-configs directory
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Says which secrets there are, for which environments, and who encrypted them. Decrypts nothing and needs no
    password.
options:
  services:
    description: Only these services; V(_shared) for the secrets of all services.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - paasta.platform.attributes
  - paasta.platform.attributes.looks
  - paasta.platform.soa_configs
seealso:
  - module: paasta.platform.secret
"""

EXAMPLES = r"""
- name: List the secrets of a service
  paasta.platform.secret_info:
    soa_dir: /nail/etc/services
    services: [web]
  register: found

- name: Show them
  ansible.builtin.debug:
    msg: "{{ found.table.splitlines() }}"
"""

RETURN = r"""
secrets:
  description: One entry for each secret and environment. Files that cannot be read are warnings.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service that owns it.
      type: str
      returned: always
    name:
      description: Name of the secret.
      type: str
      returned: always
    environment:
      description: The environment; none when the secret has no value in any.
      type: str
      returned: always
    provider:
      description: One of C(ansible_vault), C(vault) and C(lookup).
      type: str
      returned: always
    digest:
      description: SHA-256 of what is stored, which takes part in the config sha of its users.
      type: str
      returned: always
table:
  description: The same for people, with the first digits of each digest.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets_list import ARGUMENTS, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = run(module.params)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
