# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The controller's end of :mod:`host_agent`: one process per host for one run, and the lock of a cluster."""

from __future__ import annotations

import getpass
import io
import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils import host_program
from ansible_collections.paasta.platform.plugins.module_utils.progress import emit

from . import host_agent
from .channel import Channel, Process, Unreachable

#: Sent to hosts as a text. Named here, so that it is in the zip file of a module that asks them.
AGENT = host_agent

#: Seconds for one answer. The slowest is Envoy's list of clusters on a busy host.
ANSWER_TIMEOUT = 30


class AgentError(Exception):
    """The host answered, and what was asked of it failed there; the text names the host and the reason."""


class HostAgent:
    """Talks to the agent on one host, which is started at the first request. Thread-safe: one request at a time."""

    def __init__(self, name: str, channel: Channel) -> None:
        self.name = name
        self._channel = channel
        self._conversation: tuple[Process, io.BufferedReader] | None = None
        self._turn = threading.Lock()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One request. No error holds any of the arguments: they may be secrets.

        :raises Unreachable: when the host does not answer.
        :raises AgentError: when it cannot do what is asked.
        """
        with self._turn:
            process, reader = self._conversation or self._start()
            try:
                process.socket.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
                line = reader.readline()
            except OSError as error:
                raise Unreachable(f"{self.name} ({self._channel.url}): {error}; {process.failure()}") from error
        if not line:
            raise Unreachable(f"{self.name} ({self._channel.url}): {process.failure()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise AgentError(f"{self.name}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the agent, and with it its lock."""
        if self._conversation is not None:
            process, reader = self._conversation
            self._conversation = None
            process.close()
            reader.close()

    def _start(self) -> tuple[Process, io.BufferedReader]:
        process = self._channel.start(["python3", "-u", "-c", _quoted(host_program.text("agent"), self._channel)])
        process.socket.settimeout(ANSWER_TIMEOUT)
        self._conversation = process, process.socket.makefile("rb")
        return self._conversation


def _quoted(source: str, channel: Channel) -> str:
    """``ssh`` joins its arguments with spaces and gives them to a shell; ``docker exec`` and a plain start do not."""
    if channel.prefix[:1] != ("ssh",):
        return source
    return "'" + source.replace("'", "'\"'\"'") + "'"


def ask_all(agents: Mapping[str, HostAgent], requests: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Ask several hosts at once; the first failure is raised when all have answered."""
    if not requests:
        return {}
    with ThreadPoolExecutor(max_workers=min(32, len(requests))) as pool:
        futures = {name: pool.submit(agents[name].ask, **request) for name, request in requests.items()}
    return {name: future.result() for name, future in futures.items()}


def lock(agents: Iterable[HostAgent], cluster: str, timeout: float) -> None:
    """Take the cluster's lock on every host, waiting for another run to end.

    The hosts are taken in the order of their names, so two runs cannot wait for each other. A lock goes with its
    agent: a run that is killed leaves none behind.

    :param timeout: seconds to wait in all.
    :raises AgentError: naming who holds the lock and since when.
    """
    owner = f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()}, since {time.strftime('%H:%M:%S')})"
    deadline = time.monotonic() + timeout
    told = ""
    for agent in sorted(agents, key=lambda agent: agent.name):
        while not (answer := agent.ask("lock", path=f"/run/lock/paasta-{cluster}.lock", owner=owner))["locked"]:
            held_by = answer["held_by"]
            if time.monotonic() >= deadline:
                waited = f"waited {timeout:.0f} s, nothing was touched"
                raise AgentError(f"cluster {cluster} is being changed by {held_by}; {waited}")
            if held_by != told:
                told = held_by
                emit("step", subject=f"cluster {cluster}", text=f"waiting for {held_by} to finish")
            time.sleep(1)
