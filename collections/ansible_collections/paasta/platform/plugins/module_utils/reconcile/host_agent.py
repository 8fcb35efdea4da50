# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the reconciler does on a host beside its Docker Engine: files for Envoy, files of secrets, and a lock.

It uses only the standard library (Python 3.8): its text is sent to the host's own Python (:mod:`~..host_program`) and
stays there for one run, answering a line of JSON with a line of JSON. So nothing has to be installed on hosts, and no
version of it can be out of step.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import sys
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import EndpointFiles


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


def filesystem(path: str) -> str:
    """The type of the file system that a path, which need not be there yet, is on."""
    path, found, mount_point = os.path.realpath(path), "", ""
    with open("/proc/self/mountinfo") as stream:
        for line in stream:
            # Fields: id parent major:minor root mount-point options [optional...] - type source options
            fields, _dash, rest = line.partition(" - ")
            point = fields.split()[4].encode().decode("unicode_escape")
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(mount_point):
                mount_point, found = point, rest.split()[0]
    return found


def make_private(directory: str) -> None:
    """A directory that only its owner may enter, and its parents where they are missing."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    os.chmod(directory, 0o700)


def write_secret(top: str, path: str, content: bytes, mode: int) -> None:
    """A new file at ``path`` in ``top``. Who may enter ``top`` may read the directories in it, as far as modes say."""
    directory = top
    for part in os.path.dirname(path).split("/"):
        directory = os.path.join(directory, part)
        if not os.path.isdir(directory):
            os.mkdir(directory)
            os.chmod(directory, 0o755)
    descriptor = os.open(os.path.join(top, path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchmod(descriptor, mode)


def with_way_out(error: OSError) -> str:
    """The error in words; where only root may, how to be root."""
    return f"{error}: reach the host as root, ssh://...?sudo=1" if isinstance(error, PermissionError) else str(error)


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

    def mesh(
        self, directory: str, admin: str, source: str, files: dict[str, str], whole: bool, others: list[str]
    ) -> dict[str, Any]:
        """Write a source's endpoint files (see :meth:`EndpointFiles.write`; none: only look) and say what Envoy knows.

        :param others: the namespaces of which to say what the other sources have.
        """
        endpoint_files = EndpointFiles(directory)
        changed = endpoint_files.write(source, files, whole) if files or whole else []
        said = endpoint_files.others(source, others)
        return {"changed": changed, "seen": endpoints_seen(admin), "others": said}

    def mesh_stale(self, directory: str, source: str, files: dict[str, str]) -> dict[str, Any]:
        """The namespaces whose endpoint files would be written."""
        return {"stale": EndpointFiles(directory).stale(source, files)}

    def write_secrets(self, root: str, name: str, files: dict[str, dict[str, str]]) -> dict[str, Any]:
        """Write files (path → octal ``mode`` and base64 ``content``) to the new directory ``name`` in ``root``."""
        kind = filesystem(root)
        if kind not in ("tmpfs", "ramfs"):
            raise OSError(f"{root} is on a file system of type {kind}, which is not in memory: mount a tmpfs on /run")
        top = os.path.join(root, name)
        try:
            for directory in (os.path.dirname(root), root, top):
                make_private(directory)
            for path, file in sorted(files.items()):
                write_secret(top, path, base64.b64decode(file["content"]), int(file["mode"], 8))
        except OSError as error:
            shutil.rmtree(top, ignore_errors=True)
            raise OSError(with_way_out(error)) from error
        return {}

    def list_secrets(self, root: str) -> dict[str, Any]:
        """The directories of secrets, or why this user may not see them: that is not the same as none being there."""
        try:
            return {"names": sorted(os.listdir(root)), "hidden": ""}
        except FileNotFoundError:
            return {"names": [], "hidden": ""}
        except PermissionError as error:
            return {"names": [], "hidden": with_way_out(error)}

    def remove_secrets(self, root: str, names: list[str]) -> dict[str, Any]:
        """Remove directories of secrets, and ``root`` with the last of them."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(os.path.join(root, name))
        with contextlib.suppress(OSError):
            os.rmdir(root)
        return {}


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
