# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster's plan: every native object that soa-configs and the inventory ask for, before anything is touched.

Pure but for reading the soa-configs directory: the same tree and the same facts give the same plan, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .engines import docker
from .mesh import envoy
from .soaconfigs import cache
from .soaconfigs.errors import InvalidConfigs, did_you_mean
from .soaconfigs.model import ClusterConfig, Instance
from .soaconfigs.settings import InvalidSettings, Settings, bind
from .soaconfigs.settings import parse as parse_settings
from .soaconfigs.tree import load

ENGINES = ("docker",)

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
            instance_types=tuple(args["engines"]) or ("kubernetes",),
            settings=settings,
            cache=cache.default_directory(),
        )
        plan = render(config, settings, args)
    except (InvalidConfigs, InvalidSettings, InvalidSelection, docker.CannotRender) as error:
        return {"failed": True, "msg": str(error)}
    return {"changed": False, "plan": plan, "warnings": [str(warning) for warning in config.warnings]}


def _services(services: list[str], instances: list[str]) -> list[str] | None:
    """The services that have to be read; None for all. A mistake in another one does not stop a deploy of these."""
    named = {*services, *(instance.partition(".")[0] for instance in instances if "." in instance)}
    return sorted(named) or None


def render(config: ClusterConfig, settings: Settings, args: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of a cluster.

    :returns: JSON-ready: ``cluster``; ``only`` (what was selected, empty for everything);
        ``secret_environment`` whose ciphertexts the digests are of; per engine its
        ``instances`` by id; ``mesh.namespaces`` by id; ``undeployed`` instance ids; ``warnings``.
    :raises InvalidSelection: for a service or instance that is not there.
    :raises docker.CannotRender: for every instance that its engine cannot run, all in one text.
    """
    only = _selection(config, args["services"], args["instances"])
    selected = [instance for instance in config.instances if _matches(instance, only)]
    warnings = [text for namespace in config.namespaces for text in envoy.warnings(namespace)]
    objects, ignored = _render_docker(
        _on_engine(selected, args["engines"], "docker"), _docker_facts(args["registry"], settings)
    )
    return {
        "cluster": config.cluster,
        "only": only,
        "secret_environment": settings.secret_environments.get(config.cluster, config.cluster),
        "docker": {"instances": objects},
        "mesh": {"namespaces": {namespace.id: envoy.namespace_json(namespace) for namespace in config.namespaces}},
        "undeployed": [instance.id for instance in config.undeployed if _matches(instance, only)],
        "warnings": warnings + ignored,
    }


def _on_engine(instances: list[Instance], engines: Mapping[str, str], engine: str) -> list[Instance]:
    """The instances whose type the inventory gives to an engine; a type is its own engine otherwise."""
    types = {instance.instance_type: instance.id for instance in instances}
    problems = [
        f"no engine {engines.get(type_, type_)!r} for instances of type {type_}, such as {example}: "
        f"map {type_} to one of {', '.join(ENGINES)} in paasta_engines"
        for type_, example in sorted(types.items())
        if engines.get(type_, type_) not in ENGINES
    ]
    if problems:
        raise InvalidSelection("\n".join(problems))
    return [i for i in instances if engines.get(i.instance_type, i.instance_type) == engine]


def _render_docker(instances: list[Instance], facts: docker.Facts) -> tuple[dict[str, Any], list[str]]:
    objects: dict[str, Any] = {}
    refused: list[str] = []
    warnings: list[str] = []
    for instance in instances:
        try:
            objects[instance.id] = docker.render(instance, facts)
        except docker.CannotRender as error:
            refused.append(str(error))
        warnings += docker.warnings(instance)
    if refused:
        raise docker.CannotRender("\n".join(refused))
    return objects, warnings


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
    problems += [
        f"instance {id}: {nowhere}; {did_you_mean(id, known)}"
        for id in wanted
        if id not in known
    ]
    if problems:
        raise InvalidSelection("\n".join(problems))
    return sorted(set(wanted or services))


def _matches(instance: Instance, only: list[str]) -> bool:
    return not only or instance.id in only or instance.service in only
