# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where a value has been seen: in command lines while a block runs, and in files that are newer than a moment."""

from __future__ import annotations

import base64
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster import NODES, PLATFORM
from driver import COPY, docker

# What is not on a disk of a node, or shows what is elsewhere.
IN_MEMORY = ("tmpfs", "ramfs", "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue")


def forms(value: str) -> list[str]:
    """A value as it may be found: as it is, in base64, in hex."""
    return [value, base64.b64encode(value.encode()).decode().rstrip("="), value.encode().hex()]


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """Every command line of every process of this machine, the nodes' included, as often as it can be looked."""
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(file.read_bytes().decode(errors="replace"))
                except OSError:
                    continue
            time.sleep(0.01)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def on_controller(values: Sequence[str], since: float) -> dict[str, set[str]]:
    """Files of this machine's disks that hold a value and have changed since; of Docker's own, see on_nodes."""
    data = docker("info", "--format", "{{.DockerRootDir}}").strip()
    tops = {"/", tempfile.gettempdir(), str(COPY), str(Path.home())}
    command = ["find", *tops, "-xdev", "-path", data, "-prune", "-o", "-type", "f", "-newerct", f"@{since}", "-print0"]
    # What this user may not read, this user's processes have not written.
    listed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    found: dict[str, set[str]] = {value: set() for value in values}
    for name in listed.decode(errors="surrogateescape").split("\0"):
        try:
            content = Path(name).read_bytes() if name else b""
        except OSError:
            continue
        for value in values:
            if any(form.encode() in content for form in forms(value)):
                found[value].add(name)
    return found


def on_nodes(values: Sequence[str], since: float) -> dict[str, set[str]]:
    """Files on disks of nodes that hold a value and have changed since, as ``node:path``."""
    pruned = " -o ".join(f"-fstype {kind}" for kind in IN_MEMORY)
    files = rf"find / \( {pruned} \) -prune -o -type f -newerct @{since} -print0"
    found: dict[str, set[str]] = {}
    for value in values:
        patterns = " ".join(f"-e {form}" for form in forms(value))
        search = f"{files} | xargs -0 -r grep -lF {patterns} -- || true"
        found[value] = {f"{node}:{name}" for node in NODES for name in _on(node, search)}
    return found


def _on(node: str, script: str) -> list[str]:
    return PLATFORM.node(node, "sh", "-c", script).splitlines()
