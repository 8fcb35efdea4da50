# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Results of readings, kept under a digest of everything that they were made of.

The key covers the content of every file, the names of all others, what was asked for, the code that answers, and the
machine's time zones, which some checks look at: a result that is found is what reading again would give, so nothing
ever has to be thrown away because it is old. Results are pickles, which could do anything, so a directory that others
may write to is not used. Whatever goes wrong with a cache is as if there were none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import stat
import sys
import tempfile
import zoneinfo
from functools import lru_cache
from typing import Any

try:
    import yaml

    _YAML_VERSION: str = yaml.__version__
except ImportError:  # said by yamldoc.YAML_MISSING
    _YAML_VERSION = ""

# Results that are kept; a result of a thousand services has about 3 MB.
KEPT = 24
_DIGEST_BYTES = 32


def default_directory() -> str:
    """``$XDG_CACHE_HOME/paasta/soa-configs``, in ``~/.cache`` without."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "paasta", "soa-configs")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Of the code of this package and of what it reads YAML with; empty when the code is not in files (in a zip)."""
    total = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    directory = os.path.dirname(os.path.abspath(__file__))
    try:
        for name in sorted(os.listdir(directory)):
            if name.endswith(".py"):
                with open(os.path.join(directory, name), "rb") as stream:
                    total.update(hashlib.blake2b(stream.read()).digest())
    except OSError:
        return ""
    total.update(f"{sys.version} {_YAML_VERSION}".encode())
    return total.hexdigest()


def _time_zones() -> list[tuple[str, int, int]]:
    """What tells one state of this machine's time zones from another: checks ask it whether a zone exists."""
    found = []
    for directory in zoneinfo.TZPATH:
        for path in (directory, os.path.join(directory, "tzdata.zi")):
            with contextlib.suppress(OSError):
                status = os.stat(path)
                found.append((path, status.st_mtime_ns, status.st_size))
    return found


def key(*parts: Any) -> str:
    """The name of a result; empty when there can be none."""
    code = code_digest()
    text = repr((code, _time_zones(), parts))
    return (
        hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_DIGEST_BYTES).hexdigest() if code else ""
    )


def get(directory: str, name: str) -> Any:
    """The result of that name, None without one."""
    with contextlib.suppress(OSError):
        if not name or not _is_ours(os.lstat(directory)):
            return None
        descriptor = os.open(os.path.join(directory, name), os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as stream:
            if not _is_ours(os.fstat(descriptor)):
                return None
            data = stream.read()
        payload = memoryview(data)[_DIGEST_BYTES:]
        if data[:_DIGEST_BYTES] == _digest(payload):
            # What has the right digest was written whole, by this very code.
            return pickle.loads(payload)
    return None


def put(directory: str, name: str, value: Any) -> None:
    """Keep a result; old ones go."""
    if not name:
        return
    with contextlib.suppress(OSError):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if not _is_ours(os.lstat(directory)):
            return
        payload = pickle.dumps(value, protocol=5)
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(_digest(payload) + payload)
            os.replace(temporary, os.path.join(directory, name))
        except OSError:
            os.unlink(temporary)
            raise
        _prune(directory)


def _digest(payload: Any) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST_BYTES).digest()


def _is_ours(status: os.stat_result) -> bool:
    """Whether nobody else could have put it there."""
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _prune(directory: str) -> None:
    with os.scandir(directory) as entries:
        found = sorted(((entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries), reverse=True)
    for _time, path in found[KEPT:]:
        with contextlib.suppress(OSError):
            os.unlink(path)
