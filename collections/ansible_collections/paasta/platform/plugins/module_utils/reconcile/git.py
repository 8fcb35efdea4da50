# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The git program: no shell, no questions, no waiting for ever."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping

# Transports that run a program of the URL's choice (ext::) are not among them.
PROTOCOLS = "file:git:http:https:ssh"

# What points git at another repository than the one it is told, as when a hook has started us.
_OWN = frozenset(
    [
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    ]
)
_PASSWORD = re.compile(r"(?P<scheme>[a-z+]+)://(?P<user>[^/@\s:]*)(?P<password>:[^/@\s]*)?@")


class GitError(Exception):
    """Why git did not do it, in git's words, without passwords. ``temporary`` when another attempt may work."""

    def __init__(self, message: str, temporary: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary


class GitMissing(GitError):
    """There is no git on this machine."""


def redact(text: str) -> str:
    """URLs without what opens the door: any password, and all before the @ of http, where the user may be a token."""

    def hide(found: re.Match[str]) -> str:
        if found["scheme"].startswith("http"):
            return f"{found['scheme']}://***@"
        return f"{found['scheme']}://{found['user']}{':***' if found['password'] else ''}@"

    return _PASSWORD.sub(hide, text)


def git(
    *arguments: str,
    cwd: str = "/",
    timeout: float = 60,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """git's output. It has ``timeout`` seconds; GitError when it fails.

    :param env: added to the environment; of ours, ssh settings and credential helpers count.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OWN}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
    environment |= {"GIT_ALLOW_PROTOCOL": PROTOCOLS, "GIT_OPTIONAL_LOCKS": "0", **(env or {})}
    try:
        # Its own session: ssh finds no terminal to ask questions on, and a time-out ends ssh together with git.
        process = subprocess.Popen(
            ["git", *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        if error.filename == cwd:
            raise GitError(f"{cwd} cannot be entered: {error.strerror}") from None
        if isinstance(error, FileNotFoundError):
            raise GitMissing("git is not installed on this machine: install git") from None
        raise GitError(f"git cannot be run: {error.strerror}") from None
    with process:
        try:
            outputs = process.communicate(
                stdin.encode("utf-8", "surrogateescape") if stdin is not None else None, timeout
            )
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise GitError(f"no answer within {timeout:g} s", temporary=True) from None
            raise
    # Decoded here, because subprocess would take the \r out of files, and their lengths would be wrong.
    output, complaint = (stream.decode("utf-8", "surrogateescape") for stream in outputs)
    if process.returncode:
        raise GitError(*_reason(process.returncode, output, complaint))
    return output


# What another attempt does not change.
_FINAL = re.compile(
    r"not our ref|does not appear to be a git repository|not found|Permission denied|Authentication failed"
    r"|could not read (Username|Password)|Host key verification failed|not allowed|rejected|does not support --atomic"
    r"|invalid|denied|unable to find remote helper"
)
_NOISE = re.compile(
    r"hint:|warning:|Please make sure you have the correct|and the repository exists|$"
    r"|fatal: Could not read from remote repository|error: failed to push some refs"
)


def _reason(status: int, output: str, complaint: str) -> tuple[str, bool]:
    """The lines of git's complaint that say something, on one line, and whether trying again makes sense."""
    rejected = [line for line in output.splitlines() if "[rejected]" in line or "[remote rejected]" in line]
    lines = [" ".join(line.split()).removeprefix("! ") for line in [*complaint.splitlines(), *rejected]]
    told = list(dict.fromkeys(line for line in lines if not _NOISE.match(line))) or lines
    text = "; ".join(line.removeprefix("fatal: ").removeprefix("error: ") for line in told if line)
    return redact(text) or f"exited with status {status}", not _FINAL.search(complaint + output)
