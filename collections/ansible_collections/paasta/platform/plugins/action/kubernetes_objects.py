# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The module of the same name, in the controller's own process.

Ansible loads the action of a task that is skipped as well: what Kubernetes needs is imported by who uses it.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.arguments import OBJECTS_ARGUMENTS
from ansible_collections.paasta.platform.plugins.plugin_utils.bulk_action import BulkAction


class ActionModule(BulkAction):
    argument_spec = OBJECTS_ARGUMENTS

    def run_local(self, args: dict[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
        from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.objects import run

        return run(args, check_mode, diff)
