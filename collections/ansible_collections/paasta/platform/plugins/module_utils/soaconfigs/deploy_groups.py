# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Which deploy group each instance of a service belongs to: of all types, in all clusters.

Marking and generating records need no more of the files than that, so mistakes in other keys are not their concern.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .files import SoaDir
from .model import KeyPath
from .names import expand_deploy_group
from .service import Problems, load_pipeline

# (cluster, instance); of a Tron job the instances are job.action.
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Groups:
    """The deploy group of each (cluster, instance), the groups of the pipeline, and ``git_url`` of service.yaml."""

    instances: Mapping[Pair, str]
    pipeline: frozenset[str] = frozenset()
    git_url: str | None = None

    @property
    def names(self) -> set[str]:
        return {*self.instances.values(), *self.pipeline}

    def used(self) -> list[str]:
        """The groups that instances use, sorted."""
        return sorted(set(self.instances.values()))

    def of(self, group: str) -> list[Pair]:
        """The instances of one group, sorted."""
        return sorted(pair for pair, its_group in self.instances.items() if its_group == group)


def load(soa: SoaDir, service: str, problems: Problems) -> Groups:
    """Read a service's instances; what is wrong with its YAML, or with a deploy group, goes to ``problems``."""
    general = soa.yaml(service, "service.yaml") if soa.has(service, "service.yaml") else None
    problems.errors.extend(general.errors if general else ())
    inherited: dict[str, Any] = general.value if general else {}
    url = inherited.get("git_url")
    instances: dict[Pair, str] = {}
    for kind, cluster, file in soa.instance_files(service):
        document = soa.yaml(service, file)
        problems.errors.extend(document.errors)
        found = _actions(service, document.value) if kind == "tron" else _instances(cluster, document.value, inherited)
        for name, path, template in found:
            try:
                group = expand_deploy_group(template, cluster=cluster, instance=name, service=service)
            except ValueError as error:
                problems.errors.append(document.error((*path, "deploy_group"), str(error)))
                continue
            instances[cluster, name] = group
    return Groups(instances, load_pipeline(soa, service) or frozenset(), url if isinstance(url, str) else None)


def _instances(
    cluster: str, document: Mapping[str, Any], inherited: Mapping[str, Any]
) -> Iterator[tuple[str, KeyPath, str]]:
    """(name, key path, deploy group before its placeholders are filled in) of one instance file."""
    for name, value in document.items():
        if name.startswith("_") or not isinstance(value, dict):
            continue
        own = {**inherited, **value}
        yield name, (name,), str(own.get("deploy_group") or own.get("branch") or f"{cluster}.{name}")


def _actions(service: str, document: Mapping[str, Any]) -> Iterator[tuple[str, KeyPath, str]]:
    """The same of a Tron file: an action's own deploy group, else its job's. Without any, Tron runs no version of it;
    an action that runs another service's code is in that service's record, not in this one's.
    """
    for name, job in document.items():
        if name.startswith("_") or not isinstance(job, dict):
            continue
        for action, path, value in _actions_of(name, job):
            group = value.get("deploy_group") or job.get("deploy_group")
            if group and (value.get("service") or job.get("service") or service) == service:
                yield f"{name}.{action}", path, str(group)


def _actions_of(job_name: str, job: Mapping[str, Any]) -> Iterator[tuple[str, KeyPath, dict[str, Any]]]:
    """Actions are a mapping, or a list of mappings with a name; the clean-up is an action called cleanup."""
    actions = job.get("actions")
    if isinstance(actions, dict):
        for name, value in actions.items():
            yield name, (job_name, "actions", name), value if isinstance(value, dict) else {}
    elif isinstance(actions, list):
        for index, value in enumerate(actions):
            if isinstance(value, dict) and isinstance(value.get("name"), str):
                yield value["name"], (job_name, "actions", index), value
    if isinstance(job.get("cleanup_action"), dict):
        yield "cleanup", (job_name, "cleanup_action"), job["cleanup_action"]
