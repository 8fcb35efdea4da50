# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the module of the same name cannot do: reach a directory of the controller.

The host is asked once what it lacks; if it lacks nothing, which is nearly always so, that was all. Otherwise the files
go through the connection as they are: programs halve under gzip, but at 60 MB/s a core, which is slower than any local
connection, and ssh compresses by itself where it is told to.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.paasta.platform.plugins.module_utils.programs import ARGUMENTS, CONSTRAINTS, run
from ansible_collections.paasta.platform.plugins.module_utils.programs_fetch import Refused
from ansible_collections.paasta.platform.plugins.module_utils.programs_offer import offer
from ansible_collections.paasta.platform.plugins.plugin_utils.bulk_action import BulkAction


class ActionModule(BulkAction):
    argument_spec = ARGUMENTS
    constraints = CONSTRAINTS

    def run_local(self, args: dict[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
        return run(args, check_mode, diff)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._task.args.get("source") != "directory":
            return super().run(tmp, task_vars)
        # Not BulkAction's: this is its frame around two calls of the module.
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        validation = ArgumentSpecValidator(ARGUMENTS, **CONSTRAINTS).validate(json.loads(json.dumps(self._task.args)))
        if validation.error_messages:
            return result | {"failed": True, "msg": "; ".join(validation.error_messages)}
        args = validation.validated_parameters
        directory = os.path.expanduser(args["directory"] or "")
        programs = [{**program, "file": program["file"] or program["name"]} for program in args["programs"]]
        try:
            digests = offer(directory, [program["file"] for program in programs])
        except (Refused, OSError) as error:
            return result | {"failed": True, "changed": False, "msg": str(error)}
        here = self._connection.transport in ("local", "ansible.builtin.local")
        for program in programs:
            program["sha256"] = digests[program["file"]]
            program["staged"] = os.path.join(directory, program["file"]) if here else ""
        outcome = self._call(args | {"programs": programs}, task_vars)
        if outcome.get("lacking") and not self._task.check_mode:
            self._send(programs, outcome["lacking"], directory)
            outcome = self._call(args | {"programs": programs}, task_vars)
        return result | outcome

    def _call(self, args: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        if self._runs_on_controller():
            return self.run_local(args, self._task.check_mode, self._task.diff)
        return dict(self._execute_module(module_args=args, task_vars=task_vars))

    def _send(self, programs: list[dict[str, Any]], lacking: list[str], directory: str) -> None:
        """Bring the files of what the host lacks to it, and note where they are."""
        where = self._connection._shell.tmpdir or self._make_tmp_path()
        for program in programs:
            if program["name"] in lacking:
                target = self._connection._shell.join_path(where, program["sha256"])
                program["staged"] = self._transfer_file(os.path.join(directory, program["file"]), target)
        self._fixup_perms2([where, *(program["staged"] for program in programs if program["staged"])])
