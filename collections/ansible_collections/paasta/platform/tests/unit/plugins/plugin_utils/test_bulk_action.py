# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.template import trust_as_template
from ansible_collections.paasta.platform.plugins.plugin_utils.bulk_action import BulkAction


class Action(BulkAction):
    argument_spec = {  # noqa: RUF012
        "names": {"type": "list", "elements": "str", "required": True},
        "token": {"type": "str", "no_log": True},
    }

    def run_local(self, args: dict[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
        return {
            "kinds": [type(args["names"]).__name__, type(args["names"][0]).__name__],
            "mode": [check_mode, diff],
            **args,
        }


def action(transport: str = "local", become: Any = None, **task: Any) -> Any:
    values = {"args": {}, "check_mode": True, "diff": False, "async_val": 0, "environment": [], **task}
    connection = SimpleNamespace(transport=transport, become=become, _shell=SimpleNamespace(tmpdir=None))
    made = Action(SimpleNamespace(**values), connection, MagicMock(), MagicMock(), MagicMock(), None)
    made._execute_module = MagicMock(return_value={"by": "module"})
    return made


def test_plain_arguments_reach_the_work() -> None:
    result = action(args={"names": [trust_as_template("web")]}).run()
    assert result["kinds"] == ["list", "str"]
    assert (result["mode"], result["changed"]) == ([True, False], False)


def test_arguments_are_checked_as_the_module_checks_them() -> None:
    result = action(args={"nmaes": []}).run()
    assert result["failed"] is True
    assert "missing required arguments: names" in result["msg"]
    assert "nmaes" in result["msg"]


def test_secrets_are_redacted() -> None:
    assert "hunter2" not in str(action(args={"names": ["hunter2"], "token": "hunter2"}).run())


@pytest.mark.parametrize(
    "elsewhere",
    [{"transport": "ssh"}, {"become": "sudo"}, {"async_val": 10}, {"environment": [{"A": "b"}]}],
)
def test_the_module_runs_where_this_process_is_not_its_equal(elsewhere: dict[str, Any]) -> None:
    made = action(args={"names": ["x"]}, **elsewhere)
    assert made.run()["by"] == "module"
    made._execute_module.assert_called_once()
