# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Files of a soa-configs directory are replaced atomically, and by one run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """Two runs at once take turns; the lock is the directory's and goes away with the process."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        yield  # whoever reads the directory next reports it, in words
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write(texts: Mapping[str, str]) -> None:
    """Replace files by path, all new texts on disk before the first file changes: a full disk changes none.

    OSError, with the file's name, when that cannot be done.
    """
    staged: list[tuple[str, str]] = []
    try:
        for path, text in texts.items():
            target = os.path.realpath(path)
            staged.append((_stage(target, text), target))
        while staged:
            os.replace(*staged[0])
            staged.pop(0)
    finally:
        for temporary, _target in staged:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _stage(target: str, text: str) -> str:
    """Write a temporary file beside the target, with the target's mode and owner, or the directory's owner."""
    directory, name = os.path.split(target)
    exists = os.path.exists(target)
    status = os.stat(target if exists else directory)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) if exists else 0o644)
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, status.st_uid, status.st_gid)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary
