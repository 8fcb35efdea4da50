# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How the reconciler reaches a host: one URL, from which both programs and the Docker Engine are reached.

=================================  ==================================================================
``unix:///run/docker.sock``        this machine, through that socket
``container://NAME``               the node container NAME, through ``docker exec``
``ssh://[USER@]HOST[:PORT]``       a real host, through the ``ssh`` client with the user's own settings
``ssh://…?sudo=1``                 the same, with ``sudo -n`` in front of every program
``ssh://…?config=FILE``            the same, with another configuration file than ``~/.ssh/config``
=================================  ==================================================================

A program's standard input and output are one socket here, so the Docker Engine's API is spoken through
``docker system dial-stdio`` exactly as the docker client does it for ``DOCKER_HOST=ssh://…``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, urlsplit

#: Seconds until a host that does not answer is taken for unreachable.
CONNECT_TIMEOUT = 10


class Unreachable(Exception):
    """The host does not answer; the text says how it was tried and what came back."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to one host.

    :ivar url: as in the inventory (``paasta_host_url``).
    :ivar prefix: what to put before a program's arguments to run it there.
    :ivar docker_socket: path of the Engine's socket when it is on this machine, else empty.
    """

    url: str
    prefix: tuple[str, ...] = ()
    docker_socket: str = ""

    @classmethod
    def parse(cls, url: str) -> Channel:
        """:raises ValueError: for a URL of another form."""
        parts = urlsplit(url)
        if parts.scheme == "unix" and parts.path:
            return cls(url, (), parts.path)
        if parts.scheme == "container" and parts.netloc:
            return cls(url, ("docker", "exec", "-i", parts.netloc))
        if parts.scheme == "ssh" and parts.hostname:
            return cls(url, _ssh(parts))
        expected = "unix:///SOCKET, container://NAME or ssh://[USER@]HOST[:PORT]"
        raise ValueError(f"paasta_host_url {url!r}: expected {expected}")

    def start(self, arguments: Sequence[str]) -> Process:
        """Run a program on the host with its input and output on a socket."""
        ours, theirs = socket.socketpair()
        try:
            process = subprocess.Popen(
                [*self.prefix, *arguments], stdin=theirs.fileno(), stdout=theirs.fileno(),
                stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            ours.close()
            raise Unreachable(f"{self.url}: cannot run {(*self.prefix, *arguments)[0]}: {error.strerror}") from error
        finally:
            theirs.close()
        return Process(self.url, process, ours)


@dataclass(slots=True)
class Process:
    """A program on a host; ``socket`` is its standard input and output."""

    url: str
    process: subprocess.Popen[bytes]
    socket: socket.socket
    _last_words: str = field(default="")

    def failure(self) -> str:
        """Why the program ended, in its own last words. Ends it if it has not."""
        self.close()
        return self._last_words or f"it ended with status {self.process.returncode}"

    def close(self) -> None:
        """End the program: its standard input closes, and what ignores that is killed."""
        stderr = self.process.stderr
        if stderr is None or stderr.closed:
            return
        with contextlib.suppress(OSError):  # the program may have closed its end first
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # A shared ssh connection stays in the background and keeps stderr open: read what there is, do not wait.
        os.set_blocking(stderr.fileno(), False)
        words = (stderr.read() or b"").decode(errors="replace").strip().splitlines()
        self._last_words = words[-1] if words else ""
        stderr.close()


def _ssh(url: SplitResult) -> tuple[str, ...]:
    query = parse_qs(url.query)
    sockets = os.path.expanduser("~/.ansible/cp")
    os.makedirs(sockets, mode=0o700, exist_ok=True)
    options = [
        "-T",
        "-o", "BatchMode=yes",
        "-o", f"ConnectTimeout={CONNECT_TIMEOUT}",
        "-o", "ServerAliveInterval=15",
        "-o", "ControlMaster=auto",
        "-o", f"ControlPath={sockets}/paasta-%C",
        "-o", "ControlPersist=60s",
    ]  # fmt: skip
    options += [part for file in query.get("config", []) for part in ("-F", file)]
    options += ["-p", str(url.port)] if url.port else []
    target = f"{url.username}@{url.hostname}" if url.username else str(url.hostname)
    sudo = ("sudo", "-n") if "1" in query.get("sudo", []) else ()
    return ("ssh", *options, target, "--", *sudo)
