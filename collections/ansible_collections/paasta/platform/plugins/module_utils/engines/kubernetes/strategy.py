# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How old replicas give way to new ones: PaaSTA's bounce methods as Kubernetes' strategies.

What a Deployment can guarantee, and what not:

* ``crossover``: never fewer than ``bounce_margin_factor`` of the replicas are available, never more than
  ``bounce_overprovision_factor`` are added. Both are exact: 0.9 is ``10%``, where PaaSTA truncates to ``9%``.
* ``downthenup``: no new replica is created before the last old one has ended.
* ``brutal``: all old replicas stop at once, whatever is ready.
* ``upthendown``: all new replicas start beside the old ones, and never fewer than all are available. But a Deployment
  stops an old replica for each new one that becomes ready; it cannot keep all of the old until all of the new are.

A StatefulSet has no such choice: it replaces its replicas one by one, each stopped before its successor starts, and
goes on when that is ready.
"""

from __future__ import annotations

import math
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from .facts import Facts

METHODS = ("brutal", "crossover", "downthenup", "upthendown")

#: Seconds after which Kubernetes says that a rollout makes no progress, where nobody says otherwise.
_DEADLINE_DEFAULT = 600
#: Seconds that the start of a replica may take besides its health check: to be scheduled, and to pull its image.
_START_ALLOWANCE = 300


def deployment(instance: Instance, facts: Facts) -> dict[str, Any]:
    """``strategy`` of a Deployment."""
    method = instance.bounce.method
    if method == "downthenup":
        return {"type": "Recreate"}
    surge = _percent(
        instance.keys.get("bounce_overprovision_factor", facts.settings.default_bounce_overprovision_factor)
    )
    if method == "upthendown":
        return _rolling(100, 0)
    if method == "brutal":
        return _rolling(surge, 100)
    return _rolling(surge, 100 - _percent(instance.bounce.margin_factor))


def _rolling(surge: int, unavailable: int) -> dict[str, Any]:
    """Both may not be nothing: a replica is then added, which Kubernetes rounds up to from any share."""
    if not surge and not unavailable:
        surge = 1
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": f"{surge}%", "maxUnavailable": f"{unavailable}%"}}


def _percent(share: float) -> int:
    return round(share * 100)


def min_ready_seconds(instance: Instance) -> int:
    """How long a new replica must have been ready before the next one is replaced."""
    return math.ceil((instance.keys.get("bounce_health_params") or {}).get("min_task_uptime") or 0)


def progress_deadline(instance: Instance) -> int | None:
    """Seconds without progress that make a rollout a failed one; None where Kubernetes' default is enough.

    A replica may take as long to become ready as its health check lets it: a deadline below that would call a slow
    start a failure.
    """
    needed = _START_ALLOWANCE + min_ready_seconds(instance)
    check = instance.healthcheck
    if check is not None:
        needed += math.ceil(check.grace_period + check.max_failures * max(check.interval, check.timeout))
    return needed if needed > _DEADLINE_DEFAULT else None


def problems(instance: Instance) -> list[str]:
    """What no strategy can carry out, and what would run a volume's only reader twice."""
    found = []
    method = instance.bounce.method
    if method not in METHODS:
        found.append(
            problem(
                instance,
                ("bounce_method",),
                f"{method}: engine kubernetes can {', '.join(METHODS)}",
            )
        )
    if instance.keys.get("aws_ebs_volumes"):
        found += _single_volume(instance)
    return found


def _single_volume(instance: Instance) -> list[str]:
    """An EBS volume is attached to one node at a time: a second replica waits for it for ever."""
    found = []
    keys = instance.keys
    if keys.get("bounce_method") != "downthenup":
        message = "an EBS volume cannot be attached to an old and a new replica at once"
        path = ("bounce_method",) if "bounce_method" in keys else ("aws_ebs_volumes",)
        found.append(problem(instance, path, message, "set bounce_method: downthenup"))
    for key in ("instances", "max_instances"):
        if (keys.get(key) or 0) > 1:
            message = f"{keys[key]} replicas cannot share an EBS volume"
            found.append(problem(instance, (key,), message, "set it to 1, or use persistent_volumes"))
    return found


def warnings(instance: Instance) -> list[str]:
    """Bounce methods that the workload carries out in part."""
    method = instance.bounce.method
    if instance.keys.get("persistent_volumes"):
        if method == "crossover" or (method == "downthenup" and instance.instances <= 1):
            return []
        return [
            problem(
                instance,
                ("bounce_method",),
                f"{method}: a StatefulSet, which persistent_volumes make of it, replaces replicas one by one",
            )
        ]
    if method == "upthendown":
        message = (
            "upthendown: a Deployment stops an old replica for each new one that is ready, not all of them at the end"
        )
        return [problem(instance, ("bounce_method",), message)]
    return []
