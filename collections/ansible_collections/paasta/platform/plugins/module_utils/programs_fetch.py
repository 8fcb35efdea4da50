# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Download files that have a known digest, several at a time, and take programs out of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import time
import urllib.error
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

AT_ONCE = 4
ATTEMPTS = 3
ARCHIVES = (".tar.gz", ".tgz")


class Refused(Exception):
    """A program cannot be had, or is not what it should be; nothing was installed."""


def download(wanted: Mapping[tuple[str, str], str], directory: str, timeout: float) -> dict[tuple[str, str], str]:
    """(URL, "algorithm:digest") -> file below the directory, checked. ``wanted`` names the programs of each.

    Raises Refused with the troubles of all.
    """
    files = {key: os.path.join(directory, str(number)) for number, key in enumerate(wanted)}

    def one(key: tuple[str, str]) -> str:
        try:
            _fetch(key[0], key[1], files[key], timeout)
        except Refused as trouble:
            return f"{wanted[key]}: {trouble}"
        return ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        troubles = [trouble for trouble in pool.map(one, wanted) if trouble]
    if troubles:
        raise Refused("\n".join([*troubles, "Nothing was installed."]))
    return files


def _fetch(url: str, checksum: str, file: str, timeout: float) -> None:
    algorithm, _colon, expected = checksum.partition(":")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            found = _read(url, file, algorithm, timeout)
            break
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 or attempt == ATTEMPTS:
                raise Refused(
                    f"{url} answers {error.code} {error.reason}. Correct the address, or use a mirror"
                ) from None
        except Exception as error:  # open_url lets through whatever ssl, http.client and socket raise
            if attempt == ATTEMPTS:
                raise Refused(
                    f"{url} cannot be downloaded ({error}). Try again, or use a mirror or a directory of the controller"
                ) from error
        time.sleep(attempt)
    if found != expected.lower():
        raise Refused(
            f"{url} has the {algorithm} {found}, expected {expected}. If this is the file you want, correct the "
            "checksum; if not, do not use this source"
        )


def _read(url: str, file: str, algorithm: str, timeout: float) -> str:
    """Write what the URL gives to the file; its digest."""
    from ansible.module_utils.urls import open_url  # only a host that lacks something pays for the import

    digest = hashlib.new(algorithm)
    with open_url(url, timeout=timeout, http_agent="paasta", use_netrc=False) as answer, open(file, "wb") as out:
        length = answer.headers.get("Content-Length")
        while block := answer.read(1 << 20):
            digest.update(block)
            out.write(block)
        if length is not None and out.tell() != int(length):
            raise OSError(f"the connection ended after {out.tell()} of {length} bytes")
    return digest.hexdigest()


def unpack(url: str, file: str, targets: Mapping[str, str]) -> dict[str, str]:
    """Write members of the archive (``""``: the file itself) to the targets' paths; member -> sha256.

    Raises Refused if the archive lacks one or is none.
    """
    if set(targets) == {""}:
        with open(file, "rb") as source:
            return {"": _write(source, targets[""])}
    if "" in targets or not url.endswith(ARCHIVES):
        raise Refused(f"{url}: has a member only as one of {', '.join(ARCHIVES)}, and then all its programs have one")
    digests: dict[str, str] = {}
    names: list[str] = []
    try:
        # As a stream, and no further than needed: a release has a gigabyte behind what is wanted.
        with tarfile.open(file, "r|gz") as archive:
            for member in archive:
                names.append(member.name)
                stream = archive.extractfile(member) if member.name in targets and member.isreg() else None
                if stream is not None:
                    digests[member.name] = _write(stream, targets[member.name])  # type: ignore[arg-type]
                if len(digests) == len(targets):
                    return digests
    except (tarfile.TarError, EOFError) as error:
        raise Refused(f"{url} is no archive that can be read ({error}). Nothing was installed") from error
    lacking = ", ".join(name for name in targets if name not in digests)
    raise Refused(f"{url} has no {lacking}, only {', '.join(names[:20])}. Nothing was installed: correct member")


def _write(source: BinaryIO, target: str) -> str:
    with open(target, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    digest = hashlib.sha256()
    with open(target, "rb") as written:
        while block := written.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
