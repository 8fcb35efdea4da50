#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_facts
short_description: Packages and users of a Debian or Ubuntu host, as facts
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Finds in one call what the roles of the platform would otherwise ask M(ansible.builtin.apt) and
    M(ansible.builtin.user), each for itself and at every run. Without these facts the roles ask.
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
  facts:
    support: full
    description: Facts C(paasta_packages) and C(paasta_users).
  idempotent:
    support: full
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Packages and users
  paasta.platform.host_facts:

- name: HAProxy, unless it is there
  ansible.builtin.apt:
    name: haproxy
  become: true
  when: "'haproxy' not in ansible_facts.paasta_packages"
"""

RETURN = r"""
ansible_facts:
  description: Facts of the host.
  type: dict
  returned: success
  contains:
    paasta_packages:
      description: Names of the packages that are installed and configured.
      type: list
      elements: str
      returned: success
      sample: [haproxy, python3-cryptography]
    paasta_users:
      description: Local users by name, each with C(home) and C(shell).
      type: dict
      returned: success
      sample: {envoy: {home: /nonexistent, shell: /usr/sbin/nologin}}
"""

import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.host_facts import facts


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        found = facts()
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"{' '.join(error.cmd)}: {error.stderr.strip()}")
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, ansible_facts=found)


if __name__ == "__main__":
    main()
