# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How a pod stops: the time in which the mesh forgets it, the requests that it still has, and the end of patience."""

from __future__ import annotations

import math
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import http_drain
from .facts import Facts

_MESH_DRAIN = 30  # seconds; PaaSTA: DEFAULT_PRESTOP_SLEEP_SECONDS
_CONNECTIONS_SLACK = 300  # seconds beyond the longest time-out of the mesh
_CONNECTIONS_MOST = 1800
_GRACE_DEFAULT = 30  # Kubernetes' own terminationGracePeriodSeconds

# Established connections (state 01) to the port, of IPv4 and of IPv6 sockets, which take IPv4 too. -s: one of the
# files may not be there.
_CONNECTED = "grep -qs '^ *[0-9]*: [0-9A-F]*:%04X [0-9A-F]*:[0-9A-F]* 01 ' /proc/net/tcp /proc/net/tcp6"


def drains(instance: Instance, facts: Facts) -> bool:
    """Whether a replica has to be taken out of use before it stops."""
    return instance.drain_method == "http" or (facts.in_mesh(instance) and instance.drain_method != "noop")


def drain_seconds(instance: Instance, facts: Facts) -> int:
    """How long a replica goes on as before when it is to stop."""
    written = _own(instance).get("pre_stop_drain_seconds")
    if written is None and drains(instance, facts):
        written = (instance.keys.get("drain_method_params") or FrozenDict()).get("delay")
        written = _MESH_DRAIN if written is None else written
    return math.ceil(written or 0)


def waits_for_connections(instance: Instance, facts: Facts) -> bool:
    """Whether a replica stops only when its last connection has ended."""
    written = _own(instance).get("pre_stop_wait_for_connections_to_complete")
    return drains(instance, facts) if written is None else bool(written)


def pre_stop(instance: Instance, facts: Facts) -> dict[str, Any] | None:
    """The handler ``preStop`` of the main container. Only where there is more to do than to sleep is a shell needed."""
    command = _own(instance).get("pre_stop_command")
    if command:
        # A text is a program, without a shell: so PaaSTA.
        return {"exec": {"command": [command] if isinstance(command, str) else list(command)}}
    seconds = drain_seconds(instance, facts)
    steps = requests(instance)
    if seconds and (steps or waits_for_connections(instance, facts)):
        steps.append(f"sleep {seconds}")
    if waits_for_connections(instance, facts):
        steps.append(f"while {_CONNECTED % instance.container_port}; do sleep 1; done")
    if steps:
        return {"exec": {"command": ["/bin/sh", "-c", "; ".join(steps)]}}
    # The API refuses a sleep that is longer than the grace period.
    grace = grace_period(instance, facts)
    seconds = min(seconds, _GRACE_DEFAULT if grace is None else grace)
    return {"sleep": {"seconds": seconds}} if seconds else None


def requests(instance: Instance) -> list[str]:
    """The commands by which ``drain_method: http`` tells the instance; none with any other method."""
    return http_drain.commands(instance) if instance.drain_method == "http" else []


def grace_period(instance: Instance, facts: Facts) -> int | None:
    """``terminationGracePeriodSeconds``, the hook included; None for Kubernetes' default."""
    written = _own(instance).get("termination_grace_period_seconds")
    if written is not None:
        return int(written)
    seconds = drain_seconds(instance, facts)
    if waits_for_connections(instance, facts):
        patience = min(_CONNECTIONS_MOST, _longest_timeout_ms(instance, facts) / 1000 + _CONNECTIONS_SLACK)
        return seconds + 2 + math.ceil(patience)
    if drains(instance, facts):
        return seconds + 2
    return seconds + _GRACE_DEFAULT if seconds else None


def problems(instance: Instance) -> list[str]:
    """Drain methods that cannot be carried out."""
    if instance.drain_method == "test":
        message = "test: is for PaaSTA's own tests"
        return [problem(instance, ("drain_method",), message, "use hacheck, http or noop")]
    return http_drain.problems(instance) if instance.drain_method == "http" else []


def _longest_timeout_ms(instance: Instance, facts: Facts) -> float:
    """The longest that the mesh waits for an answer of this instance."""
    namespaces = [facts.namespaces[name] for name in instance.registrations if name in facts.namespaces]
    return max((max(mesh.timeout_server_ms, *mesh.endpoint_timeouts.values(), 0) for mesh in namespaces), default=0)


def _own(instance: Instance) -> Any:
    return instance.keys.get("lifecycle") or FrozenDict()
