# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The secret module's work in the controller's own process, where the passwords of Ansible Vault and lookups are."""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets_edit import ARGUMENTS, run
from ansible_collections.paasta.platform.plugins.plugin_utils.bulk_action import BulkAction
from ansible_collections.paasta.platform.plugins.plugin_utils.secrets import providers


class ActionModule(BulkAction):
    argument_spec = ARGUMENTS

    def run_local(self, args: dict[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
        with providers(self, args, args["vault_id"]) as found:
            return run(args, found, check_mode, diff)
