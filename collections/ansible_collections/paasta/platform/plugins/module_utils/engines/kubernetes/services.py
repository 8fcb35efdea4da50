# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The Service of an instance: headless for a StatefulSet, whose pods need it for their names, else if the platform
wants one (``paasta_kubernetes_service_objects``). Clients of the mesh need none.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import labels, names
from .facts import Facts

# Kubernetes: DNS-1035, unlike the names of other objects.
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def service(instance: Instance, facts: Facts) -> dict[str, Any] | None:
    """The manifest; None where there is none."""
    if not _wanted(instance, facts):
        return None
    ports = [{"name": "main", "port": instance.container_port, "protocol": "TCP"}]
    prometheus = instance.keys.get("prometheus_port")
    if prometheus and prometheus != instance.container_port:
        ports.append({"name": "prometheus", "port": prometheus, "protocol": "TCP"})
    spec: dict[str, Any] = {"ports": ports, "selector": labels.selector(instance, facts)}
    if instance.keys.get("persistent_volumes"):
        spec["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": labels.metadata(instance, facts), "spec": spec}


def problems(instance: Instance, facts: Facts) -> list[str]:
    """A name that no Service can have."""
    name = names.app(instance)
    if not _wanted(instance, facts) or _NAME.fullmatch(name):
        return []
    message = f"a Kubernetes Service cannot be called {name}: its name must begin with a letter"
    return [problem(instance, (), message, "rename the service")]


def _wanted(instance: Instance, facts: Facts) -> bool:
    return facts.settings.kubernetes_service_objects or bool(instance.keys.get("persistent_volumes"))
