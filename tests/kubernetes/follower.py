# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""paasta-endpoints as its unit starts it: one file and Python, with a directory as role envoy leaves it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from ansible_collections.paasta.platform.plugins.module_utils.host_program import text
from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import EndpointFiles

PATIENCE = 20.0


def kubeconfig(path: Path, ca: Path, servers: list[str], user: dict[str, str]) -> Path:
    """As role kube_mesh writes it: a context for each server, and files for everything else."""
    named = {"certificate-authority": str(ca)}
    document = {
        "clusters": [{"name": server, "cluster": {"server": server, **named}} for server in servers],
        "users": [{"name": "mesh", "user": user}],
        "contexts": [{"name": server, "context": {"cluster": server, "user": "mesh"}} for server in servers],
    }
    path.write_text(json.dumps(document))
    return path


class Follower:
    """Started by entering it, and again with `start`. log: its lines, of all its lives."""

    def __init__(
        self, directory: Path, kubeconfig: Path, cluster: str, namespaces: list[str], nodes: list[str]
    ) -> None:
        self.directory = directory / "envoy"
        (self.directory / "eds").mkdir(parents=True)
        self.files = EndpointFiles(str(self.directory))
        self.files.declare(namespaces)
        self.log: list[str] = []
        self._program = directory / "paasta-endpoints"
        self._program.write_text(text("paasta-endpoints"))
        self._arguments = [f"--kubeconfig={kubeconfig}", f"--cluster={cluster}", f"--directory={self.directory}"]
        self._arguments += [f"--through={node}" for node in nodes]
        self._notify = directory / "notify"
        self._systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._systemd.bind(str(self._notify))
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._systemd.close()

    def start(self) -> Self:
        environment = {**os.environ, "NOTIFY_SOCKET": str(self._notify)}
        # -I: nothing of the tests' own path, as on a host.
        command = [sys.executable, "-I", str(self._program), *self._arguments]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        with process.stderr or open(os.devnull) as stream:
            self.log.extend(line.rstrip("\n") for line in iter(stream.readline, ""))

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ready(self, seconds: float = PATIENCE) -> bool:
        """Whether it has told systemd that it is; waits for so long."""
        self._systemd.settimeout(seconds)
        try:
            return self._systemd.recv(64) == b"READY=1"
        except TimeoutError:
            return False

    def endpoints(self, namespace: str) -> dict[str, str]:
        """What Envoy would read: ``address:port`` → state."""
        document = json.loads((self.directory / "eds" / f"{namespace}.json").read_text())
        found = {}
        for one in document["resources"][0]["endpoints"][0]["lb_endpoints"]:
            address = one["endpoint"]["address"]["socket_address"]
            found[f"{address['address']}:{address['port_value']}"] = one["health_status"]
        return found

    def eventually(self, check: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """The first true value; while it is waited for, the program must run."""
        deadline = time.monotonic() + seconds
        while not (value := check()):
            assert self.runs, f"it has ended: {self.log}"
            assert time.monotonic() < deadline, f"not within {seconds} s; it said: {self.log}"
            time.sleep(0.02)
        return value
