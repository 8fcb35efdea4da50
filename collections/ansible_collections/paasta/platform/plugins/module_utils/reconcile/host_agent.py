# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the reconciler does on a host beside its Docker Engine: endpoint files, Envoy's view of them, and a lock.

This file is complete in itself and uses only the standard library (Python 3.8): its text is sent to the host's own
Python and stays there for one run, answering a line of JSON with a line of JSON. So nothing has to be installed on
hosts, and no version of it can be out of step.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import sys
import tempfile
from typing import Any


def move_in(directory: str, name: str, text: str) -> None:
    """Put a file in place whole, which is what Envoy watches for; a full disk leaves the old one."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=directory)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            os.fchmod(descriptor, 0o644)
        os.replace(temporary, os.path.join(directory, name))
    except OSError:
        os.unlink(temporary)
        raise


def write_files(directory: str, files: dict[str, str]) -> list[str]:
    """Bring files in ``directory`` (name → text) up to date; others are left alone.

    :returns: the names that were written.
    """
    changed = []
    for name, text in sorted(files.items()):
        if read_file(os.path.join(directory, name)) != text:
            move_in(directory, name, text)
            changed.append(name)
    return changed


def read_file(path: str) -> str | None:
    """The text of a file, or None when there is none."""
    try:
        with open(path) as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def ask_envoy(admin: str, path: str) -> bytes:
    """GET from Envoy's admin interface at ``host:port``.

    :raises OSError: when it does not answer or refuses.
    """
    connection = http.client.HTTPConnection(admin, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (http.client.HTTPException, OSError) as error:
        raise OSError(f"Envoy's admin interface at {admin} does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"Envoy's admin interface at {admin} answers {path} with status {response.status}")
    return body


def endpoints_seen(admin: str) -> dict[str, dict[str, list[Any]]]:
    """What Envoy knows now: cluster → ``address:port`` → [takes new requests, requests or connections under way]."""
    seen: dict[str, dict[str, list[Any]]] = {}
    for cluster in json.loads(ask_envoy(admin, "/clusters?format=json")).get("cluster_statuses", []):
        hosts = seen.setdefault(cluster["name"], {})
        for host in cluster.get("host_statuses", []):
            socket_address = host["address"]["socket_address"]
            status = dict(host.get("health_status", {}))
            takes_requests = status.pop("eds_health_status", "HEALTHY") == "HEALTHY" and not any(status.values())
            stats = {stat["name"]: int(stat.get("value", 0)) for stat in host.get("stats", [])}
            under_way = max(stats.get("rq_active", 0), stats.get("cx_active", 0) if _is_tcp(stats) else 0)
            hosts[f"{socket_address['address']}:{socket_address['port_value']}"] = [takes_requests, under_way]
    return seen


def _is_tcp(stats: dict[str, int]) -> bool:
    """A tcp backend counts connections and never a request."""
    return stats.get("rq_total", 0) == 0


class Agent:
    """Answers requests; holds the lock for as long as the process lives."""

    def __init__(self) -> None:
        self._lock: Any = None

    def lock(self, path: str, owner: str) -> dict[str, Any]:
        """Take the lock at ``path``, or say who has it."""
        stream = open(path, "a+")  # noqa: SIM115 - open is what holds the lock
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            held_by = stream.read().strip() or "unknown"
            stream.close()
            return {"locked": False, "held_by": held_by}
        stream.truncate(0)
        stream.write(owner + "\n")
        stream.flush()
        self._lock = stream
        return {"locked": True}

    def mesh(self, directory: str, files: dict[str, str] | None, admin: str) -> dict[str, Any]:
        """Write endpoint files (None: only look) and say what Envoy knows."""
        changed = write_files(directory, files) if files is not None else []
        return {"changed": changed, "seen": endpoints_seen(admin)}

    def mesh_files(self, directory: str) -> dict[str, Any]:
        """The endpoint files as they are."""
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        return {"files": {name: read_file(os.path.join(directory, name)) for name in names if not name.startswith(".")}}


def main() -> None:
    """Answer until the input ends."""
    agent = Agent()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(agent, request.pop("do"))(**request)
        except OSError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
