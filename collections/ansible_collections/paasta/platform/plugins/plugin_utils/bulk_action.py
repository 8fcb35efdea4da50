# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The glue between a bulk module and its action plugin: one class, so that both paths share one argument spec.

A bulk module's work is a function of plain data, ``run(args, check_mode, diff) -> result``, in ``module_utils``.
The module calls it on the target, this class calls it in the controller's own process, which spares packing,
copying and starting a Python program (0.4 s a task)::

    class ActionModule(BulkAction):
        argument_spec = ARGUMENT_SPEC

        def run_local(self, args, check_mode, diff):
            return run(args, check_mode, diff)

``run_local`` reports an expected failure as a result with ``failed`` and ``msg``, never with an exception: an
exception is a bug, and Ansible shows it as one.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible_collections.paasta.platform.plugins.module_utils import collector


class BulkAction(ActionBase):
    """Run a bulk module's work on the controller when that is where it would run anyway, else run the module."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True
    _supports_async = True

    argument_spec: ClassVar[dict[str, Any]] = {}
    # Keyword arguments of ArgumentSpecValidator and AnsibleModule alike: required_if, mutually_exclusive, ...
    constraints: ClassVar[dict[str, Any]] = {}

    def run_local(self, args: dict[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
        """Do the work with validated plain arguments; returns what the module would pass to exit_json or fail_json."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if not self._runs_on_controller():
            result.update(self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val)))
            return result
        with collector.paused(freeze=True):
            # Arguments are tagged subclasses of str, dict and list (ansible-core 2.19); the work gets the plain types.
            arguments = json.loads(json.dumps(self._task.args, default=str))
            validation = ArgumentSpecValidator(self.argument_spec, **self.constraints).validate(arguments)
        if validation.error_messages:
            message = "; ".join(validation.error_messages)
            outcome: dict[str, Any] = {"failed": True, "msg": message}
        else:
            outcome = self.run_local(validation.validated_parameters, self._task.check_mode, self._task.diff)
        outcome.setdefault("changed", False)
        # The same redaction of no_log arguments that AnsibleModule applies to its result.
        result.update(remove_values(outcome, validation._no_log_values))
        return result

    def _runs_on_controller(self) -> bool:
        """Whether this process is equivalent to the module's: same machine, same user, same environment, in line."""
        return (
            self._connection.transport in ("local", "ansible.builtin.local")
            and self._connection.become is None
            and not self._task.async_val
            and not any(self._task.environment or ())
        )
