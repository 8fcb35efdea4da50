# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os

import pytest
from ansible_collections.paasta.platform.plugins.callback.progress import CallbackModule
from ansible_collections.paasta.platform.plugins.module_utils.progress import ENVIRONMENT_VARIABLE, emit


class Screen:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def display(self, text: str, color: str | None = None) -> None:
        self.lines.append(text)


ROW = {
    "id": "web.main", "engine": "docker", "replicas": 1, "ready": 1,
    "git_sha": "01234567", "hosts": {"node1": 1}, "url": "", "problem": "",
}  # fmt: skip


def test_steps_are_shown_as_they_come_and_the_table_at_the_end() -> None:
    callback, screen = CallbackModule(), Screen()
    callback._display = screen
    callback.v2_playbook_on_start(None)
    for number in range(200):
        emit("step", subject="web.main", text=f"{number} of 200 ready")
    emit("rows", rows=[ROW])
    callback.v2_playbook_on_stats(None)
    assert sum("of 200 ready" in line for line in screen.lines) == 200
    assert "web.main" in screen.lines[-1]
    assert "docker" in screen.lines[-1]
    assert ENVIRONMENT_VARIABLE not in os.environ


def test_an_instance_on_two_engines_is_one_line_that_says_so() -> None:
    callback, screen = CallbackModule(), Screen()
    callback._display = screen
    callback.v2_playbook_on_start(None)
    emit("rows", rows=[ROW | {"ready": 0}])
    emit("rows", rows=[ROW])
    emit("rows", rows=[ROW | {"engine": "kubernetes"}])
    callback.v2_playbook_on_stats(None)
    lines = screen.lines[-1].splitlines()[2:]
    assert lines[0].split()[1:3] == ["docker", "1/1"]
    assert lines[1:] == ["  ! 1 also on kubernetes: not in the plan"]


def test_without_a_listener_nothing_happens(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    emit("step", subject="web.main", text="starts")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "/nonexistent/socket")
    emit("step", subject="web.main", text="starts")
    assert capfd.readouterr() == ("", "")
