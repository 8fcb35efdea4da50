#!/usr/bin/python
# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployments_from_git
short_description: Make deployments.json of the tags of services' repositories
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - Lists PaaSTA's tags in the repository of each service, and writes what they say into C(deployments.json), versions 1
    and 2. The newest deploy tag of a deploy group is what it runs, the newest start or stop tag of an instance its
    state, whatever commit that points at. So a stop survives deploys, which in PaaSTA it does not.
  - Every repository is asked once, all of them concurrently. Files are replaced atomically, and only when their content
    changes.
  - A repository that cannot be listed leaves its service's file as it is. The others are written, then the task fails
    and names all of them.
options:
  services:
    description: Only these services, by default all.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - paasta.platform.attributes
  - paasta.platform.soa_configs
  - paasta.platform.service_repositories
attributes:
  check_mode:
    description: Reports what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows each file before and after.
    support: full
  idempotent:
    description: A second run with the same arguments changes nothing, as long as no tag was added.
    support: full
requirements:
  - git 2.29 or newer
seealso:
  - module: paasta.platform.deployments
"""

EXAMPLES = r"""
- name: Records of all services
  paasta.platform.deployments_from_git:
    soa_dir: /etc/soa-configs
    git_url: git@git.example.org:services/{service}

- name: Record of one service
  paasta.platform.deployments_from_git:
    soa_dir: /etc/soa-configs
    services: [web]
    git_url: git@git.example.org:services/{service}
"""

RETURN = r"""
services:
  description: The services whose record changed, or would change in check mode.
  returned: always
  type: list
  elements: str
  sample: [web]
listed:
  description: How many repositories were listed.
  returned: always
  type: int
  sample: 200
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.deployments_from_git import ARGUMENT_SPEC, run


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    result = run(module.params, module.check_mode, module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
