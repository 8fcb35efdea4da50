# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The hacheck sidecar of pods in the mesh: it makes a pod ready when the proxies see it, and takes it
out when it stops.

It is an option: without ``hacheck_sidecar_image_url`` there is none, and a pod is ready by its own health check.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import environment, lifecycle, quantities, security
from .facts import Facts

NAME = "hacheck"
PORT = 6666

_INITIAL_DELAY = 10  # seconds, and so is the period; PaaSTA: get_hacheck_sidecar_container
_PROBE_TIMEOUT = 120  # seconds; the time-out of PaaSTA's readiness_check_prefix_template, which Kubernetes' 1 s defeats
_RESOURCES: Mapping[str, Any] = {"cpu": 0.1, "memory": "1024Mi", "ephemeral-storage": "256Mi"}


def present(instance: Instance, facts: Facts) -> bool:
    """Whether the instance's pods have it."""
    settings = facts.settings
    return bool(settings.use_hacheck_sidecar and settings.hacheck_sidecar_image_url) and facts.in_mesh(instance)


def missing(instance: Instance, facts: Facts) -> bool:
    """Whether they should have it, and the platform does not say of which image."""
    settings = facts.settings
    return settings.use_hacheck_sidecar and not settings.hacheck_sidecar_image_url and facts.in_mesh(instance)


def decides_readiness(instance: Instance, facts: Facts) -> bool:
    """Whether a pod is ready when the sidecar says so, and not by its own health check."""
    return present(instance, facts) and bool(_script(instance, facts))


def asked(instance: Instance) -> dict[str, bool]:
    """What the instance itself says of the proxies that a pod has to be up in; empty: as the platform says."""
    params = instance.keys.get("bounce_health_params") or FrozenDict()
    return {name: params[name] for name in ("check_envoy", "check_haproxy") if name in params}


def container(instance: Instance, facts: Facts, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    """The sidecar, with what it mounts."""
    registrations = " ".join(instance.registrations)
    script = _script(instance, facts)
    leave = f"/usr/bin/hadown {' '.join(map(shlex.quote, instance.registrations))}"
    optional = {
        "readinessProbe": _readiness(instance, facts, script) if script else None,
        "securityContext": security.sidecar(facts),
        "volumeMounts": mounts,
    }
    return {
        "name": NAME,
        "image": facts.settings.hacheck_sidecar_image_url,
        "env": [*environment.of_pod(facts), environment.plain("MESH_REGISTRATIONS", registrations)],
        "lifecycle": {
            "preStop": {
                "exec": {"command": ["/bin/sh", "-c", f"{leave}; sleep {lifecycle.drain_seconds(instance, facts) + 1}"]}
            }
        },
        "ports": [{"containerPort": PORT}],
        "resources": _resources(instance, facts),
        **{key: value for key, value in optional.items() if value},
    }


def problems(instance: Instance, facts: Facts) -> list[str]:
    """What cannot be in one pod with it."""
    if not present(instance, facts):
        return []
    found = []
    if instance.name == NAME:
        found.append(problem(instance, (), f"its container would be called {NAME}, as the sidecar is", "rename it"))
    if instance.container_port == PORT:
        found.append(problem(instance, ("container_port",), f"{PORT} is that of the hacheck sidecar", "use another"))
    return found


def _script(instance: Instance, facts: Facts) -> tuple[str, ...]:
    """The command that asks the proxies which the instance has to be up in; none when it need not be up in any."""
    settings = facts.settings
    params = asked(instance)
    nerve = params.get("check_haproxy", settings.enable_nerve_readiness_check)
    envoy = params.get("check_envoy", settings.enable_envoy_readiness_check)
    if nerve and envoy:
        return settings.envoy_nerve_readiness_check_script
    if envoy:
        return settings.envoy_readiness_check_script
    return settings.nerve_readiness_check_script if nerve else ()


def _readiness(instance: Instance, facts: Facts, script: tuple[str, ...]) -> dict[str, Any]:
    settings = facts.settings
    delay: float = _INITIAL_DELAY
    if settings.hacheck_match_initial_delay and instance.healthcheck:
        delay = instance.healthcheck.grace_period
    probe: dict[str, Any] = {
        "exec": {
            "command": [
                *settings.readiness_check_prefix_template,
                *script,
                str(instance.container_port),
                *instance.registrations,
            ]
        },
        "periodSeconds": _INITIAL_DELAY,
        "timeoutSeconds": _PROBE_TIMEOUT,
    }
    if delay:
        probe["initialDelaySeconds"] = math.ceil(delay)
    return probe


def _resources(instance: Instance, facts: Facts) -> dict[str, Any]:
    """The instance's own over the platform's over PaaSTA's; requests are limits too unless those are said."""
    layers = [
        (config.get(NAME) or {})
        for config in (
            facts.settings.sidecar_requirements_config,
            instance.keys.get("sidecar_resource_requirements") or {},
        )
    ]
    requests = {**_RESOURCES, **_merged(layers, "requests")}
    limits = {**requests, **_merged(layers, "limits")}
    return {"limits": _canonical(limits), "requests": _canonical(requests)}


def _merged(layers: list[Any], name: str) -> dict[str, Any]:
    return {resource: amount for layer in layers for resource, amount in (layer.get(name) or {}).items()}


def _canonical(amounts: Mapping[str, Any]) -> dict[str, str]:
    return {resource: quantities.canonical(amount) for resource, amount in amounts.items()}
