#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: explain
short_description: Tell where each setting of an instance comes from
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Returns every effective key of an instance with its value, and the file and line that say so, or that it is a
    default. That includes what is worked out, such as the deploy group and the health check of its namespace.
  - Secrets stay references. Changes nothing, and needs no cluster.
options:
  cluster:
    description: The cluster, as in the names C(<type>-<cluster>.yaml).
    type: str
    required: true
  instance:
    description:
      - The instance, as C(service.instance); a job of Tron as C(service.job), one of its actions as
        C(service.job.action).
    type: str
    required: true
  key:
    description: Only this key, or what is inside it, for example V(env) or V(env.PORT).
    type: str
extends_documentation_fragment:
  - paasta.platform.attributes
  - paasta.platform.attributes.looks
  - paasta.platform.soa_configs
  - paasta.platform.soa_configs.settings
"""

EXAMPLES = r"""
- name: Tell where each setting comes from
  paasta.platform.explain:
    soa_dir: /nail/etc/services
    cluster: norcal-prod
    instance: web.main
  register: explained

- name: Show it
  ansible.builtin.debug:
    msg: "{{ explained.text }}"
"""

RETURN = r"""
instance:
  description: The instance, as C(service.instance).
  type: str
  returned: success
type:
  description: Its type.
  type: str
  returned: success
  sample: kubernetes
rows:
  description: The effective keys.
  type: list
  elements: dict
  returned: success
  contains:
    key:
      description: The key path.
      type: str
      sample: env.PORT
    value:
      description: The value.
      type: raw
    file:
      description: The file that says so, relative to the directory; empty for a default.
      type: str
      sample: web/kubernetes-norcal-prod.yaml
    line:
      description: The line, from 1; 0 for a default, and where the file as a whole is meant.
      type: int
    default:
      description: Whether no file says so.
      type: bool
    note:
      description: How the value was made of what is written; may be empty.
      type: str
errors:
  description: What is wrong in the service's files. What is wrong takes no part in the result.
  type: list
  elements: str
  returned: success
text:
  description: The same as a table.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.explanation import ARGUMENTS, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = run(module.params)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
