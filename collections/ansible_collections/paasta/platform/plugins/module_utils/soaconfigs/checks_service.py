# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of one service as a whole: which files it has, and what its documents say beside instances and the mesh."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import did_you_mean
from .model import KeyPath
from .names import NAME_LIMIT, SERVICE_NAME, is_deploy_group, sanitise
from .shapes import show
from .subjects import ServiceSubject

_BOUNDS = ("lower_bound", "upper_bound")
_REQUIRED = ("description", "external_link")  # PaaSTA: service_schema.json


def service_name(subject: ServiceSubject) -> None:
    name = subject.service
    if not SERVICE_NAME.fullmatch(name) or len(sanitise(name)) > NAME_LIMIT:
        hint = f"at most {NAME_LIMIT} of letters, digits and inner - and _"
        subject.error("service-name", "", (), "is not a valid service name", hint)


def files(subject: ServiceSubject) -> None:
    names = subject.documents.files
    if "service.yaml" in names and "monitoring.yaml" not in names:
        hint = "write one with a team, or nobody is told of problems"
        subject.warn("missing-monitoring", "monitoring.yaml", (), "is missing", hint)
    elif "monitoring.yaml" in names and not any(team for _file, _path, team in _teams(subject)):
        subject.warn("missing-monitoring", "monitoring.yaml", (), "team is missing", "nobody is told of problems")
    if "deploy.yaml" not in names and any(subject.instances(file) for _kind, _cluster, file in subject.instance_files):
        hint = "write one with a pipeline, or a misspelt deploy_group goes unnoticed"
        subject.warn("missing-deploy", "deploy.yaml", (), "is missing", hint)


def description(subject: ServiceSubject) -> None:
    general = subject.documents.general
    if general is not None:
        for key in _REQUIRED:
            if key not in general:
                message = f"{key} is missing"
                subject.warn("missing-description", "service.yaml", (), message, "PaaSTA requires it of every service")


def clusters(subject: ServiceSubject) -> None:
    known = subject.settings.clusters
    for _kind, cluster, file in subject.instance_files:
        if cluster != cluster.lower():
            message = f"cluster {cluster} is not lower-case"
            subject.warn("cluster-case", file, (), message, f"rename the file to that of cluster {cluster.lower()}")
        elif known and cluster not in known:
            message = f"belongs to no known cluster ({cluster})"
            subject.warn("unknown-cluster", file, (), message, did_you_mean(cluster, known))


def instance_names(subject: ServiceSubject) -> None:
    """Tron's instances are ``job.action``, so jobs cannot collide with anything."""
    if len(subject.instance_files) < 2 or subject.service in subject.settings.skip_unique_instance_name_validation:
        return
    seen: dict[tuple[str, str], str] = {}
    for kind, cluster, file in subject.instance_files:
        if kind == "tron":
            continue
        for name in subject.instances(file):
            first = seen.setdefault((cluster, name), file)
            if first != file:
                message = f"instance {name} is already defined in {subject.service}/{first}"
                hint = "an instance name is used once per service and cluster"
                subject.error("duplicate-instance-name", file, (name,), message, hint)


def pipeline(subject: ServiceSubject) -> None:
    deploy = subject.documents.deploy
    if not deploy:
        return
    entries = deploy.get("pipeline") or ()
    names = [part["step"] for entry in entries for part in (entry, *entry.get("parallel", ())) if "step" in part]
    if len(set(names)) < len(names):
        _repeated(subject, deploy)
    group = deploy.get("production_deploy_group")
    groups = subject.tree.pipeline(subject.service)
    if group is not None and groups is not None and group not in groups:
        message = f"{show(group)} is not in the pipeline"
        hint = did_you_mean(group, groups)
        subject.warn("production-deploy-group", "deploy.yaml", ("production_deploy_group",), message, hint)


def _repeated(subject: ServiceSubject, deploy: Mapping[str, Any]) -> None:
    seen: set[str] = set()
    for path, step in _steps(deploy):
        if step in seen and is_deploy_group(step):
            message = f"{show(step)} is already in the pipeline"
            subject.warn("duplicate-step", "deploy.yaml", (*path, "step"), message, "once is enough")
        seen.add(step)


def _steps(deploy: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for index, entry in enumerate(deploy["pipeline"]):
        path: KeyPath = ("pipeline", index)
        if "step" in entry:
            yield path, entry["step"]
        for inner, step in enumerate(entry.get("parallel", ())):
            if "step" in step:
                yield (*path, "parallel", inner), step["step"]


def rollbacks(subject: ServiceSubject) -> None:
    for cluster, document in subject.documents.rollbacks.items():
        for source, conditions in (document.get("conditions") or {}).items():
            for index, condition in enumerate(conditions or ()):
                path: KeyPath = ("conditions", source, index)
                _bounds(subject, f"rollback-{cluster}.yaml", path, condition)


def _bounds(subject: ServiceSubject, file: str, path: KeyPath, condition: Mapping[str, Any]) -> None:
    low, high = (condition.get(name) for name in _BOUNDS)
    if low is not None and high is not None and low > high:
        message = f"lower_bound {low} is more than upper_bound {high}"
        subject.error("rollback-bounds", file, (*path, "lower_bound"), message)


def dependencies(subject: ServiceSubject) -> None:
    for name, entries in (subject.documents.dependencies or {}).items():
        for index, entry in enumerate(entries or ()):
            path: KeyPath = (name, index)
            target = entry.get("smartstack")
            if target is not None and target not in subject.tree.namespaces:
                message = f"{show(target)} is in no smartstack.yaml"
                hint = did_you_mean(target, subject.tree.namespaces)
                subject.warn("unknown-dependency", "dependencies.yaml", (*path, "smartstack"), message, hint)
            network = entry.get("cidr")
            if network is not None and not _is_network(network):
                message = f"{show(network)} is not a network"
                hint = "as in 10.0.0.0/8, with zeros after the prefix"
                subject.warn("dependency-cidr", "dependencies.yaml", (*path, "cidr"), message, hint)


def _is_network(text: Any) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return isinstance(text, str)


def callers(subject: ServiceSubject) -> None:
    rules = ((subject.documents.authorization or {}).get("authorization") or {}).get("rules")
    for index, rule in enumerate(rules or ()):
        services = (rule.get("identity_groups") or {}).get("services") or ()
        for inner, service in enumerate(services):
            if service not in subject.tree.services:
                path = ("authorization", "rules", index, "identity_groups", "services", inner)
                message = f"{show(service)} is not a service of this tree"
                hint = did_you_mean(str(service), subject.tree.services)
                subject.warn("unknown-caller", "authorization.yaml", path, message, hint)


def teams(subject: ServiceSubject) -> None:
    known = subject.settings.monitoring_teams
    for file, path, team in _teams(subject):
        if known and team is not None and team not in known:
            message = f"{show(team)} is not a team of the inventory"
            subject.warn("unknown-team", file, path, message, did_you_mean(str(team), known))


def _teams(subject: ServiceSubject) -> list[tuple[str, KeyPath, Any]]:
    """Every place that a service's team may be written in: file, key path, and the team, None without one."""
    general = subject.documents.general or {}
    legacy = general.get("monitoring")
    return [
        ("monitoring.yaml", ("team",), (subject.documents.monitoring or {}).get("team")),
        ("service.yaml", ("monitoring", "team"), legacy.get("team") if isinstance(legacy, Mapping) else None),
        ("service.yaml", ("team",), general.get("team")),
    ]


CHECKS = (
    service_name,
    files,
    description,
    clusters,
    instance_names,
    pipeline,
    rollbacks,
    dependencies,
    callers,
    teams,
)
