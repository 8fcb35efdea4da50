# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The documents of one service, checked against the table of keys, each with what is wrong in it left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from . import keys
from .errors import ConfigError, nearest
from .files import SoaDir
from .merge import Layer
from .model import KeyPath
from .names import is_deploy_group
from .predicates import predicate
from .shapes import MapOf, Struct, oddities, unknown_key
from .yamldoc import Document

# The documents of a service that are one mapping of fixed keys, by file name.
_DOCUMENTS = {
    f"{name}.yaml": keys.DOCUMENTS[name].shape
    for name in ("service", "monitoring", "deploy", "dependencies", "authorization")
}
_ROLLBACK = keys.DOCUMENTS["rollback"].shape


class Problems:
    """What a load has found so far."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self.warnings: list[ConfigError] = []

    def add(self, errors: Iterable[ConfigError], rule: str) -> None:
        """Errors of a reader that knows no rules."""
        self.errors.extend(error if error.rule else replace(error, rule=rule) for error in errors)


class Part:
    """A mapping inside a document, without the keys that did not pass the check; ``path`` is where it is."""

    __slots__ = ("document", "path", "value")

    def __init__(self, document: Document, path: KeyPath, value: dict[str, Any]) -> None:
        self.document = document
        self.path = path
        self.value = value

    def error(self, path: KeyPath, message: str, hint: str = "", rule: str = "") -> ConfigError:
        return self.document.error((*self.path, *path), message, hint, rule)

    def layer(self) -> Layer:
        return Layer(self.document, self.path, (), self.value)


def checked(document: Document, path: KeyPath, value: Any, struct: Struct | MapOf, problems: Problems) -> Part:
    """Check a mapping; report what is wrong and keep the rest, so that one load finds the later mistakes too."""
    if predicate(struct)(value):
        return Part(document, path, value)
    bad: set[str | int] = set()

    def report(where: KeyPath, message: str, hint: str) -> None:
        problems.errors.append(document.error(where, message, hint, _rule(message)))
        if len(where) > len(path):
            bad.add(where[len(path)])

    struct.check(value, path, report)
    for where, message, hint in oddities(struct, value, path):
        problems.warnings.append(document.error(where, message, hint, "odd-key"))
    if not isinstance(value, dict):
        return Part(document, path, {})
    return Part(document, path, {key: item for key, item in value.items() if key not in bad})


def _rule(message: str) -> str:
    """The id of the rule that a shape's message is about (rules.RULES)."""
    if message.startswith("unknown key"):
        return "unknown-key"
    if message.startswith("is not a key of"):
        return "misplaced-key"
    return "missing-key" if message.endswith("is missing") or message.startswith("needs ") else "wrong-type"


class Service:
    """One service's own documents (subjects.Documents). ``parts`` has those that exist by file name, and the part of
    an empty document for the others; ``pipeline`` is None when there is no deploy.yaml, or none can be made out.
    """

    def __init__(self, name: str, files: frozenset[str]) -> None:
        self.name = name
        self.files = files
        self.parts: dict[str, Part] = {}
        self.namespace_parts: dict[str, Part] = {}
        self.rollback_parts: dict[str, Part] = {}
        self.pipeline: frozenset[str] | None = None

    def part(self, file: str) -> Part:
        return self.parts.get(file) or Part(Document(f"{self.name}/{file}"), (), {})

    def _mapping(self, file: str) -> Mapping[str, Any] | None:
        part = self.parts.get(file)
        return part.value if part else None

    @property
    def general(self) -> Mapping[str, Any] | None:
        return self._mapping("service.yaml")

    @property
    def monitoring(self) -> Mapping[str, Any] | None:
        return self._mapping("monitoring.yaml")

    @property
    def deploy(self) -> Mapping[str, Any] | None:
        return self._mapping("deploy.yaml")

    @property
    def dependencies(self) -> Mapping[str, Any] | None:
        return self._mapping("dependencies.yaml")

    @property
    def authorization(self) -> Mapping[str, Any] | None:
        return self._mapping("authorization.yaml")

    @cached_property
    def namespaces(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: part.value for name, part in self.namespace_parts.items()}

    @property
    def rollbacks(self) -> Mapping[str, Mapping[str, Any]]:
        return {cluster: part.value for cluster, part in self.rollback_parts.items()}


def load_service(soa: SoaDir, name: str, namespaces: dict[str, Part], problems: Problems) -> Service:
    """Read the documents of a service that are of no cluster, and its rollbacks; a file that is absent is empty."""
    service = Service(name, soa.files(name))
    service.namespace_parts = namespaces
    for file, shape in _DOCUMENTS.items():
        if file in service.files:
            service.parts[file] = _part(soa, name, file, shape, problems)
    _warn_unknown(service.part("service.yaml"), problems)
    for cluster, file in soa.cluster_files(name, "rollback"):
        service.rollback_parts[cluster] = _part(soa, name, file, _ROLLBACK, problems)
    if "deploy.yaml" in service.files:
        service.pipeline = _pipeline(service.parts["deploy.yaml"])
    return service


def _part(soa: SoaDir, service: str, file: str, struct: Struct | MapOf, problems: Problems) -> Part:
    document = _document(soa, service, file, problems)
    if document.errors and not document.value:
        return Part(document, (), {})
    return checked(document, (), _without_templates(document, problems), struct, problems)


def _document(soa: SoaDir, service: str, file: str, problems: Problems) -> Document:
    document = soa.yaml(service, file)
    problems.errors.extend(document.errors)
    return document


def _without_templates(document: Document, problems: Problems) -> dict[str, Any]:
    """The document without its ``_`` keys, which must be mappings and mean nothing by themselves."""
    value = document.value
    names = [name for name in value if name[:1] == "_"]
    if not names:
        return value
    for name in names:
        checked(document, (name,), value[name], keys.TEMPLATE, problems)
    return {name: item for name, item in value.items() if name not in names}


def _warn_unknown(general: Part, problems: Problems) -> None:
    """PaaSTA allows any key in service.yaml, and it means nothing: most often it is a typo."""
    for name, value in general.value.items():
        if name not in keys.SERVICE.by_name:
            match = nearest(name, keys.SERVICE.by_name)
            hint = f"did you mean {match}?" if match else "it has no effect"
            problems.warnings.append(general.error((name,), unknown_key(value), hint, "unknown-service-key"))


def load_namespaces(soa: SoaDir, service: str, problems: Problems) -> dict[str, Part]:
    """The namespaces of smartstack.yaml by name; none when there is no such file."""
    if not soa.has(service, "smartstack.yaml"):
        return {}
    document = _document(soa, service, "smartstack.yaml", problems)
    return {
        name: checked(document, (name,), value, keys.NAMESPACE, problems)
        for name, value in _without_templates(document, problems).items()
    }


def load_pipeline(soa: SoaDir, service: str) -> frozenset[str] | None:
    """The deploy groups of deploy.yaml, whatever else is wrong in it; None when there is no such file."""
    if not soa.has(service, "deploy.yaml"):
        return None
    document = soa.yaml(service, "deploy.yaml")
    return _pipeline(Part(document, (), document.value))


def _pipeline(deploy: Part) -> frozenset[str] | None:
    """The deploy groups of a pipeline; None when it could not be read, for then nothing can be missing from it."""
    entries = deploy.value.get("pipeline")
    # An unreadable entry takes the whole list out of the part, though its other groups are as good as ever.
    if entries is None:
        entries = deploy.document.value.get("pipeline")
    if not isinstance(entries, list):
        return None
    groups: set[str] = set()
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        parallel = entry.get("parallel")
        for step in [entry, *(parallel if isinstance(parallel, list) else [])]:
            group = step.get("step") if isinstance(step, dict) else None
            if isinstance(group, str) and is_deploy_group(group):
                groups.add(group)
    return frozenset(groups)


def load_instances(
    soa: SoaDir, service: str, struct: Struct, file: str, problems: Problems
) -> tuple[Document, dict[str, Part]]:
    """The instances (jobs, custom resources) of one ``<type>-<cluster>.yaml`` by name, templates left out.

    One that is no mapping is reported and left out, too: it says nothing that could be checked any further.
    """
    document = _document(soa, service, file, problems)
    values = _without_templates(document, problems)
    parts = {name: checked(document, (name,), value, struct, problems) for name, value in values.items()}
    return document, {name: part for name, part in parts.items() if isinstance(values[name], dict)}


def load_autotuned(soa: SoaDir, service: str, instance_type: str, file: str, problems: Problems) -> dict[str, Part]:
    """``autotuned_defaults/<type>-<cluster>.yaml`` by instance; empty when there is none."""
    path = f"autotuned_defaults/{file}"
    if instance_type not in keys.AUTOTUNED or not soa.exists(service, path):
        return {}
    document = _document(soa, service, path, problems)
    struct = keys.AUTOTUNED[instance_type]
    return {name: checked(document, (name,), value, struct, problems) for name, value in document.value.items()}
