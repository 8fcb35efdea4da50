# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The directory of a host's keys and certificates: text files that are replaced as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from .. import host_files

_PUBLIC, _PRIVATE = 0o644, 0o600

# Bytes that are no text are kept; whoever makes a certificate of them gets a ValueError.
_TEXT = {"encoding": "utf-8", "errors": "surrogateescape"}


class Store:
    """Files below a directory, by their name there. Keys are readable by their owner only.

    :ivar owner: user and group of what is written; root on hosts, whoever runs Ansible on the controller.
    """

    def __init__(self, directory: str, owner: tuple[str, str]) -> None:
        self._directory = Path(directory)
        self.owner = owner

    def path(self, name: str) -> str:
        return str(self._directory / name)

    def read(self, name: str) -> str:
        """A file's text; empty if there is none. Raises OSError."""
        with suppress(FileNotFoundError):
            return (self._directory / name).read_text(**_TEXT)
        return ""

    def write(self, name: str, text: str) -> None:
        """Replace a file; whoever reads it sees the old or the new one. Raises OSError."""
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for change in host_files.changes([self._wanted(name, text)]):
            host_files.write(change)

    def exposed(self, names: Iterable[str]) -> list[str]:
        """Those of the files that somebody else may read, or owns. Raises OSError."""
        found = {name: text for name in names if (text := self.read(name))}
        return [name for name, text in found.items() if host_files.changes([self._wanted(name, text)])]

    def move(self, name: str, to: str) -> None:
        os.replace(self._directory / name, self._directory / to)

    def remove(self, name: str) -> None:
        (self._directory / name).unlink(missing_ok=True)

    def certificates(self) -> Iterator[tuple[str, str]]:
        """Every certificate: path and text."""
        for path in sorted(self._directory.rglob("*.crt")):
            yield str(path), path.read_text(**_TEXT)

    def _wanted(self, name: str, text: str) -> host_files.Wanted:
        mode = _PUBLIC if name.endswith((".crt", ".pub")) else _PRIVATE
        return host_files.Wanted(self.path(name), text, *self.owner, mode, absent=False)
