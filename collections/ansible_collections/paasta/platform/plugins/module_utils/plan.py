# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster's plan: every native object that soa-configs and the inventory ask for, before anything is touched.

Pure but for reading the soa-configs directory: the same tree and the same facts give the same plan, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import collector
from .engines import docker
from .engines.errors import CannotRender
from .engines.kubernetes import facts as kubernetes_facts
from .engines.kubernetes import names as kubernetes_names
from .engines.kubernetes import render as kubernetes
from .engines.kubernetes import shared as kubernetes_shared
from .mesh import envoy
from .soaconfigs import cache
from .soaconfigs.errors import InvalidConfigs, did_you_mean
from .soaconfigs.model import ClusterConfig, Instance
from .soaconfigs.settings import InvalidSettings, Settings, bind
from .soaconfigs.settings import parse as parse_settings
from .soaconfigs.tree import load

ENGINES = ("docker", "kubernetes")
_DEFAULT_TYPES = ("kubernetes", "eks")
_SAME_ENGINE = {"eks": "kubernetes"}  # PaaSTA: eks is Kubernetes that Amazon runs

ARGUMENTS: dict[str, Any] = {
    "soa_dir": {"type": "path", "required": True},
    "cluster": {"type": "str", "required": True},
    "engines": {"type": "dict", "default": {}},
    "services": {"type": "list", "elements": "str", "default": []},
    "instances": {"type": "list", "elements": "str", "default": []},
    "registry": {"type": "str", "required": True},
    "settings": {"type": "dict", "default": {}},
}


class InvalidSelection(Exception):
    """A service or instance was asked for that the cluster does not have."""


def run(args: Mapping[str, Any]) -> dict[str, Any]:
    """Read and render. ``args`` is as in :data:`ARGUMENTS`; returns the module's result."""
    try:
        settings = parse_settings(args["settings"])
        config = load(
            args["soa_dir"],
            args["cluster"],
            services=_services(args["services"], args["instances"]),
            instance_types=tuple(args["engines"]) or _DEFAULT_TYPES,
            settings=settings,
            cache=cache.default_directory(),
        )
        with collector.paused(freeze=True):
            plan = render(config, settings, args)
            # As text: ansible-core copies and tags every value of a result and of an argument, several times, which
            # takes longer than all the rest of a deploy of a thousand instances.
            plan["kubernetes"] = json.dumps(plan["kubernetes"])
            plan["elsewhere"] = {engine: json.dumps(found) for engine, found in plan["elsewhere"].items()}
    except (InvalidConfigs, InvalidSettings, InvalidSelection, CannotRender) as error:
        return {"failed": True, "msg": str(error)}
    return {"changed": False, "plan": plan, "warnings": [str(warning) for warning in config.warnings]}


def _services(services: list[str], instances: list[str]) -> list[str] | None:
    """The services that have to be read; None for all. A mistake in another one does not stop a deploy of these."""
    named = {*services, *(instance.partition(".")[0] for instance in instances if "." in instance)}
    return sorted(named) or None


def render(config: ClusterConfig, settings: Settings, args: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of a cluster.

    :returns: JSON-ready: ``cluster``; ``only`` (what was selected, empty for everything);
        ``secret_environment`` whose ciphertexts the digests are of; ``engines`` that may have instances;
        per engine its ``instances`` by id, for kubernetes also the ``shared`` objects that they need, by reference,
        and the ``prefix`` of labels; ``elsewhere``, per engine, the instances that others run; ``mesh.namespaces`` by
        id; ``undeployed`` instance ids; ``warnings``.
    :raises InvalidSelection: for a service or instance that is not there.
    :raises CannotRender: for every instance that its engine cannot run, all in one text.
    """
    only = _selection(config, args["services"], args["instances"])
    selected = [instance for instance in config.instances if _matches(instance, only)]
    _check_engines(selected, args["engines"])
    notes = _Notes([text for namespace in config.namespaces for text in envoy.warnings(namespace)])
    on_docker = _docker(selected, args, settings, notes)
    on_kubernetes = _kubernetes(config, selected, args, settings, notes)
    if notes.refused:
        raise CannotRender(notes.refused)
    return {
        "cluster": config.cluster,
        "only": only,
        "secret_environment": settings.secret_environments.get(config.cluster, config.cluster),
        "engines": sorted({_engine(type_, args["engines"]) for type_ in args["engines"] or _DEFAULT_TYPES}),
        "docker": on_docker,
        "kubernetes": on_kubernetes,
        "elsewhere": {
            "docker": _elsewhere("kubernetes", on_kubernetes["instances"], config),
            "kubernetes": _elsewhere("docker", on_docker["instances"], config),
        },
        "mesh": {"namespaces": {namespace.id: envoy.namespace_json(namespace) for namespace in config.namespaces}},
        "undeployed": [instance.id for instance in config.undeployed if _matches(instance, only)],
        "warnings": notes.warnings,
    }


@dataclass
class _Notes:
    """What engines have to say: what they run in part, and what they cannot run."""

    warnings: list[str]
    refused: list[str] = field(default_factory=list)

    def each(
        self, instances: Iterable[Instance], render_one: Callable[[Instance], dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """What is rendered of each instance, by id; what cannot be is noted."""
        objects = {}
        for instance in instances:
            try:
                objects[instance.id] = render_one(instance)
            except CannotRender as error:
                self.refused += error.problems
        return objects


def _engine(instance_type: str, engines: Mapping[str, str]) -> str:
    """What runs a type: what the inventory says, else the engine of its name."""
    return engines.get(instance_type) or _SAME_ENGINE.get(instance_type, instance_type)


def _check_engines(instances: Iterable[Instance], engines: Mapping[str, str]) -> None:
    types = {instance.instance_type: instance.id for instance in instances}
    problems = [
        f"no engine {_engine(type_, engines)!r} for instances of type {type_}, such as {example}: "
        f"map {type_} to one of {', '.join(ENGINES)} in paasta_engines"
        for type_, example in sorted(types.items())
        if _engine(type_, engines) not in ENGINES
    ]
    if problems:
        raise InvalidSelection("\n".join(problems))


def _on_engine(instances: Iterable[Instance], engines: Mapping[str, str], engine: str) -> list[Instance]:
    return [instance for instance in instances if _engine(instance.instance_type, engines) == engine]


def _elsewhere(
    engine: str, objects: Mapping[str, Mapping[str, Any]], config: ClusterConfig
) -> dict[str, dict[str, Any]]:
    """What another engine has to know of the instances of one: enough to tell whether clients reach them there.

    In the mesh is who has a first registration with a proxy port, and there under all of its registrations.
    """
    ports = {namespace.id: namespace.proxy_port for namespace in config.namespaces}
    found = {}
    for id, plan in objects.items():
        names = [name for name in plan["registrations"] if ports.get(name) is not None]
        found[id] = {
            "engine": engine,
            "label": kubernetes_names.labelled(id),
            "replicas": plan["replicas"],
            "registrations": names if names[:1] == list(plan["registrations"][:1]) else [],
        }
    return found


def _docker(selected: list[Instance], args: Mapping[str, Any], settings: Settings, notes: _Notes) -> dict[str, Any]:
    facts = _docker_facts(args["registry"], settings)
    instances = _on_engine(selected, args["engines"], "docker")
    for instance in instances:
        notes.warnings += docker.warnings(instance)
    return {"instances": notes.each(instances, lambda instance: docker.render(instance, facts))}


def _kubernetes(
    config: ClusterConfig, selected: list[Instance], args: Mapping[str, Any], settings: Settings, notes: _Notes
) -> dict[str, Any]:
    """A name may be taken by an instance that is not selected. Objects that hold something of every instance are
    only rendered when all of them were read.
    """
    facts = kubernetes_facts.facts(settings, args["registry"], config)
    instances = _on_engine(selected, args["engines"], "kubernetes")
    everyone = _on_engine(config.instances, args["engines"], "kubernetes")
    undeployed = _on_engine(config.undeployed, args["engines"], "kubernetes")
    objects = notes.each(instances, lambda instance: kubernetes.render(instance, facts))
    notes.refused += kubernetes.collisions([*everyone, *undeployed], {instance.id for instance in instances})
    for instance in instances:
        notes.warnings += kubernetes.warnings(instance, facts)
    notes.warnings += kubernetes.general_warnings(instances, facts)
    everything = None if args["services"] or args["instances"] else everyone
    shared: dict[str, Any] = {}
    try:
        shared = kubernetes_shared.objects(instances, facts, everything=everything)
    except CannotRender as error:
        notes.refused += error.problems
    return {"prefix": facts.labels.prefix, "instances": objects, "shared": shared}


def _docker_facts(registry: str, settings: Settings) -> docker.Facts:
    return docker.Facts(
        registry=registry,
        mesh_address=settings.mesh_address,
        probe=settings.health_check_program,
        log_max_size=settings.log_max_size,
        log_max_file=settings.log_max_file,
        volumes=tuple(bind(volume) for volume in settings.volumes),
    )


def _selection(config: ClusterConfig, services: list[str], instances: list[str]) -> list[str]:
    """Services and instances (``service.instance``, or a bare instance name within the selected services)."""
    known = {instance.id for instance in (*config.instances, *config.undeployed)}
    nowhere = f"not in the soa-configs of cluster {config.cluster}"
    problems = [
        f"service {service}: {nowhere}; {did_you_mean(service, config.services)}"
        for service in services
        if service not in config.services
    ]
    wanted = [f"{service}.{name}" for name in instances if "." not in name for service in services]
    wanted += [id for id in instances if "." in id]
    if any("." not in name for name in instances) and not services:
        problems.append(f"instance {instances[0]}: say which service, as in instance=web.{instances[0]}")
    problems += [f"instance {id}: {nowhere}; {did_you_mean(id, known)}" for id in wanted if id not in known]
    if problems:
        raise InvalidSelection("\n".join(problems))
    return sorted(set(wanted or services))


def _matches(instance: Instance, only: list[str]) -> bool:
    return not only or instance.id in only or instance.service in only
