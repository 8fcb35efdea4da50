# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Programs from official releases and from Debian's packages, into the cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from .sources import Archive, Family, NoPrograms, architecture

# Seconds without an answer until a place counts as unreachable, so that a closed network costs little.
PATIENCE = 5.0


class Unavailable(Exception):
    """A place cannot give what is asked of it; the text says why. The next one is asked."""


def say(text: str) -> None:
    print(f"kubernetes: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Of two runs that miss the same program, one gets it and the other waits for it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that fills {cache}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def download(family: Family, names: Iterable[str], cache: Path) -> None:
    """Take programs out of the family's official archive."""
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        path = Path(scratch, "archive")
        fetch_checked(family.archive, "", path)
        directory = family.archive.directory.format(architecture=architecture())
        with tarfile.open(path) as tar:
            for name in names:
                tar.extract(tar.getmember(f"{directory}/{name}"), scratch, filter="data")
                keep(Path(scratch, directory, name), cache)


def fetch_checked(archive: Archive, base: str, path: Path) -> None:
    url = base + archive.url.format(architecture=architecture())
    wanted = archive.checksums.get(architecture())
    if wanted is None:
        raise Unavailable(f"the digest of {url} is not known")
    try:
        digest = _fetch(url, path, archive.algorithm)
    except OSError as error:
        raise Unavailable(f"{url}: {error}") from error
    if digest != wanted:
        raise NoPrograms(f"{url} has the {archive.algorithm} {digest}, expected {wanted}")


def _fetch(url: str, path: Path, algorithm: str) -> str:
    """Write what the URL gives to the file; its digest."""
    digest = hashlib.new(algorithm)
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer, path.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        say(f"downloading {url}" + (f", {size >> 20} MiB" if size else ""))
        told, done = time.monotonic(), 0
        while block := answer.read(1 << 20):
            file.write(block)
            digest.update(block)
            done += len(block)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                say(f"{done >> 20} of {size >> 20} MiB" if size else f"{done >> 20} MiB")
    return digest.hexdigest()


def unpack_debian_package(package: str, program: str, cache: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Unavailable("this is no Debian or Ubuntu")
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        # Lists of our own if those of the system are missing: for the system's, `apt-get update` wants to be root.
        own = [f"-oDir::State::Lists={scratch}/lists", f"-oDir::Cache={scratch}/cache"]
        fetch = ["download", package]
        attempts = [[fetch], [[*own, "update"], [*own, *fetch]]]
        errors = [_apt(attempt, scratch) for attempt in attempts[:1]]
        if errors[-1]:
            errors.append(_apt(attempts[1], scratch))
        if errors[-1]:
            raise Unavailable(errors[-1])
        (file,) = Path(scratch).glob("*.deb")
        say(f"unpacking {file.name}")
        subprocess.run(["dpkg", "-x", file, scratch], check=True)
        keep(Path(scratch, program), cache)


def _apt(commands: list[list[str]], directory: str) -> str:
    """What went wrong, or nothing."""
    for command in commands:
        result = subprocess.run(
            ["apt-get", "-qq", *command], cwd=directory, check=False, capture_output=True, text=True, timeout=300
        )
        if result.returncode:
            return (result.stderr or result.stdout).strip() or f"apt-get ended with status {result.returncode}"
    return ""


def keep(program: Path, cache: Path, name: str = "") -> None:
    """Move a program into the cache, where it is either whole or not there."""
    program.chmod(0o755)
    os.replace(program, cache / (name or program.name))
