# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The layout of a soa-configs directory: which files there are, read once each."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable

from .errors import ConfigError, InvalidConfigs
from .keys import ALL_INSTANCE_TYPES, RETIRED_TYPES
from .yamldoc import YAML_MISSING, Document, parse

# What instance files may begin with: the types of the table of keys, and those that nothing runs any more.
FILE_TYPES = ALL_INSTANCE_TYPES | frozenset(RETIRED_TYPES)
UNREADABLE = "unreadable-file"  # rules.RULES
# PaaSTA: where secrets are that several services use; no service, like every name that begins with _ or a dot.
SHARED = "_shared"
TRON = "tron"  # no service either, but where the configurations of Tron's masters are
SUBDIRECTORIES = ("autotuned_defaults", "secrets")
# Nothing that a person writes is as long; a file that is must not fill the controller's memory.
MAX_FILE_BYTES = 64 * 1024 * 1024


_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 64 * 1024


def read_bytes(path: str) -> bytes:
    """The bytes of a regular file; OSError for anything else (reading a pipe would wait for its writer)."""
    descriptor = os.open(path, _FLAGS)
    try:
        data = os.read(descriptor, _CHUNK)
        # Most files are shorter; a read of a file that returns less has reached its end.
        return data if 0 < len(data) < _CHUNK else data + _rest(descriptor)
    finally:
        os.close(descriptor)


def _rest(descriptor: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a file")
    parts = []
    size = _CHUNK
    while part := os.read(descriptor, 1024 * 1024):
        size += len(part)
        if size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, f"has more than {MAX_FILE_BYTES // 1024**2} MiB")
        parts.append(part)
    return b"".join(parts)


class SoaDir:
    """A soa-configs directory. Paths in messages are relative to it; InvalidConfigs when it cannot be listed.

    Every directory is listed and every file read once, so whatever is made of a file is made of the same bytes.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        if YAML_MISSING:
            raise InvalidConfigs([ConfigError(root, 0, 0, "", f"cannot be read without PyYAML: {YAML_MISSING}")])
        self.errors: list[ConfigError] = []  # directories that could not be listed: nothing in them may seem absent
        try:
            with os.scandir(root) as entries:
                found = {entry.name: entry.is_dir() for entry in entries}
        except OSError as error:
            message = f"is not a readable soa-configs directory: {error.strerror}"
            raise InvalidConfigs([ConfigError(root, 0, 0, "", message, "set paasta_soa_dir", "soa-dir")]) from error
        self.services: tuple[str, ...] = tuple(sorted(n for n, is_dir in found.items() if is_dir and n[0] not in "._"))
        self.top: frozenset[str] = frozenset(name for name, is_dir in found.items() if not is_dir)
        self.shared = found.get(SHARED, False)
        self._files: dict[str, frozenset[str]] = {}
        self._read: dict[str, bytes | OSError] = {}
        self._asked: set[str] = set()

    def files(self, directory: str) -> frozenset[str]:
        """The names in a service's directory; none, and an error, when it cannot be listed."""
        names = self._files.get(directory)
        if names is None:
            try:
                names = frozenset(os.listdir(f"{self.root}/{directory}"))
            except OSError as error:
                names = frozenset()
                self.errors.append(
                    ConfigError(directory, 0, 0, "", f"cannot be listed: {error.strerror}", rule=UNREADABLE)
                )
            self._files[directory] = names
        return names

    def has(self, service: str, name: str) -> bool:
        return name in self.files(service)

    def below(self, service: str, subdirectory: str) -> frozenset[str]:
        """The names in a directory of a service's directory; none when it does not exist."""
        if service == SHARED and not self.shared:
            return frozenset()
        return self.files(f"{service}/{subdirectory}") if subdirectory in self.files(service) else frozenset()

    def exists(self, service: str, path: str) -> bool:
        """Whether a file deeper in a service's directory exists."""
        subdirectory, _slash, name = path.rpartition("/")
        return name in (self.below(service, subdirectory) if subdirectory else self.files(service))

    def read(self, service: str, name: str) -> tuple[bytes, list[ConfigError]]:
        """A file's bytes, or none and the error. ``service`` is empty for a file of the root."""
        path = f"{service}/{name}" if service else name
        self._asked.add(path)
        data = self._read.get(path)
        if data is None:
            data = self._read[path] = self._bytes(path)
        if isinstance(data, bytes):
            return data, []
        return b"", [ConfigError(path, 0, 0, "", f"cannot be read: {data.strerror}", rule=UNREADABLE)]

    @property
    def files_parsed(self) -> int:
        """How many files somebody looked into; those that only took part in the digest do not count."""
        return len(self._asked)

    def _bytes(self, path: str) -> bytes | OSError:
        try:
            return read_bytes(f"{self.root}/{path}")
        except OSError as error:
            return error

    def yaml(self, service: str, name: str) -> Document:
        path = f"{service}/{name}" if service else name
        data, errors = self.read(service, name)
        return Document(path, errors=errors) if errors else parse(path, data)

    def digest(self, wanted: Callable[[str], bool]) -> str:
        """Read every file that ``wanted(name)`` names; a digest of them, and of the names of all others."""
        total = hashlib.blake2b(digest_size=32)
        for directory in (*self.services, *([SHARED] if self.shared else []), ""):
            names = sorted(self.files(directory) if directory else self.top)
            if directory:
                for subdirectory in SUBDIRECTORIES:
                    if subdirectory in names:
                        names += [f"{subdirectory}/{name}" for name in sorted(self.below(directory, subdirectory))]
                if directory == TRON:
                    names += [f"{cluster}/MASTER.yaml" for cluster in self.tron_clusters()]
            contents = [self._digested(directory, name) if wanted(name) else None for name in names]
            # Lengths first, so that no two trees give the same sequence of bytes.
            lengths = [-1 if data is None else len(data) for data in contents]
            header = repr((directory, names, lengths)).encode("utf-8", "surrogateescape")
            total.update(b"%d:%b%b" % (len(header), header, b"".join([data for data in contents if data])))
        return total.hexdigest()

    def _digested(self, directory: str, name: str) -> bytes:
        path = f"{directory}/{name}" if directory else name
        data = self._read[path] = self._bytes(path)
        return data if isinstance(data, bytes) else repr(data).encode()

    def tron_clusters(self) -> list[str]:
        """The clusters that have a ``tron/<cluster>/MASTER.yaml``, sorted."""
        if TRON not in self.services:
            return []
        directories = sorted(name for name in self.files(TRON) if os.path.isdir(f"{self.root}/{TRON}/{name}"))
        return [name for name in directories if "MASTER.yaml" in self.files(f"{TRON}/{name}")]

    def instance_files(self, service: str, types: frozenset[str] = FILE_TYPES) -> list[tuple[str, str, str]]:
        """``(type, cluster, file name)`` of every ``<type>-<cluster>.yaml``, sorted."""
        found = []
        for name in self.files(service):
            if name[-5:] == ".yaml":
                kind, _dash, cluster = name[:-5].partition("-")
                if cluster and kind in types:
                    found.append((kind, cluster, name))
        found.sort()
        return found

    def cluster_files(self, service: str, prefix: str) -> list[tuple[str, str]]:
        """``(cluster, file name)`` of every ``<prefix>-<cluster>.yaml``, sorted."""
        start = f"{prefix}-"
        names = sorted(name for name in self.files(service) if name.startswith(start) and name.endswith(".yaml"))
        return [(name[len(start) : -5], name) for name in names if len(name) > len(start) + 5]
