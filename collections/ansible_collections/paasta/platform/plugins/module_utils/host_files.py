# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Files and directories of a host as they should be, written only where they differ. On the host itself, as root."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPTIONS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "directory": {"type": "bool", "default": False},
    "absent": {"type": "bool", "default": False},
    "initial": {"type": "bool", "default": False},
    "validate": {"type": "list", "elements": "str", "default": []},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
}


@dataclass(frozen=True)
class Wanted:
    path: str
    content: str | None  # None for a directory
    owner: str
    group: str
    mode: int
    absent: bool = False
    initial: bool = False  # somebody else's as soon as it is there
    validate: tuple[str, ...] = ()  # a command that refuses a wrong content; %s stands for a file with it


@dataclass(frozen=True)
class Change:
    wanted: Wanted
    before: str | None  # the content; None if there is no such file
    access: str  # owner, group and mode before, for people; empty if there is nothing
    rewrite: bool  # not only its owner, group or mode

    def as_diff(self) -> dict[str, str]:
        """The shape that Ansible prints under ``--diff``."""
        wanted = self.wanted
        after = "" if wanted.absent else f"{wanted.owner}:{wanted.group} {wanted.mode:04o}"
        return {
            "before_header": f"{wanted.path} {self.access or '(missing)'}",
            "after_header": f"{wanted.path} {after or '(missing)'}",
            "before": self.before or "",
            "after": "" if wanted.absent else wanted.content or "",
        }


def read(items: Sequence[Mapping[str, Any]]) -> list[Wanted]:
    """The files of arguments with :data:`OPTIONS`. Raises ValueError with everything that is wrong."""
    problems, wanted = [], []
    for item in items:
        path, directory = item["path"], item["directory"]
        if not os.path.isabs(path):
            problems.append(f"{path} is not absolute")
        if not item["absent"] and directory == (item["content"] is not None):
            problems.append(f"{path} needs either content or directory: true")
        try:
            mode = int(item["mode"] or ("0755" if directory else "0644"), 8)
        except ValueError:
            problems.append(f"{path}: mode {item['mode']!r} is not octal, such as '0644'")
            continue
        wanted.append(
            Wanted(
                path,
                item["content"],
                item["owner"],
                item["group"],
                mode,
                item["absent"],
                item["initial"],
                tuple(item["validate"]),
            )
        )
    if problems:
        raise ValueError("; ".join(problems))
    return wanted


def changes(files: Sequence[Wanted]) -> list[Change]:
    """What differs from what is on the host. Raises OSError."""
    return [change for wanted in files if (change := _compare(wanted))]


def write(change: Change) -> None:
    """Bring one file to what it should be; whoever reads it sees the old or the new one.

    :raises OSError: it cannot be written, or its own program refuses the content; then it is as it was.
    """
    wanted = change.wanted
    if wanted.absent:
        if os.path.isdir(wanted.path) and not os.path.islink(wanted.path):
            shutil.rmtree(wanted.path)
        else:
            os.unlink(wanted.path)
        return
    if wanted.content is None:
        os.makedirs(wanted.path, exist_ok=True)
    elif change.rewrite:
        if problem := _refusal(wanted):
            raise OSError(problem)
        _replace(wanted)
        return
    os.chown(wanted.path, *_ids(wanted))
    os.chmod(wanted.path, wanted.mode)


def _compare(wanted: Wanted) -> Change | None:
    try:
        status = os.lstat(wanted.path)
    except FileNotFoundError:
        return None if wanted.absent else Change(wanted, None, "", rewrite=True)
    if wanted.initial:
        return None
    access = f"{_name(status.st_uid, pwd.getpwuid)}:{_name(status.st_gid, grp.getgrgid)} {status.st_mode & 0o7777:04o}"
    before = None
    same = not wanted.absent
    if wanted.content is None and not wanted.absent:
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(f"{wanted.path} is there and is not a directory: move it away")
    elif stat.S_ISREG(status.st_mode):
        with open(wanted.path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            before = stream.read()
        same = same and before == wanted.content
    else:
        # A link is replaced: what it points to is somebody else's.
        same = False
    if same and access == f"{wanted.owner}:{wanted.group} {wanted.mode:04o}":
        return None
    return Change(wanted, before, access, rewrite=not same)


def _replace(wanted: Wanted) -> None:
    directory = os.path.dirname(wanted.path)
    os.makedirs(directory, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(prefix=f".{os.path.basename(wanted.path)}.", dir=directory)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(wanted.content or "")
            os.fchown(stream.fileno(), *_ids(wanted))
            os.fchmod(stream.fileno(), wanted.mode)
        os.replace(unfinished, wanted.path)
    except BaseException:
        os.unlink(unfinished)
        raise


def _refusal(wanted: Wanted) -> str:
    """What the file's own program says against a new content; empty if nothing."""
    if not wanted.validate or wanted.content is None:
        return ""
    suffix = os.path.splitext(wanted.path)[1]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=suffix) as stream:
        stream.write(wanted.content)
        stream.flush()
        command = [stream.name if word == "%s" else word for word in wanted.validate]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if not done.returncode:
        return ""
    return f"{wanted.path}: {command[0]} refuses what would be written: {(done.stderr + done.stdout).strip()}"


def _ids(wanted: Wanted) -> tuple[int, int]:
    try:
        return pwd.getpwnam(wanted.owner).pw_uid, grp.getgrnam(wanted.group).gr_gid
    except KeyError as error:
        raise OSError(f"{wanted.path} should belong to {wanted.owner}:{wanted.group}: {error.args[0]}") from error


def _name(number: int, ask: Any) -> str:
    try:
        return str(ask(number)[0])
    except KeyError:
        return str(number)
