# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Health checks as probes of the kubelet.

Liveness waits for the grace period, as PaaSTA has it. Readiness does not: a check that fails while a replica starts
only says that it is not ready yet, so a replica gets its share of work, and a bounce goes on, as soon as it can.
"""

from __future__ import annotations

import math
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import HealthCheck, Instance


def liveness(instance: Instance) -> dict[str, Any] | None:
    """``livenessProbe``; None for an instance that is healthy while it runs."""
    check = instance.healthcheck
    if check is None:
        return None
    probe = _probe(check, instance.container_port)
    delay = math.ceil(check.grace_period)
    if delay:
        probe["initialDelaySeconds"] = delay
    return probe


def readiness(instance: Instance) -> dict[str, Any] | None:
    """``readinessProbe`` of an instance that nothing else finds ready."""
    check = instance.healthcheck
    return None if check is None else _probe(check, instance.container_port)


def _probe(check: HealthCheck, port: int) -> dict[str, Any]:
    """Whole seconds, for the kubelet has no others; rounded up, so that nothing is more impatient than was asked."""
    return {
        **_handler(check, port),
        "periodSeconds": math.ceil(check.interval),
        "timeoutSeconds": math.ceil(check.timeout),
        "failureThreshold": check.max_failures,
    }


def _handler(check: HealthCheck, port: int) -> dict[str, Any]:
    if check.mode == "cmd":
        return {"exec": {"command": ["/bin/sh", "-c", str(check.cmd)]}}
    if check.mode == "tcp":
        return {"tcpSocket": {"port": port}}
    get: dict[str, Any] = {"path": check.uri, "port": port}
    if check.mode == "https":
        get["scheme"] = "HTTPS"
    return {"httpGet": get}
