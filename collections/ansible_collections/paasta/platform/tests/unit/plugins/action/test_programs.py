# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A directory of the controller: how often the host is asked, and what is sent to it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible_collections.paasta.platform.plugins.action.programs import ActionModule


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name in ("kubelet", "etcd"):
        (mirror / name).write_bytes(name.encode())
    return mirror


def action(mirror: Path, transport: str, check: bool = False, **more: Any) -> Any:
    programs = [{"name": name, "path": str(mirror.parent / "bin" / name)} for name in ("kubelet", "etcd")]
    args = {
        "programs": programs,
        "source": "directory",
        "directory": str(mirror),
        "manifest": str(mirror.parent / "state/programs.json"),
        **more,
    }
    task = SimpleNamespace(args=args, check_mode=check, diff=False, async_val=0, environment=[])
    shell = SimpleNamespace(tmpdir="/remote/tmp", join_path=lambda *parts: "/".join(parts))
    connection = SimpleNamespace(transport=transport, become=None, _shell=shell)
    made = ActionModule(task, connection, MagicMock(), MagicMock(), MagicMock(), None)
    made._fixup_perms2 = MagicMock()
    made._transfer_file = MagicMock(side_effect=lambda _source, target: target)
    return made


def test_a_host_that_lacks_nothing_is_asked_once(mirror: Path) -> None:
    made = action(mirror, "ssh")
    made._execute_module = MagicMock(return_value={"changed": False, "lacking": []})
    assert made.run()["changed"] is False
    (call,) = made._execute_module.call_args_list
    sent = {program["name"]: program for program in call.kwargs["module_args"]["programs"]}
    assert sent["etcd"]["sha256"] == hashlib.sha256(b"etcd").hexdigest()
    assert sent["etcd"]["staged"] == ""
    assert not made._transfer_file.called


def test_only_what_a_host_lacks_is_sent(mirror: Path) -> None:
    made = action(mirror, "ssh")
    made._execute_module = MagicMock(
        side_effect=[{"changed": True, "lacking": ["etcd"]}, {"changed": True, "second": 1}]
    )
    assert made.run()["second"] == 1
    target = f"/remote/tmp/{hashlib.sha256(b'etcd').hexdigest()}"
    made._transfer_file.assert_called_once_with(str(mirror / "etcd"), target)
    again = made._execute_module.call_args_list[1].kwargs["module_args"]["programs"]
    assert [program["staged"] for program in again] == ["", target]
    made._fixup_perms2.assert_called_once_with(["/remote/tmp", target])


def test_nothing_is_sent_in_check_mode(mirror: Path) -> None:
    made = action(mirror, "ssh", check=True)
    made._execute_module = MagicMock(return_value={"changed": True, "lacking": ["kubelet", "etcd"]})
    assert made.run()["changed"] is True
    assert made._execute_module.call_count == 1
    assert not made._transfer_file.called


def test_on_the_controller_itself_nothing_is_copied_twice(mirror: Path) -> None:
    assert action(mirror, "local").run()["changed_programs"] == ["kubelet", "etcd"]
    assert (mirror.parent / "bin/etcd").read_bytes() == b"etcd"
    assert action(mirror, "local").run()["changed"] is False


def test_what_the_directory_lacks_is_said_before_a_host_is_asked(mirror: Path) -> None:
    (mirror / "etcd").unlink()
    made = action(mirror, "ssh")
    made._execute_module = MagicMock()
    result = made.run()
    assert (result["failed"], made._execute_module.called) == (True, False)
    assert f"{mirror} (on the controller) has no etcd" in result["msg"]


def test_mistakes_in_arguments_are_those_of_the_module(mirror: Path) -> None:
    made = action(mirror, "ssh")
    del made._task.args["directory"]
    assert "source is directory but all of the following are missing: directory" in made.run()["msg"]
