# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Walk a soa-configs directory once: parse, merge, check, and hand what is right to the clusters' assemblies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import build, checks, deployments, jobs, keys, records
from .assembly import Assembly
from .configs import Configs
from .errors import ConfigError, did_you_mean
from .files import FILE_TYPES, SoaDir
from .merge import Layer, merge_layers
from .model import Namespace, Version
from .names import expand_deploy_group
from .service import (
    Part,
    Problems,
    Service,
    checked,
    load_autotuned,
    load_instances,
    load_namespaces,
    load_service,
)
from .settings import Settings
from .shapes import Struct, show
from .views import InstanceView, ServiceView, TreeView


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tree says, by cluster, and what is wrong with it; sorted by place. The others count what was read."""

    configs: Configs
    errors: tuple[ConfigError, ...]
    warnings: tuple[ConfigError, ...]
    services: int
    files: int
    instances: int


class Reader:
    """The state of one reading. ``clusters``, ``wanted`` services and ``types`` are its bounds; None is all."""

    def __init__(
        self,
        soa: SoaDir,
        settings: Settings,
        clusters: tuple[str, ...] | None,
        wanted: tuple[str, ...] | None,
        types: tuple[str, ...] | None,
    ) -> None:
        self.soa = soa
        self.settings = settings
        self.clusters = frozenset(clusters) if clusters is not None else None
        self.wanted = wanted
        self.problems = Problems()
        self.custom = self._custom_types()
        self.file_types = FILE_TYPES | frozenset(self.custom)
        self.types = frozenset(types) if types is not None else keys.ALL_INSTANCE_TYPES | frozenset(self.custom)
        self.tree = TreeView(soa, settings, self.problems)
        self.namespaces: dict[str, Namespace] = {}
        self.records: dict[str, deployments.Deployments] = {}
        self.assemblies: dict[str, Assembly] = {}
        self.services = self.count = 0
        for cluster in clusters or ():
            self._assembly(cluster)

    def read(self) -> Reading:
        files = {name: self._instance_files(name) for name in self.soa.services}
        self._check_bounds({cluster for found in files.values() for _kind, cluster, _file in found})
        if self.clusters is not None:
            files = {name: [file for file in found if file[1] in self.clusters] for name, found in files.items()}
        chosen = {name for name in self.soa.services if self._is_chosen(name, files[name])}
        self.services = len(chosen)
        # Instances register in namespaces of any service, so these come first.
        parts = {name: self._read_namespaces(name) for name in self.soa.services}
        for name in self.soa.services:
            if name in chosen:
                self._read_service(name, files[name], parts[name])
            else:
                self._check_namespaces(name, parts[name])
        self._read_tron_masters()
        authenticating = self._read_authenticating()
        for check in checks.TREE_CHECKS:
            check(self.tree)
        self.problems.errors.extend(self.soa.errors)
        return self._reading(authenticating)

    def _reading(self, authenticating: tuple[str, ...]) -> Reading:
        namespaces = tuple(self.namespaces[name] for name in sorted(self.namespaces))
        warnings = _sorted(self.problems.warnings)
        configs = {name: found.config(namespaces, authenticating, warnings) for name, found in self.assemblies.items()}
        return Reading(
            configs=Configs(configs, namespaces),
            errors=_sorted(self.problems.errors),
            warnings=warnings,
            services=self.services,
            files=self.soa.files_parsed,
            instances=self.count,
        )

    def _assembly(self, cluster: str) -> Assembly:
        found = self.assemblies.get(cluster)
        if found is None:
            found = self.assemblies[cluster] = Assembly(cluster, self.tree.secrets, self._version)
        return found

    def _version(self, service: str, deploy_group: str) -> Version | None:
        """What is marked for a deploy group of any service: Tron's actions may run another one's code."""
        return self._deployments(service).versions.get(deploy_group)

    # what to read

    def _custom_types(self) -> dict[str, keys.CustomType]:
        try:
            known = keys.ALL_INSTANCE_TYPES - frozenset(keys.CUSTOM_TYPES)
            return keys.custom_types(self.settings.custom_resource_types, known)
        except ValueError as error:
            self.problems.errors.append(ConfigError("", 0, 0, "", str(error)))
            return dict(keys.CUSTOM_TYPES)

    def _instance_files(self, service: str) -> list[tuple[str, str, str]]:
        return self.soa.instance_files(service, self.file_types)

    def _is_chosen(self, name: str, files: list[tuple[str, str, str]]) -> bool:
        if self.wanted is not None and name not in self.wanted:
            return False
        return bool(files) if self.clusters is not None else any(n.endswith(".yaml") for n in self.soa.files(name))

    def _check_bounds(self, found: set[str]) -> None:
        known = keys.ALL_INSTANCE_TYPES | frozenset(self.custom)
        for name in sorted(self.types - known):
            hint = did_you_mean(name, known)
            self.problems.errors.append(ConfigError("", 0, 0, "", f"{show(name)} is not a known instance type", hint))
        for name in sorted(set(self.wanted or ()) - set(self.soa.services)):
            hint = did_you_mean(name, self.soa.services)
            self.problems.errors.append(ConfigError(name, 0, 0, "", "is not a service of this tree", hint, "soa-dir"))
        for cluster in sorted((self.clusters or frozenset()) - found):
            message = f"no service has an instance file for cluster {cluster}"
            hint = did_you_mean(cluster, found)
            self.problems.warnings.append(ConfigError(self.soa.root, 0, 0, "", message, hint, "no-instances"))

    # namespaces and whole services

    def _read_namespaces(self, name: str) -> dict[str, Part]:
        parts = load_namespaces(self.soa, name, self.problems)
        for part in parts.values():
            namespace = build.namespace(name, str(part.path[-1]), part.value)
            self.namespaces[namespace.id] = namespace
            self.tree.namespaces[namespace.id] = part.value
            self.tree.documents[part.document.file] = part.document
        return parts

    def _check_namespaces(self, name: str, parts: dict[str, Part]) -> None:
        """Of a service of which nothing else is read."""
        service = Service(name, self.soa.files(name))
        service.namespace_parts = parts
        self._check_service(service, checks.MESH_CHECKS, (), {})

    def _check_service(
        self,
        service: Service,
        of_service: Iterable[Callable[[ServiceView], None]],
        files: Sequence[tuple[str, str, str]],
        names: Mapping[str, Collection[str]],
    ) -> None:
        view = ServiceView(service, self.tree, files, names)
        for check in of_service:
            check(view)

    def _read_service(self, name: str, files: list[tuple[str, str, str]], namespaces: dict[str, Part]) -> None:
        service = load_service(self.soa, name, namespaces, self.problems)
        self.tree.pipelines[name] = service.pipeline
        opened = [part.document for part in (*service.parts.values(), *service.rollback_parts.values())]
        self.tree.documents.update((document.file, document) for document in opened)
        names: dict[str, Collection[str]] = {}
        for kind, cluster, file in files:
            if kind in keys.RETIRED_TYPES:
                self.tree.warn("retired-type", f"{name}/{file}", (), keys.RETIRED_TYPES[kind])
                continue
            document, parts = load_instances(self.soa, name, self._struct(kind), file, self.problems)
            self.tree.documents[document.file] = document
            opened.append(document)
            names[file] = parts
            self._read_instances(service, kind, cluster, parts)
        for cluster in {cluster for kind, cluster, _file in files if kind not in keys.RETIRED_TYPES}:
            self._assembly(cluster).add_service(service)
        for cluster, part in service.rollback_parts.items():
            if self.clusters is None or cluster in self.clusters:
                self._assembly(cluster).add_rollback(name, part.value)
        if self.clusters is None:
            self.tree.secrets.read_all(name)
        self._check_service(service, checks.SERVICE_CHECKS, files, names)
        for document in opened:
            del self.tree.documents[document.file]
            document.forget()

    def _deployments(self, service: str) -> deployments.Deployments:
        record = self.records.get(service)
        if record is None:
            record = self.records[service] = self._read_deployments(service)
        return record

    def _read_deployments(self, service: str) -> deployments.Deployments:
        if service not in self.soa.services or not self.soa.has(service, deployments.FILE):
            return deployments.Deployments()
        data, errors = self.soa.read(service, deployments.FILE)
        if not errors:
            record, errors = deployments.read(f"{service}/{deployments.FILE}", data)
        self.problems.add(errors, "deployments")
        return deployments.Deployments() if errors else record

    # instances

    def _struct(self, kind: str) -> Struct:
        return keys.JOB if kind == "tron" else keys.INSTANCE.get(kind) or self.custom[kind].struct

    def _read_instances(self, service: Service, kind: str, cluster: str, parts: Mapping[str, Part]) -> None:
        self.count += len(parts)
        record = self._deployments(service.name)
        tuned = self._autotuned(service.name, kind, cluster)
        general = _general_layers(service, kind)
        assembly = self._assembly(cluster)
        of_kind = checks.of_kind(kind)
        for name, part in parts.items():
            own = tuned.get(name)
            layers = (part.layer(), own.layer(), *general) if own else (part.layer(), *general)
            view = InstanceView(
                service, name, cluster, kind,
                part=part, layers=layers, config=merge_layers(layers), tree=self.tree, problems=self.problems,
            )  # fmt: skip
            view.deploy_group = _deploy_group(view)
            for check in of_kind:
                check(view)
            if kind in self.types:
                if kind == "tron":
                    assembly.add_job(view, layers)
                elif kind in self.custom:
                    assembly.add_custom(view, layers, record, self.custom[kind])
                else:
                    assembly.add_instance(view, layers, record, self.namespaces)
            for layer in layers[: len(layers) - len(general)]:
                layer.forget()
        for layer in general:
            layer.forget()

    def _autotuned(self, service: str, kind: str, cluster: str) -> dict[str, Part]:
        """PaaSTA: auto_config_*; where the inventory says nothing of it, what a machine wrote is meant to be used."""
        enabled = self.settings.auto_config_instance_types_enabled
        if enabled and not enabled.get(kind):
            return {}
        kind = self.settings.auto_config_instance_type_aliases.get(kind, kind)
        return load_autotuned(self.soa, service, kind, f"{kind}-{cluster}.yaml", self.problems)

    # documents of no service

    def _read_tron_masters(self) -> None:
        for cluster in self.soa.tron_clusters():
            if self.clusters is None or cluster in self.clusters:
                document = self.soa.yaml(f"tron/{cluster}", "MASTER.yaml")
                self.problems.errors.extend(document.errors)
                part = checked(document, (), document.value, keys.MASTER, self.problems)
                if not document.errors:
                    self._assembly(cluster).tron_master = jobs.master(cluster, part.value)

    def _read_authenticating(self) -> tuple[str, ...]:
        """The services that prove who they are, as PaaSTA has worked it out of all authorization.yaml."""
        if "authenticating.yaml" not in self.soa.top:
            return ()
        document = self.soa.yaml("", "authenticating.yaml")
        self.problems.errors.extend(document.errors)
        part = checked(document, (), document.value, keys.DOCUMENTS["authenticating"].shape, self.problems)
        return records.authenticating(part.value)


def _deploy_group(view: InstanceView) -> str | None:
    """The deploy group with its placeholders filled in; the legacy branch, or ``<cluster>.<instance>``, without."""
    config: Mapping[str, Any] = view.config
    template = config.get("deploy_group") or config.get("branch") or f"{view.cluster}.{view.instance}"
    if "{" not in template and "}" not in template:
        return str(template)
    try:
        return expand_deploy_group(template, cluster=view.cluster, instance=view.instance, service=view.service)
    except ValueError:
        return None  # a check says why


def _general_layers(service: Service, kind: str) -> tuple[Layer, ...]:
    """The service-wide defaults of an instance: of service.yaml what its type knows, and monitoring.yaml.

    PaaSTA: the keys it makes of other files give way, each as a whole, to the same key in service.yaml.
    """
    if kind not in keys.INSTANCE:
        return ()
    inherited = keys.inherited(kind)
    part = service.part("service.yaml")
    value = {key: item for key, item in part.value.items() if key in inherited}
    layers = [Layer(part.document, part.path, (), value)] if value else []
    monitoring = service.part("monitoring.yaml")
    if "monitoring" not in value and monitoring.value:
        layers.append(Layer(monitoring.document, (), ("monitoring",), {"monitoring": monitoring.value}))
    return tuple(layers)


def _sorted(problems: Iterable[ConfigError]) -> tuple[ConfigError, ...]:
    return tuple(sorted(set(problems), key=lambda p: (p.file, p.line, p.column, p.key, p.message)))
