# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The deployments module's work in the controller's own process, when that is where it would run."""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile.deployment_record import ARGUMENT_SPEC, run
from ansible_collections.paasta.platform.plugins.plugin_utils.bulk_action import BulkAction


class ActionModule(BulkAction):
    argument_spec = ARGUMENT_SPEC

    def run_local(self, args: dict[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
        return run(args, check_mode, diff)
