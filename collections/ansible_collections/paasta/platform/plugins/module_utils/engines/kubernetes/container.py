# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The main container of a pod."""

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, Version
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.names import sanitise

from . import environment, lifecycle, probes, quantities, security, sidecar
from .facts import Facts

GPU = "nvidia.com/gpu"


def container(instance: Instance, version: Version, facts: Facts, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    """The container, with what it mounts.

    Its readiness is that of its own health check, unless a sidecar asks the mesh, which knows better.
    """
    handler = lifecycle.pre_stop(instance, facts)
    optional = {
        "command": _command(instance.cmd),
        "args": list(instance.args),
        "lifecycle": {"preStop": handler} if handler else None,
        "livenessProbe": probes.liveness(instance),
        "readinessProbe": None if sidecar.decides_readiness(instance, facts) else probes.readiness(instance),
        "securityContext": security.container(instance, facts),
        "volumeMounts": mounts,
    }
    return {
        "name": name(instance),
        "image": f"{instance.docker_registry or facts.registry}/{version.docker_image}",
        "env": environment.environment(instance, version, facts),
        "ports": _ports(instance),
        "resources": resources(instance),
        **{key: value for key, value in optional.items() if value},
    }


def name(instance: Instance) -> str:
    """What ``kubectl logs -c`` calls it."""
    return sanitise(instance.name)


def resources(instance: Instance) -> dict[str, Any]:
    """Memory and disk are limits and requests alike; CPU may burst."""
    memory, disk = quantities.mebibytes(instance.mem), quantities.mebibytes(instance.disk)
    limits = {
        "cpu": quantities.cpu(instance.cpus + instance.cpu_burst_add),
        "memory": memory,
        "ephemeral-storage": disk,
    }
    gpus = instance.keys.get("gpus")
    if gpus:
        limits[GPU] = str(gpus)
    requests = {"cpu": quantities.cpu(instance.cpus), "memory": memory, "ephemeral-storage": disk}
    return {"limits": limits, "requests": requests}


def _command(cmd: str | tuple[str, ...] | None) -> list[str] | None:
    """``cmd`` replaces the image's entry point; a string goes through ``sh -c``."""
    if cmd is None:
        return None
    return ["sh", "-c", cmd] if isinstance(cmd, str) else list(cmd)


def _ports(instance: Instance) -> list[dict[str, Any]]:
    ports = dict.fromkeys([instance.container_port, instance.keys.get("prometheus_port") or instance.container_port])
    return [{"containerPort": port} for port in ports]
