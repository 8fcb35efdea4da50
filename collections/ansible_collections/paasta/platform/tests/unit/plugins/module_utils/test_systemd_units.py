# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils import host_units, systemd_units
from ansible_collections.paasta.platform.plugins.module_utils.host_units import Unit

ABSENT = Unit("a.service", False, "inactive", "dead", False, False, (), 0)


class FakeSystemd:
    """Units that start at once, and a note of what they were told."""

    def __init__(self, **units: Unit) -> None:
        self.units = {f"{name}.service": unit for name, unit in units.items()}
        self.calls: list[str] = []
        self.fails = False

    def look(self, names: Sequence[str]) -> dict[str, Unit]:
        return {name: self.units[name] for name in names}

    def reload(self) -> None:
        self.calls.append("reload")
        self.units = {name: replace(unit, loaded=True, outdated=False) for name, unit in self.units.items()}

    def control(self, verb: str, *names: str, wait: bool = False) -> None:
        for name in names:
            self.calls.append(f"{verb} {name}")
            unit = self.units[name]
            if verb in ("enable", "disable"):
                self.units[name] = replace(unit, enabled=verb == "enable")
            elif verb == "stop":
                self.units[name] = replace(unit, state="inactive", detail="dead")
            elif verb != "reload":
                state = ("activating", "auto-restart") if self.fails else ("active", "running")
                self.units[name] = replace(unit, state=state[0], detail=state[1], since=time.time())

    def wait_for_end(self, name: str, _timeout: float) -> None:
        self.control("stop", name)


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSystemd:
    fake = FakeSystemd(a=replace(ABSENT, loaded=True))
    for name in ("look", "reload", "control", "wait_for_end"):
        monkeypatch.setattr(host_units, name, getattr(fake, name))
    monkeypatch.setattr(host_units, "journal", lambda name: f"last words of {name}")
    monkeypatch.setattr(host_units, "_RELOADED", str(tmp_path / "reloaded"))
    monkeypatch.setattr(systemd_units, "_PAUSE", 0.01)
    return fake


def run(check: bool = False, timeout: float = 0.1, **unit: Any) -> dict[str, Any]:
    wanted = {
        "name": "a.service",
        "state": "started",
        "watches": [],
        "reloads": [],
        "url": None,
        "ca": None,
        "peers": [],
    } | unit
    return systemd_units.run({"files": [], "units": [wanted], "timeout": timeout}, check, False)


def test_a_unit_is_started_and_enabled_once(systemd: FakeSystemd) -> None:
    assert run()["units"]["a.service"] == {"action": "started", "reason": "it was inactive", "state": "inactive"}
    assert systemd.calls == ["enable a.service", "restart a.service"]
    assert run()["changed"] is False


@pytest.mark.parametrize(
    ("option", "action", "reason"),
    [("watches", "restarted", "newer than its process"), ("reloads", "reloaded", "newer than what it has read")],
)
def test_a_newer_file_is_brought_to_it_whoever_wrote_it(
    systemd: FakeSystemd, tmp_path: Path, option: str, action: str, reason: str
) -> None:
    file = tmp_path / "config"
    unit: dict[str, Any] = {option: [str(file)]}
    file.write_text("old")
    time.sleep(0.02)
    run(**unit)
    assert run(**unit)["changed"] is False
    time.sleep(0.02)
    file.write_text("new")
    report = run(**unit)["units"]["a.service"]
    assert (report["action"], report["reason"]) == (action, f"{reason}: {file}")
    assert systemd.calls[-1] == f"{action.removesuffix('ed')} a.service"
    assert run(**unit)["changed"] is False


def test_what_a_reload_does_not_bring_is_a_restart(systemd: FakeSystemd, tmp_path: Path) -> None:
    config, program = tmp_path / "config", tmp_path / "program"
    for file in (config, program):
        file.write_text("old")
    time.sleep(0.02)
    run()
    time.sleep(0.02)
    for file in (config, program):
        file.write_text("new")
    report = run(watches=[str(program)], reloads=[str(config)])["units"]["a.service"]
    assert report["action"] == "restarted"
    assert run(watches=[str(program)], reloads=[str(config)])["changed"] is False


def test_check_mode_says_so_and_does_nothing(systemd: FakeSystemd) -> None:
    result = run(check=True)
    assert (result["changed"], result["pending"], systemd.calls) == (True, True, [])


def test_a_missing_file_is_said_before_anything_starts(systemd: FakeSystemd) -> None:
    result = run(watches=["/nowhere/tls.crt"])
    assert result["msg"] == "a.service: there is no file /nowhere/tls.crt"
    assert systemd.calls == []


def test_a_unit_that_does_not_get_ready_fails_with_its_last_words(systemd: FakeSystemd) -> None:
    systemd.fails = True
    result = run()
    assert result["failed"] is True
    assert result["msg"] == (
        "a.service is not ready after 0.1 seconds: it is activating (auto-restart)\nlast words of a.service"
    )


def test_one_that_runs_but_does_not_answer_is_waited_for(systemd: FakeSystemd) -> None:
    run()
    # Nothing listens on port 1.
    result = run(url="http://127.0.0.1:1/readyz")
    assert "http://127.0.0.1:1/readyz: " in result["msg"]
    assert "refused" in result["msg"]


def test_nothing_is_touched_while_those_who_serve_meanwhile_are_not_ready(systemd: FakeSystemd, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("old")
    nobody = ["http://127.0.0.1:1/readyz"]
    assert "failed" not in run(watches=[str(file)], peers=nobody), "a first start is no restart"
    time.sleep(0.02)
    file.write_text("new")
    calls = list(systemd.calls)
    result = run(watches=[str(file)], peers=nobody)
    assert "others that should serve meanwhile are not ready: http://127.0.0.1:1/readyz: " in result["msg"]
    assert result["msg"].endswith("Nothing was changed on this host")
    assert (result["changed"], systemd.calls) == (False, calls)
    # One that fails to start again and again serves nobody: nobody has to stand in for it.
    systemd.units["a.service"] = replace(systemd.units["a.service"], state="activating", detail="start")
    assert run(watches=[str(file)], peers=nobody)["units"]["a.service"]["action"] == "restarted"


def test_a_unit_stops_before_its_files_go(
    systemd: FakeSystemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    file = tmp_path / "a.service"
    file.write_text("[Unit]")
    there = []
    stop = systemd.wait_for_end
    monkeypatch.setattr(host_units, "wait_for_end", lambda *args: (there.append(file.exists()), stop(*args)))
    unit = {"name": "a.service", "state": "stopped", "watches": [], "reloads": [], "url": None, "ca": None, "peers": []}
    absent = {"path": str(file), "content": None, "directory": False, "absent": True, "initial": False, "validate": []}
    args = {"files": [absent | {"owner": "root", "group": "root", "mode": None}], "units": [unit], "timeout": 0.1}
    result = systemd_units.run(args, False, False)
    assert (result["changed"], result["units"]["a.service"]["action"]) == (True, "stopped")
    assert (there, file.exists(), systemd.calls[-1]) == ([True], False, "reload")
    assert systemd_units.run(args, False, False)["changed"] is False


def test_stopped_units_are_disabled(systemd: FakeSystemd) -> None:
    run()
    assert run(state="stopped")["units"]["a.service"]["action"] == "stopped"
    assert systemd.calls[-2:] == ["disable a.service", "stop a.service"]
    assert run(state="stopped")["changed"] is False


def test_systemd_reads_units_that_changed(systemd: FakeSystemd) -> None:
    systemd.units["a.service"] = replace(systemd.units["a.service"], outdated=True)
    run()
    assert systemd.calls[0] == "reload"


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("Mon 2026-11-23 02:07:18.500000 UTC", 1795399638.5),
        ("Mon 2026-11-23 02:07:18 UTC", 1795399638.0),
        ("", 0),
        ("n/a", 0),
    ],
)
def test_times_of_systemd(stamp: str, seconds: float) -> None:
    assert host_units._seconds(stamp) == seconds
