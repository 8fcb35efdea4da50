# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The module of the same name, in the controller's own process; its imports are shared by every task."""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.arguments import INFO_ARGUMENTS
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.info import gather
from ansible_collections.paasta.platform.plugins.plugin_utils.bulk_action import BulkAction


class ActionModule(BulkAction):
    argument_spec = INFO_ARGUMENTS

    def run_local(self, args: dict[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
        return gather(args)
