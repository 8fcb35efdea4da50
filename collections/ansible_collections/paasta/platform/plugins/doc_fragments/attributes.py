# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    """What holds for the modules that have an action plugin of plugin_utils.bulk_action."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action:
    description: Runs on the controller, in Ansible's own process, when the connection is local.
    support: full
  action_group:
    description: Use C(group/paasta.platform.paasta) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - paasta.platform.paasta
  platform:
    description: Where it runs.
    support: full
    platforms: posix
"""

    LOOKS = r"""
options: {}
attributes:
  check_mode:
    description: Never changes anything.
    support: full
  diff_mode:
    description: Never changes anything.
    support: none
  idempotent:
    description: Never changes anything.
    support: full
"""
