# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The documents of one service, checked against the table of keys, each with what is wrong in it left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import keys
from .errors import ConfigError, nearest
from .files import SoaDir
from .merge import Layer
from .model import KeyPath, Source
from .names import INSTANCE_NAME, NAME_LIMIT, NAMESPACE_NAME, SERVICE_NAME, SOCKET_NAME_LIMIT, is_deploy_group, sanitise
from .shapes import MapOf, Struct, show
from .yamldoc import Document


@dataclass(slots=True)
class Problems:
    """What a load has found so far."""

    errors: list[ConfigError] = field(default_factory=list)
    warnings: list[ConfigError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Part:
    """A mapping inside a document, without the keys that did not pass the check; ``path`` is where it is."""

    document: Document
    path: KeyPath
    value: dict[str, Any]

    def error(self, path: KeyPath, message: str, hint: str = "") -> ConfigError:
        return self.document.error((*self.path, *path), message, hint)

    def layer(self) -> Layer:
        return Layer(
            self.value, lambda path: Source(self.document.file, self.document.position((*self.path, *path))[0])
        )


def checked(document: Document, path: KeyPath, value: Any, struct: Struct | MapOf, problems: Problems) -> Part:
    """Check a mapping; report what is wrong and keep the rest, so that one load finds the later mistakes too."""
    bad: set[str | int] = set()

    def report(where: KeyPath, message: str, hint: str) -> None:
        problems.errors.append(document.error(where, message, hint))
        if len(where) > len(path):
            bad.add(where[len(path)])

    struct.check(value, path, report)
    if not isinstance(value, dict):
        return Part(document, path, {})
    return Part(document, path, {key: item for key, item in value.items() if key not in bad} if bad else value)


@dataclass(slots=True)
class Service:
    """One service's own documents. ``namespaces`` and ``pipeline`` hold only what is valid; pipeline None: no file."""

    name: str
    general: Part
    monitoring: Part
    namespaces: dict[str, Part]
    pipeline: frozenset[str] | None


def load_service(soa: SoaDir, name: str, problems: Problems) -> Service:
    """Read service.yaml, monitoring.yaml, smartstack.yaml and deploy.yaml; a file that is absent is an empty one."""
    if not SERVICE_NAME.fullmatch(name) or len(sanitise(name)) > NAME_LIMIT:
        hint = f"at most {NAME_LIMIT} of letters, digits and inner - and _"
        problems.errors.append(ConfigError(name, 0, 0, "", "is not a valid service name", hint))

    def part(file: str, struct: Struct) -> Part:
        if not soa.has(name, file):
            return Part(Document(f"{name}/{file}"), (), {})
        document = _document(soa, name, file, problems)
        if document.errors and not document.value:
            return Part(document, (), {})
        return checked(document, (), _without_templates(document, problems), struct, problems)

    general = part("service.yaml", keys.SERVICE)
    _warn_unknown(general, problems)
    if soa.has(name, "service.yaml") and not soa.has(name, "monitoring.yaml"):
        hint = "write one with a team, or nobody is told of problems"
        problems.warnings.append(ConfigError(f"{name}/monitoring.yaml", 0, 0, "", "is missing", hint))
    return Service(
        name,
        general,
        part("monitoring.yaml", keys.MONITORING),
        load_namespaces(soa, name, problems),
        _pipeline(part("deploy.yaml", keys.DEPLOY), problems) if soa.has(name, "deploy.yaml") else None,
    )


def _document(soa: SoaDir, service: str, file: str, problems: Problems) -> Document:
    document = soa.yaml(service, file)
    problems.errors.extend(document.errors)
    return document


def _without_templates(document: Document, problems: Problems) -> dict[str, Any]:
    """The document without its ``_`` keys, which must be mappings and mean nothing by themselves."""
    names = [name for name in document.value if name.startswith("_")]
    for name in names:
        checked(document, (name,), document.value[name], keys.TEMPLATE, problems)
    return {name: value for name, value in document.value.items() if name not in names} if names else document.value


def _warn_unknown(general: Part, problems: Problems) -> None:
    """PaaSTA allows any key in service.yaml, and it means nothing: most often it is a typo."""
    for name, value in general.value.items():
        if name not in keys.SERVICE.by_name:
            match = nearest(name, keys.SERVICE.by_name)
            hint = f"did you mean {match}?" if match else "it has no effect"
            problems.warnings.append(general.error((name,), f"unknown key (value {show(value)})", hint))


def load_namespaces(soa: SoaDir, service: str, problems: Problems) -> dict[str, Part]:
    """The namespaces of smartstack.yaml by name; none when there is no such file."""
    if not soa.has(service, "smartstack.yaml"):
        return {}
    document = _document(soa, service, "smartstack.yaml", problems)
    namespaces = {}
    for name, value in _without_templates(document, problems).items():
        part = checked(document, (name,), value, keys.NAMESPACE, problems)
        if not NAMESPACE_NAME.fullmatch(name):
            problems.errors.append(part.error((), "is not a valid namespace name", "use letters, digits, - and _"))
        elif len(service) + len(name) > SOCKET_NAME_LIMIT:
            message = f"service and namespace name are longer than {SOCKET_NAME_LIMIT} characters together"
            problems.errors.append(part.error((), message))
        advertise = part.value.get("advertise", keys.default(keys.NAMESPACE, "advertise"))
        discover = part.value.get("discover", keys.default(keys.NAMESPACE, "discover"))
        if discover not in advertise:
            key: KeyPath = ("discover",) if "discover" in part.value else ("advertise",)
            message = f"discover is {discover}, which is not in advertise ({', '.join(advertise)})"
            problems.errors.append(part.error(key, message))
        namespaces[name] = part
    return namespaces


def load_pipeline(soa: SoaDir, service: str) -> frozenset[str] | None:
    """The deploy groups of deploy.yaml, whatever else is wrong in it; None when there is no such file."""
    if not soa.has(service, "deploy.yaml"):
        return None
    document = soa.yaml(service, "deploy.yaml")
    return _pipeline(Part(document, (), document.value), Problems())


def _pipeline(deploy: Part, problems: Problems) -> frozenset[str] | None:
    """The deploy groups of a pipeline; None when it could not be read, for then nothing can be missing from it."""
    entries = deploy.value.get("pipeline")
    # An unreadable entry takes the whole list out of the part, though its other groups are as good as ever.
    if entries is None:
        entries = deploy.document.value.get("pipeline")
    if not isinstance(entries, list):
        return None
    groups: set[str] = set()
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            continue
        if "parallel" not in entry and "step" not in entry:
            path: KeyPath = ("pipeline", index)
            problems.errors.append(deploy.error(path, "step is missing", "it must be a deploy group, or use parallel"))
        parallel = entry.get("parallel")
        for step in [entry, *(parallel if isinstance(parallel, list) else [])]:
            group = step.get("step") if isinstance(step, dict) else None
            if isinstance(group, str) and is_deploy_group(group):
                groups.add(group)
    return frozenset(groups)


def load_instances(
    soa: SoaDir, service: str, instance_type: str, file: str, problems: Problems
) -> tuple[Document, dict[str, Part]]:
    """The instances of one ``<type>-<cluster>.yaml`` by name, templates left out."""
    document = _document(soa, service, file, problems)
    parts: dict[str, Part] = {}
    for name, value in _without_templates(document, problems).items():
        part = checked(document, (name,), value, keys.INSTANCE[instance_type], problems)
        if not INSTANCE_NAME.fullmatch(name):
            hint = "use a-z, 0-9 and inner - and _"
            problems.errors.append(part.error((), f"{show(name)} is not a valid instance name", hint))
        elif len(full := f"{sanitise(service)}-{sanitise(name)}") > NAME_LIMIT:
            message = f"{full} has {len(full)} characters, the limit for service and instance is {NAME_LIMIT}"
            problems.errors.append(part.error((), message, "shorten the instance name"))
        parts[name] = part
    return document, parts


def load_autotuned(soa: SoaDir, service: str, instance_type: str, file: str, problems: Problems) -> dict[str, Part]:
    """``autotuned_defaults/<type>-<cluster>.yaml`` by instance; empty when there is none."""
    path = f"autotuned_defaults/{file}"
    if not soa.has(service, "autotuned_defaults") or not soa.exists(service, path):
        return {}
    document = _document(soa, service, path, problems)
    struct = keys.AUTOTUNED[instance_type]
    return {name: checked(document, (name,), value, struct, problems) for name, value in document.value.items()}
