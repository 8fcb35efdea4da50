# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the checks see of a tree that is being read: the objects behind the protocols of ``subjects``."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .errors import ConfigError
from .files import SoaDir
from .merge import Layer, holder
from .model import KeyPath
from .secrets import SecretFile, SecretRef, references
from .secrets import read as read_secret
from .service import Part, Problems, Service, load_pipeline
from .settings import Settings
from .yamldoc import Document, dotted

LOCATION_TYPES = "location_types.json"


def _at(document: Document, path: KeyPath, rule: str, message: str, hint: str) -> ConfigError:
    line, column = document.position(path)
    return ConfigError(document.file, line, column, dotted(path), message, hint, rule)


class Secrets:
    """The secrets of a tree, each file read when the first instance refers to it, or when all are asked for."""

    def __init__(self, soa: SoaDir, settings: Settings, problems: Problems) -> None:
        self._soa = soa
        self._settings = settings
        self._problems = problems
        self._files: dict[SecretRef, SecretFile | None] = {}
        self._digests: dict[tuple[SecretRef, str], str | None] = {}
        self._broken: set[SecretRef] = set()

    def names(self, service: str) -> list[str]:
        found = self._soa.below(service, "secrets")
        return sorted(name[: -len(".json")] for name in found if name.endswith(".json"))

    def exists(self, ref: SecretRef) -> bool:
        return f"{ref.name}.json" in self._soa.below(ref.service, "secrets")

    def is_broken(self, ref: SecretRef) -> bool:
        """Whether something was found wrong when its file was read; what is right in it has digests all the same."""
        return ref in self._broken

    def digest(self, ref: SecretRef, cluster: str) -> str | None:
        """Of the ciphertext for a cluster's environment; None when there is none that can be read."""
        environment = self._settings.secret_environments.get(cluster, cluster)
        if (ref, environment) not in self._digests:
            if ref not in self._files:
                self._files[ref] = self._read(ref) if self.exists(ref) else None
            found = self._files[ref]
            self._digests[ref, environment] = found.digest(environment) if found else None
        return self._digests[ref, environment]

    def read_all(self, service: str) -> None:
        """Check every secret of a service, whether anything uses it or not."""
        for name in self.names(service):
            self.digest(SecretRef(service, name), "")

    def _read(self, ref: SecretRef) -> SecretFile:
        data, errors = self._soa.read(ref.service, f"secrets/{ref.name}.json")
        found = SecretFile()
        if not errors:
            found, errors = read_secret(ref.file, data)
        if errors:
            self._broken.add(ref)
        self._problems.add(errors, "secret-file")
        return found


class TreeView:
    """Facts across services, and what checks of the whole tree report to."""

    def __init__(self, soa: SoaDir, settings: Settings, problems: Problems) -> None:
        self.services: Collection[str] = soa.services
        self.namespaces: dict[str, Mapping[str, Any]] = {}
        self.settings = settings
        # Of the services that have been read, or are.
        self.pipelines: dict[str, frozenset[str] | None] = {}
        self.documents: dict[str, Document] = {}
        self.secrets = Secrets(soa, settings, problems)
        self._soa = soa
        self._problems = problems
        self._location_types: tuple[str, ...] | None = None

    def pipeline(self, service: str) -> frozenset[str] | None:
        if service not in self.pipelines:
            self.pipelines[service] = load_pipeline(self._soa, service)
        return self.pipelines[service]

    @property
    def location_types(self) -> Sequence[str]:
        """The inventory's, else those of location_types.json (environment_tools), from the largest to the smallest."""
        if self._location_types is None:
            self._location_types = tuple(self.settings.location_types) or self._read_location_types()
        return self._location_types

    def _read_location_types(self) -> tuple[str, ...]:
        if LOCATION_TYPES not in self._soa.top:
            return ()
        data, errors = self._soa.read("", LOCATION_TYPES)
        try:
            value = json.loads(data) if not errors else []
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            self._problems.errors.extend(errors)
            return tuple(value)
        self.error("wrong-type", LOCATION_TYPES, (), "is not a JSON list of location types", "the largest comes first")
        return ()

    def jobs(self, service: str, cluster: str) -> Mapping[str, Mapping[str, Any]]:
        name = f"tron-{cluster}.yaml"
        document = self.documents.get(f"{service}/{name}")
        if document is None:
            # Of a service that is read later, or not at all.
            if not self._soa.has(service, name):
                return {}
            document = self.documents[f"{service}/{name}"] = self._soa.yaml(service, name)
        return {key: job for key, job in document.value.items() if key[:1] != "_" and isinstance(job, dict)}

    def line(self, file: str, path: KeyPath) -> int:
        document = self.documents.get(file)
        return document.position(path)[0] if document else 0

    def error(self, rule: str, file: str, path: KeyPath, message: str, hint: str = "") -> None:
        self._problems.errors.append(self._problem(rule, file, path, message, hint))

    def warn(self, rule: str, file: str, path: KeyPath, message: str, hint: str = "") -> None:
        self._problems.warnings.append(self._problem(rule, file, path, message, hint))

    def _problem(self, rule: str, file: str, path: KeyPath, message: str, hint: str) -> ConfigError:
        return _at(self.documents.get(file) or Document(file), path, rule, message, hint)


class ServiceView:
    """One service as its checks see it."""

    def __init__(
        self,
        service: Service,
        tree: TreeView,
        instance_files: Sequence[tuple[str, str, str]],
        names: Mapping[str, Collection[str]],
    ) -> None:
        self.service = service.name
        self.documents = service
        self.tree = tree
        self.settings = tree.settings
        self.instance_files = instance_files
        self._names = names

    def instances(self, file: str) -> Collection[str]:
        return self._names.get(file, ())

    def error(self, rule: str, file: str, path: KeyPath, message: str, hint: str = "") -> None:
        self.tree.error(rule, self._path(file), path, message, hint)

    def warn(self, rule: str, file: str, path: KeyPath, message: str, hint: str = "") -> None:
        self.tree.warn(rule, self._path(file), path, message, hint)

    def _path(self, file: str) -> str:
        return f"{self.service}/{file}" if file else self.service


class InstanceView:
    """One instance, merged, as its checks see it."""

    __slots__ = (
        "_layers",
        "_part",
        "_problems",
        "_secrets",
        "cluster",
        "config",
        "deploy_group",
        "documents",
        "instance",
        "kind",
        "own",
        "service",
        "settings",
        "tree",
    )

    def __init__(
        self,
        service: Service,
        instance: str,
        cluster: str,
        kind: str,
        *,
        part: Part,
        layers: Sequence[Layer],
        config: Mapping[str, Any],
        tree: TreeView,
        problems: Problems,
    ) -> None:
        self.service = service.name
        self.instance = instance
        self.cluster = cluster
        self.kind = kind
        self.config = config
        self.own: Mapping[str, Any] = part.value
        self.documents = service
        self.deploy_group: str | None = None
        self.tree = tree
        self.settings = tree.settings
        self._layers = layers
        self._part = part
        self._problems = problems
        self._secrets: Sequence[tuple[KeyPath, SecretRef]] | None = None

    @property
    def secrets(self) -> Sequence[tuple[KeyPath, SecretRef]]:
        if self._secrets is None:
            self._secrets = references(self.config, self.service)
        return self._secrets

    def secret_digest(self, ref: SecretRef) -> str | None:
        return self.tree.secrets.digest(ref, self.cluster)

    def secret_exists(self, ref: SecretRef) -> bool:
        return self.tree.secrets.exists(ref)

    def secret_is_broken(self, ref: SecretRef) -> bool:
        return self.tree.secrets.is_broken(ref)

    def secret_names(self, service: str) -> Collection[str]:
        return self.tree.secrets.names(service)

    def error(self, rule: str, path: KeyPath, message: str, hint: str = "") -> None:
        self._problems.errors.append(self._problem(rule, path, message, hint))

    def warn(self, rule: str, path: KeyPath, message: str, hint: str = "") -> None:
        self._problems.warnings.append(self._problem(rule, path, message, hint))

    def _problem(self, rule: str, path: KeyPath, message: str, hint: str) -> ConfigError:
        layer = (holder(self._layers, path) if path else None) or self._part.layer()
        return _at(layer.document, layer.place(path), rule, message, hint)

    def written(self, path: KeyPath) -> bool:
        if holder(self._layers, path):
            return True
        # What did not pass its check is left out of the layers, and still in the document.
        value: Any = self._part.document.value
        for part in (*self._part.path, *path):
            if not isinstance(value, dict) or part not in value:
                return False
            value = value[part]
        return True

    def comment(self, path: KeyPath) -> str:
        layer = holder(self._layers, path)
        return layer.document.comment(layer.place(path)) if layer else ""
