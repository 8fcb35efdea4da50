# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The layout of a soa-configs directory: which files there are, read once each."""

from __future__ import annotations

import os
from collections.abc import Iterable

from .errors import ConfigError, InvalidConfigs
from .keys import INSTANCE_TYPES
from .yamldoc import YAML_MISSING, Document, parse

# PaaSTA: utils.INSTANCE_TYPES and those of its history. Instances of the types that are not in the table of keys are
# only looked at for their names and deploy groups.
FOREIGN_TYPES = frozenset(
    [
        "marathon",
        "chronos",
        "paasta_native",
        "flink",
        "flinkeks",
        "cassandracluster",
        "cassandraclustereks",
        "kafkacluster",
        "monkrelays",
        "nrtsearchservice",
        "nrtsearchserviceeks",
    ]
)


def read_bytes(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


class SoaDir:
    """A soa-configs directory. Paths in messages are relative to it; InvalidConfigs when it cannot be listed."""

    def __init__(self, root: str) -> None:
        self.root = root
        if YAML_MISSING:
            raise InvalidConfigs([ConfigError(root, 0, 0, "", f"cannot be read without PyYAML: {YAML_MISSING}")])
        self.errors: list[ConfigError] = []  # directories that could not be listed: nothing in them may seem absent
        try:
            # PaaSTA keeps shared secrets in _shared; dot directories are not services either.
            names = [name for name in os.listdir(root) if name[0] not in "._" and os.path.isdir(f"{root}/{name}")]
        except OSError as error:
            message = f"is not a readable soa-configs directory: {error.strerror}"
            raise InvalidConfigs([ConfigError(root, 0, 0, "", message, "set paasta_soa_dir")]) from error
        self.services: tuple[str, ...] = tuple(sorted(names))
        self._files: dict[str, frozenset[str]] = {}

    def files(self, service: str) -> frozenset[str]:
        """The names in a service's directory; none, and an error, when it cannot be listed."""
        if service not in self._files:
            try:
                self._files[service] = frozenset(os.listdir(os.path.join(self.root, service)))
            except OSError as error:
                self._files[service] = frozenset()
                self.errors.append(ConfigError(service, 0, 0, "", f"cannot be listed: {error.strerror}"))
        return self._files[service]

    def has(self, service: str, name: str) -> bool:
        return name in self.files(service)

    def exists(self, service: str, path: str) -> bool:
        """Whether a file deeper in a service's directory exists."""
        return os.path.exists(os.path.join(self.root, service, path))

    def read(self, service: str, name: str) -> tuple[bytes, list[ConfigError]]:
        """A file's bytes, or none and the error."""
        try:
            return read_bytes(os.path.join(self.root, service, name)), []
        except OSError as error:
            return b"", [ConfigError(f"{service}/{name}", 0, 0, "", f"cannot be read: {error.strerror}")]

    def yaml(self, service: str, name: str) -> Document:
        data, errors = self.read(service, name)
        if errors:
            return Document(f"{service}/{name}", errors=errors)
        return parse(f"{service}/{name}", data)

    def instance_files(self, service: str, types: Iterable[str] = INSTANCE_TYPES) -> list[tuple[str, str, str]]:
        """``(type, cluster, file name)`` of every ``<type>-<cluster>.yaml``, sorted."""
        known = frozenset(types)
        found = []
        for name in self.files(service):
            kind, dash, rest = name.partition("-")
            if dash and kind in known and rest.endswith(".yaml") and rest != ".yaml":
                found.append((kind, rest[: -len(".yaml")], name))
        return sorted(found)
