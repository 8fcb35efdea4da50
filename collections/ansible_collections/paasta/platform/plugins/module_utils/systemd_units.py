# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Units that run with the files there are now: the work of ``systemd_units``, on the host itself.

Whether a unit has to be restarted is not remembered anywhere: it has to if one of its files is newer than its process.
So a run that was killed between a change and the restart is finished by the next one, whoever made the change.
"""

from __future__ import annotations

import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from . import host_files, host_units

ARGUMENTS: dict[str, Any] = {
    "files": {"type": "list", "elements": "dict", "default": [], "options": host_files.OPTIONS},
    "units": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "watches": {"type": "list", "elements": "path", "default": []},
            "reloads": {"type": "list", "elements": "path", "default": []},
            "url": {"type": "str"},
            "ca": {"type": "path"},
            "peers": {"type": "list", "elements": "str", "default": []},
        },
    },
    "timeout": {"type": "float", "default": 60},
}

_PAUSE = 0.25  # seconds between two looks at a unit that starts


class NotReady(Exception):
    """A unit did not become ready; the text has its last words."""


def run(args: Mapping[str, Any], check_mode: bool, diff: bool) -> dict[str, Any]:
    """Write, start and restart. ``args`` is as in :data:`ARGUMENTS`; returns the module's result."""
    try:
        changes = host_files.changes(host_files.read(args["files"]))
    except (OSError, ValueError) as error:
        return {"failed": True, "changed": False, "msg": str(error)}
    result: dict[str, Any] = {"changed": bool(changes), "files": [change.wanted.path for change in changes]}
    if diff:
        result["diff"] = [change.as_diff() for change in changes]
    written = set(result["files"])
    going = [unit for unit in args["units"] if unit["state"] == "stopped"]
    running = [unit for unit in args["units"] if unit["state"] == "started"]
    try:
        if not check_mode:
            _await_peers(args, written)
        # They need their files to stop.
        units = _units(going, args["timeout"], written, check_mode)
        if not check_mode:
            for change in changes:
                host_files.write(change)
            if going and changes:
                host_units.reload()
        result["units"] = units = units | _units(running, args["timeout"], written, check_mode)
    except (OSError, host_units.UnitError, NotReady) as error:
        return result | {"failed": True, "changed": False, "msg": str(error)}
    result["changed"] = bool(changes or any(unit["action"] for unit in units.values()))
    result["pending"] = check_mode and result["changed"]
    return result


def _units(
    units: Sequence[Mapping[str, Any]], timeout: float, written: set[str], check_mode: bool
) -> dict[str, dict[str, str]]:
    """What is done to each unit, in the order given; the next one when this one is ready."""
    wanted = {unit["name"]: unit for unit in units}
    if not wanted:
        return {}
    found = host_units.look(list(wanted))
    if not check_mode and any(unit.outdated or not unit.loaded for unit in found.values()):
        host_units.reload()
        found = host_units.look(list(wanted))
    # In check mode, whatever would have brought the rest has only been looked at as well.
    if not check_mode:
        _refuse_missing(wanted, found)
    report = {}
    for name, unit in found.items():
        decision = _decide(unit, wanted[name], written if check_mode else set())
        report[name] = {"action": decision[0], "reason": decision[1], "state": unit.state}
        if not check_mode:
            _act(unit, wanted[name], decision[0], timeout)
    return report


def _await_peers(args: Mapping[str, Any], written: set[str]) -> None:
    """Before anything is changed: whoever serves while a unit is restarted is ready. Raises NotReady.

    ``throttle`` alone does not do it: Ansible goes on to the next host when one has failed, until the task's end.
    """
    restarts = {
        name: unit["reason"]
        for name, unit in _units(args["units"], args["timeout"], written, check_mode=True).items()
        # One that is about to start, perhaps for the hundredth time, serves nobody.
        if unit["action"] == "restarted" and unit["state"] == "active"
    }
    for unit in args["units"]:
        if unit["name"] not in restarts:
            continue
        deadline = time.monotonic() + args["timeout"]
        while problems := [problem for url in unit["peers"] if (problem := answer(url, unit["ca"]))]:
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{unit['name']} has to be restarted ({restarts[unit['name']]}), but others that should serve "
                    f"meanwhile are not ready: {'; '.join(problems)}. Nothing was changed on this host"
                )
            time.sleep(_PAUSE)


def _refuse_missing(wanted: Mapping[str, Any], found: Mapping[str, host_units.Unit]) -> None:
    missing = [
        f"{name}: there is no file {path}"
        for name, unit in wanted.items()
        for path in (*unit["watches"], *unit["reloads"])
        if unit["state"] == "started" and not os.path.exists(path)
    ]
    missing += [
        f"{name}: there is no such unit"
        for name, unit in found.items()
        # One that is not there does not run either.
        if not unit.loaded and wanted[name]["state"] == "started"
    ]
    if missing:
        raise host_units.UnitError("\n".join(missing))


def _decide(unit: host_units.Unit, wanted: Mapping[str, Any], written: set[str]) -> tuple[str, str]:
    """What has to be done, as started, restarted, reloaded, stopped, enabled, awaited or nothing, and why.

    :param written: files that would be written, in check mode.
    """
    if wanted["state"] == "stopped":
        return ("stopped", f"it was {unit.state}") if unit.running or unit.enabled else ("", "")
    if not unit.running:
        return "started", f"it was {unit.state or 'missing'}"
    if fresh := _fresh([*unit.files, *wanted["watches"]], unit.since, written):
        return "restarted", f"newer than its process: {', '.join(fresh)}"
    if fresh := _fresh(wanted["reloads"], max(unit.since, host_units.reloaded(unit.name)), written):
        return "reloaded", f"newer than what it has read: {', '.join(fresh)}"
    if problem := _unready(unit, wanted):
        return "awaited", problem
    return ("", "") if unit.enabled else ("enabled", "it would not have started with the host")


def _fresh(paths: Sequence[str], since: float, written: set[str]) -> list[str]:
    return sorted({*host_units.newer(paths, since), *written.intersection(paths)})


def _act(unit: host_units.Unit, wanted: Mapping[str, Any], action: str, timeout: float) -> None:
    if action == "stopped":
        if unit.enabled:
            host_units.control("disable", unit.name, wait=True)
        host_units.wait_for_end(unit.name, timeout)
        return
    if wanted["state"] == "started" and not unit.enabled:
        host_units.control("enable", unit.name)
    if action in ("started", "restarted"):
        host_units.control("restart", unit.name)
    elif action == "reloaded":
        host_units.reload_unit(unit.name)
    if action:
        _await(wanted, timeout, unit.since if action in ("started", "restarted") else 0)


def _await(wanted: Mapping[str, Any], timeout: float, old: float) -> None:
    """Wait until the unit is ready, with a process that was not started at the moment ``old``. Raises NotReady."""
    name, deadline = wanted["name"], time.monotonic() + timeout
    while True:
        unit = host_units.look([name])[name]
        problem = _unready(unit, wanted) if unit.since != old else "it has not started"
        if not problem:
            return
        if time.monotonic() > deadline:
            raise NotReady(f"{name} is not ready after {timeout:g} seconds: {problem}\n{host_units.journal(name)}")
        time.sleep(_PAUSE)


def _unready(unit: host_units.Unit, wanted: Mapping[str, Any]) -> str:
    """Why the unit does not serve yet; empty if it does."""
    if not unit.active:
        return f"it is {unit.state} ({unit.detail})"
    return answer(wanted["url"], wanted["ca"]) if wanted["url"] else ""


def answer(url: str, ca: str | None) -> str:
    """Why an address does not answer with 2xx; empty if it does. Without ``ca``, a certificate is not looked at."""
    context = ssl.create_default_context(cafile=ca) if ca else ssl._create_unverified_context()
    # No proxy of the environment: addresses are this host's.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=3) as response:
            response.read()
    except urllib.error.HTTPError as error:
        with error:
            return f"{url} answers {error.code}: {error.read(2000).decode(errors='replace').strip()}"
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    return ""
