# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Load everything one cluster should run from a soa-configs directory, or say everything that is wrong with it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from . import build, deployments, keys
from .errors import ConfigError, InvalidConfigs, did_you_mean
from .files import SoaDir
from .merge import Layer, merge_layers
from .model import ClusterConfig, Instance, KeyPath, Namespace
from .names import PLACEHOLDERS_HINT, expand_deploy_group, split_registration
from .service import Part, Problems, Service, load_autotuned, load_instances, load_namespaces, load_service
from .shapes import show


def load(
    soa_dir: str,
    cluster: str,
    *,
    services: Collection[str] | None = None,
    instance_types: Iterable[str] = ("kubernetes", "eks"),
    clusters: Collection[str] | None = None,
) -> ClusterConfig:
    """Read, merge and check; raises InvalidConfigs with every error at once.

    ``services`` limits the instances that are read and returned, never the namespaces, which registrations of any
    service may name. ``clusters``, when given, are all clusters there are: files of others are warned about.
    """
    loader = _Loader(SoaDir(soa_dir), cluster, frozenset(instance_types), services)
    with _collector_paused():
        config = loader.load(clusters)
    if loader.problems.errors:
        raise InvalidConfigs(loader.problems.errors)
    return config


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """A load only builds objects that stay: looking for cycles among them takes more than half of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Loader:
    """The state of one load: what was read so far and what is wrong with it."""

    def __init__(
        self, soa: SoaDir, cluster: str, instance_types: frozenset[str], wanted: Collection[str] | None
    ) -> None:
        self.soa = soa
        self.cluster = cluster
        self.types = instance_types
        self.wanted = wanted
        self.problems = Problems()
        self.services: dict[str, Service] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.parts: dict[str, Part] = {}  # of namespaces, for messages

    def load(self, clusters: Collection[str] | None) -> ClusterConfig:
        self._check_arguments(clusters)
        for name in self.soa.services:
            if self.wanted is None or name in self.wanted:
                if any(file.endswith(".yaml") for file in self.soa.files(name)):
                    self.services[name] = load_service(self.soa, name, self.problems)
                    self._build_namespaces(name, self.services[name].namespaces)
            else:
                self._build_namespaces(name, load_namespaces(self.soa, name, self.problems))
        self._check_namespaces()
        instances: list[Instance] = []
        for service in self.services.values():
            instances.extend(self._instances(service))
        self.problems.errors.extend(self.soa.errors)
        instances.sort(key=lambda item: item.id)
        return ClusterConfig(
            cluster=self.cluster,
            services=tuple(sorted({item.service for item in instances})),
            instances=tuple(item for item in instances if item.version is not None),
            undeployed=tuple(item for item in instances if item.version is None),
            namespaces=tuple(self.namespaces[name] for name in sorted(self.namespaces)),
            warnings=tuple(sorted(self.problems.warnings, key=lambda w: (w.file, w.line, w.column, w.key))),
        )

    def _check_arguments(self, clusters: Collection[str] | None) -> None:
        for name in sorted(self.types - keys.INSTANCE_TYPES):
            hint = did_you_mean(name, keys.INSTANCE_TYPES)
            self.problems.errors.append(ConfigError("", 0, 0, "", f"{show(name)} is not a known instance type", hint))
        for name in sorted(self.wanted or ()):
            if name not in self.soa.services:
                hint = did_you_mean(name, self.soa.services)
                self.problems.errors.append(ConfigError(name, 0, 0, "", "is not a service of this tree", hint))
        found: set[str] = set()
        for service in self.soa.services:
            for _type, cluster, file in self.soa.instance_files(service):
                found.add(cluster)
                if clusters is not None and cluster not in clusters:
                    hint = did_you_mean(cluster, clusters)
                    message = f"belongs to no known cluster ({cluster})"
                    self.problems.warnings.append(ConfigError(f"{service}/{file}", 0, 0, "", message, hint))
        if found and self.cluster not in found:
            message = f"no service has an instance file for cluster {self.cluster}"
            self.problems.warnings.append(
                ConfigError(self.soa.root, 0, 0, "", message, did_you_mean(self.cluster, found))
            )

    # namespaces

    def _build_namespaces(self, service: str, parts: Mapping[str, Part]) -> None:
        for name, part in parts.items():
            namespace = build.namespace(service, name, part.value)
            self.namespaces[namespace.id] = namespace
            self.parts[namespace.id] = part

    def _check_namespaces(self) -> None:
        ports: dict[int, str] = {}
        for name, namespace in self.namespaces.items():
            self._check_references(name)
            if namespace.proxy_port is None:
                continue
            first = ports.setdefault(namespace.proxy_port, name)
            if first != name:
                part = self.parts[first]
                line = part.document.position((*part.path, "proxy_port"))[0]
                message = f"{namespace.proxy_port} is already the proxy_port of {first}"
                hint = f"({part.document.file}:{line})"
                self._error(self.parts[name], ("proxy_port",), f"{message} {hint}", "choose another port")

    def _check_references(self, name: str) -> None:
        part = self.parts[name]
        for key in ("proxied_through", "clb_proxy"):
            target = part.value.get(key)
            if target is not None and target not in self.namespaces:
                hint = did_you_mean(target, self.namespaces)
                self._error(part, (key,), f"{show(target)} is in no smartstack.yaml", hint)

    # instances

    def _instances(self, service: Service) -> list[Instance]:
        """All instances of one service in this cluster; those of other types are checked, but not returned."""
        files = [
            (kind, file) for kind, cluster, file in self.soa.instance_files(service.name) if cluster == self.cluster
        ]
        if not files:
            return []
        record = self._deployments(service.name)
        seen: dict[str, str] = {}
        found = []
        for kind, file in files:
            tuned = load_autotuned(self.soa, service.name, kind, file, self.problems)
            document, parts = load_instances(self.soa, service.name, kind, file, self.problems)
            for name, part in parts.items():
                if name in seen:
                    message = f"instance {name} is already defined in {seen[name]}"
                    self._error(part, (), message, "an instance name is used once per service and cluster")
                seen.setdefault(name, document.file)
                instance = self._instance(service, kind, name, part, tuned.get(name), record)
                if instance is not None and kind in self.types:
                    found.append(instance)
        if seen and service.pipeline is None and not self.soa.has(service.name, "deploy.yaml"):
            hint = "write one with a pipeline, or a misspelt deploy_group goes unnoticed"
            self.problems.warnings.append(ConfigError(f"{service.name}/deploy.yaml", 0, 0, "", "is missing", hint))
        return found

    def _deployments(self, service: str) -> deployments.Deployments:
        if not self.soa.has(service, deployments.FILE):
            return deployments.Deployments()
        data, errors = self.soa.read(service, deployments.FILE)
        if not errors:
            record, errors = deployments.read(f"{service}/{deployments.FILE}", data)
        self.problems.errors.extend(errors)
        return deployments.Deployments() if errors else record

    def _instance(
        self,
        service: Service,
        kind: str,
        name: str,
        part: Part,
        tuned: Part | None,
        record: deployments.Deployments,
    ) -> Instance | None:
        layers = [part.layer(), *([tuned.layer()] if tuned else []), *_general_layers(service, kind)]
        config, sources = merge_layers(layers, keys.defaults(keys.INSTANCE[kind]))
        group = self._deploy_group(service, name, part, config)
        registrations = self._registrations(service.name, name, part, config)
        self._check_combinations(part, config)
        if group is None or registrations is None:
            return None
        control = record.controls.get(deployments.control_key(service.name, self.cluster, name), deployments.Control())
        return build.instance(
            service.name,
            name,
            self.cluster,
            kind,
            config=config,
            sources=sources,
            deploy_group=group,
            version=record.versions.get(group),
            control=control,
            registrations=registrations,
            mesh=self.namespaces.get(registrations[0]) if registrations else None,
            team=_team(service, config),
        )

    def _deploy_group(self, service: Service, name: str, part: Part, config: Mapping[str, Any]) -> str | None:
        template = config.get("deploy_group") or config.get("branch") or f"{self.cluster}.{name}"
        key = "deploy_group" if "deploy_group" in config else "branch" if "branch" in config else ""
        where: KeyPath = (key,) if key in part.value else ()
        try:
            group = expand_deploy_group(template, cluster=self.cluster, instance=name, service=service.name)
        except ValueError as error:
            self._error(part, where, str(error), PLACEHOLDERS_HINT)
            return None
        if service.pipeline is not None and group not in service.pipeline:
            message = f"{show(group)} is not in the pipeline of {service.name}/deploy.yaml"
            if not key:
                message = f"deploy_group is not set, and its default {message}"
            self._error(part, where, message, did_you_mean(group, service.pipeline))
        return group

    def _registrations(self, service: str, name: str, part: Part, config: Mapping[str, Any]) -> tuple[str, ...] | None:
        if "registrations" not in config:
            legacy = config.get("nerve_ns")
            written: list[tuple[KeyPath, str]] = [(("nerve_ns",), f"{service}.{legacy}")] if legacy else []
            default = (f"{service}.{legacy or name}",)
        else:
            written = [(("registrations", index), item) for index, item in enumerate(config["registrations"])]
            # PaaSTA: an empty list is as none at all.
            default = tuple(config["registrations"]) or (f"{service}.{name}",)
        valid = True
        for path, registration in written:
            if split_registration(registration) is None:
                self._error(part, path, f"{show(registration)} is not of the form service.namespace")
                valid = False
            elif registration not in self.namespaces:
                hint = did_you_mean(registration, self.namespaces)
                self._error(part, path, f"{show(registration)} is in no smartstack.yaml", hint)
        return default if valid else None

    def _check_combinations(self, part: Part, config: Mapping[str, Any]) -> None:
        if config.get("cmd") is not None and config.get("args"):
            where = ("args",) if "args" in part.value else ("cmd",)
            self._error(part, where, "cmd and args cannot both be set", "put the arguments into cmd, or drop it")
        if config.get("healthcheck_mode") == "cmd" and not config.get("healthcheck_cmd"):
            self._error(part, ("healthcheck_mode",), "mode cmd needs healthcheck_cmd", "add healthcheck_cmd")
        low, high = config.get("min_instances"), config.get("max_instances")
        if low is not None and high is not None and low > high:
            self._error(part, ("min_instances",), f"min_instances {low} is more than max_instances {high}")

    def _error(self, part: Part, path: KeyPath, message: str, hint: str = "") -> None:
        self.problems.errors.append(part.error(path, message, hint))


def _general_layers(service: Service, kind: str) -> list[Layer]:
    """The service-wide defaults of an instance: of service.yaml what its type knows, and monitoring.yaml.

    PaaSTA: the keys it makes of other files give way, each as a whole, to the same key in service.yaml.
    """
    inherited = keys.inherited(kind)
    part = service.general
    value = {key: item for key, item in part.value.items() if key in inherited}
    layers = [Part(part.document, part.path, value).layer()]
    if "monitoring" not in value and service.monitoring.value:
        monitoring = service.monitoring.layer()
        layers.append(Layer({"monitoring": monitoring.value}, lambda path: monitoring.locate(path[1:])))
    return layers


def _team(service: Service, config: Mapping[str, Any]) -> str | None:
    """PaaSTA: the merged instance, then monitoring.yaml, then service.yaml's monitoring, then its top level."""
    general = service.general.value
    for mapping in (config.get("monitoring"), service.monitoring.value, general.get("monitoring"), general):
        team = mapping.get("team") if isinstance(mapping, Mapping) else None
        if team:
            return str(team)
    return None
