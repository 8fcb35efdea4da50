# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a directory on the controller offers: each program's sha256, computed once and remembered.

Hosts are served by processes of their own: the first computes, the others wait for it and read what it remembered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .programs import digest_of
from .programs_fetch import Refused
from .soaconfigs import atomic

SUMS = "SHA256SUMS"


def offer(directory: str, names: Iterable[str], cache: str | None = None) -> dict[str, str]:
    """File name -> sha256 of its content. Where the directory has SHA256SUMS, every file must be in it, and match.

    Raises Refused, with all that is wrong.
    """
    names = list(dict.fromkeys(names))
    paths = {name: os.path.join(directory, name) for name in names}
    missing = [name for name in names if not os.path.isfile(paths[name])]
    if missing:
        there = "has no" if os.path.isdir(directory) else "is no directory; it should have"
        raise Refused(
            f"{directory} (on the controller) {there} {', '.join(missing)}. Put the programs of this version there, "
            "under these names; for Kubernetes scripts/kubernetes-programs does it"
        )
    found = _digests(paths, cache or default_cache())
    expected = _sums(directory)
    if expected is None:
        return found
    troubles = []
    for name in names:
        if name not in expected:
            troubles.append(f"{directory}/{SUMS} has no line for {name}: add it, or remove the file {name}")
        elif expected[name] != found[name]:
            troubles.append(
                f"{paths[name]} has the sha256 {found[name]}, {SUMS} beside it says {expected[name]}: "
                "one of them is not what it should be; nothing was sent"
            )
    if troubles:
        raise Refused("\n".join(troubles))
    return found


def default_cache() -> str:
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(root, "paasta", "digests.json")


def _digests(paths: Mapping[str, str], cache: str) -> dict[str, str]:
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    with atomic.locked(os.path.dirname(cache)):
        known = _known(cache)
        found, unknown = {}, {}
        for name, path in paths.items():
            real = os.path.realpath(path)
            status = os.stat(real)
            key = [status.st_size, status.st_mtime_ns, status.st_ino]
            entry = known.get(real, {})
            if entry.get("file") == key:
                found[name] = entry["sha256"]
            else:
                unknown[name] = (real, key)
        if unknown:
            with ThreadPoolExecutor() as pool:
                digests = pool.map(lambda item: digest_of(item[0], "sha256"), unknown.values())
                for (name, (real, key)), digest in zip(unknown.items(), digests, strict=True):
                    found[name] = digest
                    known[real] = {"file": key, "sha256": digest}
            kept = {path: entry for path, entry in sorted(known.items()) if os.path.exists(path)}
            atomic.write({cache: json.dumps(kept, indent=1) + "\n"})
        return found


def _known(cache: str) -> dict[str, dict[str, Any]]:
    try:
        entries = json.loads(Path(cache).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {
        path: entry for path, entry in entries.items() if isinstance(entry, dict) and {"file", "sha256"} <= set(entry)
    }


def _sums(directory: str) -> dict[str, str] | None:
    """What SHA256SUMS says, as sha256sum writes it; None without one."""
    try:
        text = Path(directory, SUMS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    lines = (line.split(None, 1) for line in text.splitlines() if line.strip())
    return {fields[1].lstrip("*").removeprefix("./"): fields[0].lower() for fields in lines if len(fields) == 2}
