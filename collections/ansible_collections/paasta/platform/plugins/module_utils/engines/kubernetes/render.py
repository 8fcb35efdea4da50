# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The engine ``kubernetes``: an instance in, its Kubernetes objects out, as they are sent to the API server.

Pure: no network, no clock, no randomness. Objects are in the form in which the API server keeps them, without what it
fills in itself, so that a difference to what is there is one that somebody made.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import CannotRender, problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.config_sha import config_sha
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import (
    autoscaling,
    disruption,
    lifecycle,
    names,
    placement,
    pod,
    secrets,
    security,
    services,
    shared,
    sidecar,
    strategy,
    volumes,
    workload,
)
from .facts import Facts

#: Keys of soa-configs that change how long-running instances run elsewhere and that this engine cannot carry out.
NOT_CARRIED_OUT = frozenset({"cfs_period_us", "constraints", "extra_constraints", "extra_docker_args", "host_port"})
#: Keys that replace containers elsewhere, and no pod.
_NOT_OF_PODS = NOT_CARRIED_OUT | {"pod_management_policy"}


def render(instance: Instance, facts: Facts) -> dict[str, Any]:
    """One instance as the reconciler takes it: its objects in the order in which they are applied, and what it needs.

    :returns: JSON-ready. ``objects`` are manifests in the order in which they are applied; ``needs`` refers to shared
        ones; ``secrets`` are what has to be created with cleartext, by name and digest; ``autoscaling`` has ``min`` and
        ``max`` where somebody else decides about replicas, and then ``replicas`` is what a new workload starts with.
    :raises CannotRender: with everything that must not be ignored.
    """
    version = instance.version
    if version is None:
        message = f"deploy group {instance.deploy_group} has not been marked for deployment"
        raise CannotRender(problem(instance, (), message, "mark it with playbooks/mark.yml"))
    refused = _problems(instance, facts)
    if refused:
        raise CannotRender(refused)
    bounds = autoscaling.bounds(instance, facts)
    sha = config_sha(_of_pods(instance), _platform(instance, facts))
    main = workload.workload(instance, version, facts, config_sha=sha, replicas=None if bounds else instance.replicas)
    objects = [
        services.service(instance, facts),
        disruption.budget(instance, facts),
        main,
        autoscaling.autoscaler(instance, facts),
    ]
    return {
        "service": instance.service,
        "instance": instance.name,
        "git_sha": version.git_sha,
        "image_version": version.image_version,
        "config_sha": sha,
        "namespace": names.namespace(instance),
        "name": names.app(instance),
        "kind": main["kind"],
        "replicas": bounds["min"] if bounds else instance.replicas,
        "autoscaling": bounds,
        "bounce_method": instance.bounce.method,
        "bounce_margin_factor": instance.bounce.margin_factor,
        "min_ready_seconds": strategy.min_ready_seconds(instance),
        "team": instance.team,
        "registrations": list(instance.registrations),
        "objects": [manifest for manifest in objects if manifest is not None],
        "needs": shared.needs(instance, facts),
        "secrets": secrets.uses(instance, facts),
    }


def _problems(instance: Instance, facts: Facts) -> list[str]:
    """Everything about an instance that its objects cannot say."""
    found = [
        *workload.problems(instance),
        *strategy.problems(instance),
        *lifecycle.problems(instance),
        *sidecar.problems(instance, facts),
        *placement.problems(instance, facts),
        *volumes.problems(instance, facts),
        *secrets.problems(instance, facts),
        *services.problems(instance, facts),
        *autoscaling.problems(instance, facts),
    ]
    if "service" in instance.keys:
        found.append(problem(instance, ("service",), "engine kubernetes does not run another service's image"))
    if instance.net != "bridge":
        message = f"{instance.net}: pods have a network of their own"
        found.append(problem(instance, ("net",), message, "drop it; clients reach the instance through the mesh"))
    return found


def warnings(instance: Instance, facts: Facts) -> list[str]:
    """What the instance sets and this engine carries out in part or not at all, one sentence each."""
    found = [*strategy.warnings(instance), *security.warnings(instance, facts), *volumes.warnings(instance)]
    for key in sorted(NOT_CARRIED_OUT & instance.keys.keys()):
        found.append(problem(instance, (key,), "engine kubernetes does not carry it out"))
    return found


def general_warnings(instances: Sequence[Instance], facts: Facts) -> list[str]:
    """What the platform lacks for some of the instances: one sentence for all of them."""
    missing = [instance.id for instance in instances if sidecar.missing(instance, facts)]
    if not missing:
        return []
    others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return [
        f"{missing[0]}{others} in the mesh: pods are ready by their own health check, whether the proxies see them or "
        "not; set paasta_hacheck_sidecar_image_url for a sidecar that asks them, or paasta_use_hacheck_sidecar: false"
    ]


def collisions(instances: Iterable[Instance], selected: Container[str]) -> list[str]:
    """Instances whose objects would be the same ones, where one of them is ``selected`` (ids); all of them at once.

    A service and an instance may hold dashes, and ``_`` becomes two of them: different names can become the same one.
    """
    taken: dict[tuple[str, str], Instance] = {}
    found = []
    for instance in instances:
        where = names.namespace(instance), names.app(instance)
        other = taken.setdefault(where, instance)
        if other is not instance and (instance.id in selected or other.id in selected):
            message = f"would be {where[1]} in namespace {where[0]}, which {other.id} is"
            path = ("namespace",) if "namespace" in instance.keys else ()
            found.append(problem(instance, path, message, "rename one of them, or give it a namespace"))
    return found


def _of_pods(instance: Instance) -> Instance:
    """The instance without what its pods do not depend on here, for the config sha."""
    if _NOT_OF_PODS.isdisjoint(instance.keys):
        return instance
    keys = {name: value for name, value in instance.keys.items() if name not in _NOT_OF_PODS}
    return replace(instance, keys=FrozenDict(keys))


def _platform(instance: Instance, facts: Facts) -> dict[str, Any]:
    """What pods get besides what their instance says, for the config sha. Not the registry: an image is the same
    wherever it is pulled from.
    """
    found: dict[str, Any] = {
        "engine": "kubernetes",
        "settings": facts.of_pods,
        "pool": facts.of_pool(instance.pool),
        "stop": _stop(instance, facts),
        "sidecar": facts.of_sidecars if sidecar.present(instance, facts) else None,
        "proxies": sidecar.asked(instance) if sidecar.present(instance, facts) else None,
        "private": bool(pod.pull_secrets(instance, facts)),
        "token": facts.settings.service_auth_token_settings if instance.service in facts.authenticating else None,
    }
    if autoscaling.enabled(instance):
        found["autoscaling"] = [
            autoscaling.pod_labels(instance, facts),
            autoscaling.pod_annotations(instance, facts),
            *(["routable"] if autoscaling.scraped(instance) and not pod.routable(instance, facts) else []),
        ]
    return {name: value for name, value in found.items() if value}


def _stop(instance: Instance, facts: Facts) -> list[Any]:
    """How a pod stops, which the namespaces of the mesh have a say in."""
    seconds, waits = lifecycle.drain_seconds(instance, facts), lifecycle.waits_for_connections(instance, facts)
    requests = lifecycle.requests(instance)
    return [seconds, waits, lifecycle.grace_period(instance, facts), *requests] if seconds or waits or requests else []
