# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that end with the tests, however these end."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

# Reads "+pid" and "-pid"; when its input ends, because it is closed or because the tests were killed, it ends those
# processes and removes the directory.
CARETAKER = """
import os, shutil, signal, sys
alive = set()
for line in sys.stdin:
    (alive.add if line[0] == "+" else alive.discard)(int(line[1:]))
for process in alive:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class Ended(Exception):
    """A program that should run does not."""


class Programs:
    """Programs with their logs in ``directory``, which is removed with them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # Sessions of their own, here and below, so that Ctrl-C in a terminal reaches only the tests.
        self._caretaker = subprocess.Popen(
            [sys.executable, "-c", CARETAKER, str(directory)], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._caretaker.stdin and not self._caretaker.stdin.closed:
            self._caretaker.stdin.close()
        self._caretaker.wait()
        for process in self._processes.values():
            process.wait()

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def start(self, name: str, command: list[str]) -> None:
        with self.log(name).open("ab") as log:
            log.write(f"=== {' '.join(command)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._processes[name] = process
        self._tell(f"+{process.pid}")

    def kill(self, name: str) -> None:
        """End a program, if it has not ended by itself, and wait until it is gone."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()
        self._tell(f"-{process.pid}")

    def signal(self, name: str, what: signal.Signals) -> None:
        self._processes[name].send_signal(what)

    def names(self) -> list[str]:
        """Those that run."""
        return list(self._processes)

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def check(self) -> None:
        """Raises Ended if a program has ended by itself, with the end of its log."""
        for name, process in self._processes.items():
            if (status := process.poll()) is not None:
                raise Ended(f"{name} ended with status {status}:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 12, width: int = 300) -> str:
        with contextlib.suppress(FileNotFoundError):
            last = self.log(name).read_text(errors="replace").splitlines()[-lines:]
            return "\n".join(line[:width] for line in last)
        return ""

    def tails(self) -> str:
        names = sorted(path.stem for path in self.directory.glob("*.log") if path.stem != "audit")
        return "\n".join(f"--- end of {self.log(name)}:\n{self.tail(name)}" for name in names)

    def _tell(self, line: str) -> None:
        assert self._caretaker.stdin is not None
        self._caretaker.stdin.write(line + "\n")
        self._caretaker.stdin.flush()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on, below those that the kernel gives to connections by itself."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(20000, 30000)
        with socket.socket() as attempt:
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def memory_directory() -> str | None:
    """Where files stay in memory, for etcd syncs each change to its disk; None where there is too little of it."""
    path = "/dev/shm"
    try:
        room = os.statvfs(path)
    except OSError:
        return None
    return path if os.access(path, os.W_OK) and room.f_bavail * room.f_frsize > 1 << 30 else None
