# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Read a soa-configs directory: what each cluster should run, and everything that is wrong with it.

``load`` is for who wants to run a cluster: it reads what that cluster needs, and refuses when any of it is wrong.
``validate`` reads everything of all clusters. Both are one reading (``read``) with different bounds.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import build, checks, deployments, keys
from . import cache as results
from .errors import ConfigError, InvalidConfigs, did_you_mean
from .files import SoaDir
from .merge import Layer, merge_layers
from .model import ClusterConfig, Instance, Namespace, SecretUse
from .names import PLACEHOLDERS_HINT, expand_deploy_group, split_registration
from .service import (
    Part,
    Problems,
    Service,
    load_autotuned,
    load_instances,
    load_namespaces,
    load_pipeline,
    load_service,
)
from .settings import Settings
from .shapes import show
from .views import InstanceView, ServiceView, TreeView


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tree says, by cluster, and what is wrong with it; sorted by place. ``files`` and ``instances`` count."""

    configs: Mapping[str, ClusterConfig]
    errors: tuple[ConfigError, ...]
    warnings: tuple[ConfigError, ...]
    services: int
    files: int
    instances: int


def load(
    soa_dir: str,
    cluster: str,
    *,
    services: Collection[str] | None = None,
    instance_types: Iterable[str] = ("kubernetes", "eks"),
    settings: Settings | None = None,
    cache: str | None = None,
) -> ClusterConfig:
    """What one cluster should run; raises InvalidConfigs with every error at once.

    Only services with instances in the cluster are read, and of the others the namespaces, which registrations of any
    service may name: a mistake in what the cluster does not use does not stop it. ``services`` limits the instances in
    the same way. ``instance_types`` are those that are returned; files of other types are checked.
    """
    reading = read(
        soa_dir, clusters=(cluster,), services=services, types=instance_types, settings=settings, cache=cache
    )
    if reading.errors:
        raise InvalidConfigs(reading.errors)
    return reading.configs[cluster]


def validate(
    soa_dir: str,
    settings: Settings | None = None,
    services: Collection[str] | None = None,
    clusters: Collection[str] | None = None,
    cache: str | None = None,
) -> Reading:
    """Everything that is wrong in a tree: all services, clusters and types of instances, or those that are named.

    :raises InvalidConfigs: only when the directory itself cannot be read, or has no such service.
    """
    return read(soa_dir, clusters=clusters, services=services, types=None, settings=settings, cache=cache)


def read(
    soa_dir: str,
    *,
    clusters: Collection[str] | None,
    services: Collection[str] | None,
    types: Iterable[str] | None,
    settings: Settings | None,
    cache: str | None,
) -> Reading:
    """One reading; None is all there are. ``cache`` is a directory for results (``cache.default_directory``)."""
    soa = SoaDir(soa_dir)
    bounds = tuple(None if names is None else tuple(sorted(names)) for names in (clusters, services, types))
    settings = settings or Settings()
    with _collector_paused():
        name = results.key(soa.root, soa.digest(_is_input), bounds, settings) if cache else ""
        found = results.get(cache, name) if cache else None
        if found is None:
            found = _Reader(soa, settings, *bounds).read()
            if cache:
                results.put(cache, name, found)
    reading: Reading = found
    return reading


def _is_input(name: str) -> bool:
    """Whether a reading may depend on more than a file's name."""
    return name[-5:] in (".yaml", ".json")


# So many new objects are worth to be taken away from the collector: looking at them once costs it some 30 ms.
_MANY_OBJECTS = 20_000


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """A reading only builds objects that stay: looking for cycles among them takes more than half of its time.

    For the same reason a large result is frozen: it goes when nobody refers to it, and is never searched for cycles.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if gc.get_count()[0] > _MANY_OBJECTS:
                gc.freeze()
            gc.enable()


class _Reader:
    """The state of one reading."""

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
        self.types = frozenset(types) if types is not None else keys.ALL_INSTANCE_TYPES
        self.problems = Problems()
        self.tree = TreeView(soa, settings, self.problems)
        self.tree.pipeline_of = lambda service: load_pipeline(soa, service)
        self.namespaces: dict[str, Namespace] = {}
        self.found: dict[str, list[Instance]] = {cluster: [] for cluster in clusters or ()}
        self.count = 0

    def read(self) -> Reading:
        self._check_arguments()
        files = {name: self._instance_files(name) for name in self.soa.services}
        chosen = [name for name in self.soa.services if self._is_chosen(name, files[name])]
        for name in chosen:
            self.tree.loaded[name] = load_service(self.soa, name, self.problems)
        for name in self.soa.services:
            self._read_namespaces(name)
        for name in chosen:
            self._read_service(self.tree.loaded[name], files[name])
        for check in checks.TREE_CHECKS:
            check(self.tree)
        self.problems.errors.extend(self.soa.errors)
        return self._reading()

    def _reading(self) -> Reading:
        namespaces = tuple(self.namespaces[name] for name in sorted(self.namespaces))
        warnings = _sorted(self.problems.warnings)
        return Reading(
            configs={name: _config(name, found, namespaces, warnings) for name, found in sorted(self.found.items())},
            errors=_sorted(self.problems.errors),
            warnings=warnings,
            services=len(self.tree.loaded),
            files=self.soa.files_read,
            instances=self.count,
        )

    def _is_chosen(self, name: str, files: list[tuple[str, str, str]]) -> bool:
        if self.wanted is not None and name not in self.wanted:
            return False
        return bool(files) if self.clusters is not None else any(n.endswith(".yaml") for n in self.soa.files(name))

    def _instance_files(self, service: str) -> list[tuple[str, str, str]]:
        files = self.soa.instance_files(service)
        if self.clusters is None:
            return files
        return [(kind, cluster, file) for kind, cluster, file in files if cluster in self.clusters]

    def _check_arguments(self) -> None:
        for name in sorted(self.types - keys.ALL_INSTANCE_TYPES):
            hint = did_you_mean(name, keys.ALL_INSTANCE_TYPES)
            self.problems.errors.append(ConfigError("", 0, 0, "", f"{show(name)} is not a known instance type", hint))
        for name in sorted(self.wanted or ()):
            if name not in self.soa.services:
                hint = did_you_mean(name, self.soa.services)
                self.problems.errors.append(
                    ConfigError(name, 0, 0, "", "is not a service of this tree", hint, "soa-dir")
                )
        if self.clusters is not None:
            found = {cluster for name in self.soa.services for _type, cluster, _file in self.soa.instance_files(name)}
            for cluster in sorted(self.clusters - found):
                message = f"no service has an instance file for cluster {cluster}"
                hint = did_you_mean(cluster, found)
                self.problems.warnings.append(ConfigError(self.soa.root, 0, 0, "", message, hint, "no-instances"))

    def _read_namespaces(self, name: str) -> None:
        """Those of every service: of a service of which nothing else is read they are checked here."""
        service = self.tree.loaded.get(name)
        if service is None:
            service = Service(name, self.soa.files(name))
            service.namespace_parts = load_namespaces(self.soa, name, self.problems)
            self._check_service(service, checks.MESH_CHECKS, (), {})
        for part in service.namespace_parts.values():
            namespace = build.namespace(name, str(part.path[-1]), part.value)
            self.namespaces[namespace.id] = namespace
            self.tree.namespaces[namespace.id] = part.value
            self.tree.documents[part.document.file] = part.document

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

    # instances

    def _read_service(self, service: Service, files: list[tuple[str, str, str]]) -> None:
        names: dict[str, Collection[str]] = {}
        record = self._deployments(service.name)
        for part in (*service.parts.values(), *service.rollback_parts.values()):
            self.tree.documents[part.document.file] = part.document
        for kind, cluster, file in files:
            if kind in keys.RETIRED_TYPES:
                self.tree.warn("retired-type", f"{service.name}/{file}", (), keys.RETIRED_TYPES[kind])
                continue
            struct = keys.JOB if kind == "tron" else keys.INSTANCE.get(kind) or keys.CUSTOM_TYPES[kind].struct
            document, parts = load_instances(self.soa, service.name, struct, file, self.problems)
            self.tree.documents[document.file] = document
            names[file] = parts
            self._read_instances(service, kind, cluster, file, parts, record)
        if self.clusters is None:
            self.tree.secrets.read_all(service.name)
        self._check_service(service, checks.SERVICE_CHECKS, files, names)

    def _read_instances(
        self,
        service: Service,
        kind: str,
        cluster: str,
        file: str,
        parts: Mapping[str, Part],
        record: deployments.Deployments,
    ) -> None:
        self.count += len(parts)
        self.found.setdefault(cluster, [])
        tuned = load_autotuned(self.soa, service.name, kind, file, self.problems)
        general = _general_layers(service, kind)
        for name, part in parts.items():
            own = tuned.get(name)
            layers = (part.layer(), own.layer(), *general) if own else (part.layer(), *general)
            self._read_instance(service, name, cluster, kind, part, layers, record)

    def _deployments(self, service: str) -> deployments.Deployments:
        if not self.soa.has(service, deployments.FILE):
            return deployments.Deployments()
        data, errors = self.soa.read(service, deployments.FILE)
        if not errors:
            record, errors = deployments.read(f"{service}/{deployments.FILE}", data)
        self.problems.add(errors, "deployments")
        return deployments.Deployments() if errors else record

    def _read_instance(
        self,
        service: Service,
        name: str,
        cluster: str,
        kind: str,
        part: Part,
        layers: tuple[Layer, ...],
        record: deployments.Deployments,
    ) -> None:
        config = merge_layers(layers)
        view = InstanceView(
            service, name, cluster, kind,
            part=part, layers=layers, config=config, tree=self.tree, problems=self.problems,
        )  # fmt: skip
        view.deploy_group = self._deploy_group(view)
        for check in checks.of_kind(kind):
            check(view)
        if kind not in self.types or kind not in keys.INSTANCE or view.deploy_group is None:
            return
        registrations = _registrations(service.name, name, config)
        if registrations is None:
            return
        control = record.controls.get(deployments.control_key(service.name, cluster, name), deployments.Control())
        instance = build.instance(
            service.name,
            name,
            cluster,
            kind,
            config=config,
            layers=layers,
            deploy_group=view.deploy_group,
            version=record.versions.get(view.deploy_group),
            control=control,
            registrations=registrations,
            mesh=self.namespaces.get(registrations[0]) if registrations else None,
            team=_team(service, config),
            secrets=_secrets(view),
        )
        self.found.setdefault(cluster, []).append(instance)

    def _deploy_group(self, view: InstanceView) -> str | None:
        """The deploy group with its placeholders filled in; the legacy branch, or ``<cluster>.<instance>``, without."""
        config = view.config
        template = config.get("deploy_group") or config.get("branch") or f"{view.cluster}.{view.instance}"
        if "{" not in template and "}" not in template:
            return str(template)
        try:
            return expand_deploy_group(template, cluster=view.cluster, instance=view.instance, service=view.service)
        except ValueError as error:
            key = "deploy_group" if "deploy_group" in config else "branch"
            view.error("deploy-group-placeholder", (key,), str(error), PLACEHOLDERS_HINT)
            return None


def _sorted(problems: Iterable[ConfigError]) -> tuple[ConfigError, ...]:
    return tuple(sorted(set(problems), key=lambda p: (p.file, p.line, p.column, p.key, p.message)))


def _config(
    cluster: str, instances: list[Instance], namespaces: tuple[Namespace, ...], warnings: tuple[ConfigError, ...]
) -> ClusterConfig:
    instances.sort(key=lambda item: (item.service, item.name))
    return ClusterConfig(
        cluster=cluster,
        services=tuple(sorted({item.service for item in instances})),
        instances=tuple(item for item in instances if item.version is not None),
        undeployed=tuple(item for item in instances if item.version is None),
        namespaces=namespaces,
        warnings=warnings,
    )


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


def _registrations(service: str, name: str, config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Where an instance is found, the first one first; None when what is written cannot be one.

    PaaSTA: an empty list is as none at all.
    """
    written = config.get("registrations")
    if not written:
        return (f"{service}.{config.get('nerve_ns') or name}",)
    return tuple(written) if all(split_registration(item) for item in written) else None


def _secrets(view: InstanceView) -> tuple[SecretUse, ...]:
    if not view.secrets:
        return ()
    uses = set()
    for _path, ref in view.secrets:
        digest = view.secret_digest(ref)
        if digest is not None:
            uses.add(SecretUse(ref.service, ref.name, digest))
    return tuple(sorted(uses, key=lambda use: (use.service, use.name)))


def _team(service: Service, config: Mapping[str, Any]) -> str | None:
    """PaaSTA: the merged instance, then monitoring.yaml, then service.yaml's monitoring, then its top level."""
    general = service.general or {}
    for mapping in (config.get("monitoring"), service.monitoring, general.get("monitoring"), general):
        team = mapping.get("team") if isinstance(mapping, dict) else None
        if team:
            return str(team)
    return None
