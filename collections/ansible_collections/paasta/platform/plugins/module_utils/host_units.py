# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What systemd says of a host's units, and what it is told to do with them. On the host itself, as root.

Only the standard library: managed hosts need nothing but Python 3.10.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_PROPERTIES = (
    "LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,FragmentPath,DropInPaths"
    ",ExecMainStartTimestamp,ActiveEnterTimestamp"
)


# Its files are as old as the last reloads of the units that they are named after.
_RELOADED = "/run/paasta/reloaded"


class UnitError(Exception):
    """systemd would not do it; the text has its own words."""


@dataclass(frozen=True)
class Unit:
    name: str
    loaded: bool
    state: str  # active, activating, deactivating, inactive, failed
    detail: str  # running, auto-restart, dead, ...
    enabled: bool
    outdated: bool  # systemd has not read the unit's file as it is now
    files: tuple[str, ...]  # the unit's own and its drop-ins
    since: float  # when its process was started, seconds since 1970; 0 if it has none

    @property
    def active(self) -> bool:
        return self.state == "active"

    @property
    def running(self) -> bool:
        """Also while it has not yet said that it is ready; not while it waits for its next try."""
        return self.active or (self.state == "activating" and self.detail != "auto-restart")


def look(names: Sequence[str]) -> dict[str, Unit]:
    """The units by name, also those that do not exist."""
    text = _systemctl("show", "--timestamp=us+utc", f"--property={_PROPERTIES}", "--", *names)
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in text.strip().split("\n\n")]
    return {name: _unit(name, block) for name, block in zip(names, blocks, strict=True)}


def _unit(name: str, values: dict[str, str]) -> Unit:
    fragment = values.get("FragmentPath", "")
    return Unit(
        name=name,
        loaded=values.get("LoadState") == "loaded",
        state=values.get("ActiveState", ""),
        detail=values.get("SubState", ""),
        enabled=values.get("UnitFileState") in ("enabled", "static", "alias", "generated", "linked-runtime"),
        outdated=values.get("NeedDaemonReload") == "yes",
        files=(*filter(None, [fragment]), *values.get("DropInPaths", "").split()),
        since=_seconds(values.get("ExecMainStartTimestamp") or values.get("ActiveEnterTimestamp", "")),
    )


def _seconds(stamp: str) -> float:
    """systemd's `Mon 2026-11-23 02:07:18.123456 UTC` as seconds since 1970; 0 for none."""
    parts = stamp.split()
    if len(parts) != 4:
        return 0.0
    return datetime.fromisoformat(f"{parts[1]}T{parts[2]}+00:00").timestamp()


def newer(paths: Sequence[str], since: float) -> list[str]:
    """Those of the files that were written, or moved in, after a moment. One that is missing is no reason."""
    # The time of change of the inode: a file that is moved in keeps the time at which it was written.
    return [path for path in paths if (changed := _changed(path)) is not None and changed > since]


def _changed(path: str) -> float | None:
    try:
        return os.stat(path).st_ctime
    except FileNotFoundError:
        return None


def reload() -> None:
    """Let systemd read the files of all units again."""
    _systemctl("daemon-reload")


def control(verb: str, *names: str, wait: bool = False) -> None:
    """``start``, ``stop``, ``restart``, ``enable`` ...

    Starting returns at once unless ``wait``: whoever asks looks by other means whether the unit answers, and systemd
    would report the first of several tries as a failure.
    """
    _systemctl(verb, *(() if wait or verb == "enable" else ("--no-block",)), "--", *names)


def reload_unit(name: str) -> None:
    """Let a unit read its files again, and remember since when it has: systemd does not. Raises UnitError, OSError."""
    asked = time.time()
    control("reload", name, wait=True)
    os.makedirs(_RELOADED, mode=0o755, exist_ok=True)
    stamp = os.path.join(_RELOADED, name)
    with open(stamp, "w", encoding="utf-8"):
        pass
    os.utime(stamp, (asked, asked))


def reloaded(name: str) -> float:
    """When :func:`reload_unit` was last called for a unit since the host started, seconds since 1970; or 0."""
    try:
        return os.stat(os.path.join(_RELOADED, name)).st_mtime
    except FileNotFoundError:
        return 0.0


def wait_for_end(name: str, timeout: float) -> None:
    """Stop a unit, and return when it has ended. Raises UnitError after ``timeout`` seconds."""
    control("stop", name)
    deadline = time.monotonic() + timeout
    while look([name])[name].state not in ("inactive", "failed"):
        if time.monotonic() > deadline:
            raise UnitError(f"{name} did not stop within {timeout:g} seconds")
        time.sleep(0.2)


def journal(name: str, lines: int = 15) -> str:
    """What the unit logged last; empty if that cannot be read."""
    command = ["journalctl", f"--unit={name}", f"--lines={lines}", "--no-pager", "--output=cat"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _systemctl(*arguments: str) -> str:
    command = ["systemctl", *arguments]
    try:
        environment = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnitError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        raise UnitError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout
