# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Build and push images on the controller, without a module's start-up."""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile import images
from ansible_collections.paasta.platform.plugins.plugin_utils.bulk_action import BulkAction


class ActionModule(BulkAction):
    argument_spec = images.ARGUMENT_SPEC

    def run_local(self, args: dict[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
        return images.run(args, check_mode, diff)
