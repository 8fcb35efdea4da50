# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Pods as backends of the mesh: what the engine ``kubernetes`` has written on them, and what the kubelet says. Pure.

Part of a program that runs on hosts: only the standard library (Python 3.8).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import (
    DRAINING,
    HEALTHY,
    Endpoint,
    Source,
)

#: PaaSTA's annotation of pods that are in the mesh: a list of ``service.namespace``.
REGISTRATIONS = "smartstack_registrations"

_DEFAULT_WEIGHT = 10

#: Seconds until every proxy has surely found out that a new endpoint answers its health check.
SETTLE = 3.0

#: Seconds for which a pod that stops goes on to get requests where nobody else is there yet to take them, at most: half
#: of the time for which its hook ``preStop`` sleeps, so that the proxies know in time that it is over.
HOLD = 5.0

# In the shell's words of the hook, as engine ``kubernetes`` writes them.
_SLEEP = re.compile(r"\bsleep ([0-9]+)")

# A namespace is the name of a file here, and an annotation may hold anything.
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*\.[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Backend:
    """A pod that clients may reach through the mesh.

    :ivar instance: ``service.instance``, as labels have it.
    :ivar healthy: it is ready; else it stops, and only what it was sent before is left.
    :ivar pod: its name and node, for people.
    :ivar hold: seconds for which it surely takes requests when it has been told to stop.
    :ivar held: it stops and gets requests nevertheless, see :func:`hold`.
    """

    instance: str
    registrations: tuple[str, ...]
    address: str
    port: int
    weight: int
    healthy: bool
    pod: str
    hold: float = 0.0
    held: bool = False

    @property
    def state(self) -> str:
        return HEALTHY if self.healthy or self.held else DRAINING


@dataclass(frozen=True)
class Known:
    """A backend, and since when (monotonic seconds) it is as it is; 0 for those that were there at the beginning."""

    backend: Backend
    since: float = 0.0


def hold(known: Sequence[Known], now: float, elsewhere: bool = False) -> tuple[list[Backend], float | None]:
    """The backends of one namespace; those that stop are held while no other is known to take requests.

    Kubernetes deletes an old pod at the moment at which a new one is ready. Proxies then have to check that one first,
    and a request in between would find nobody.

    :param elsewhere: whether another source has healthy backends of this namespace.
    :returns: the backends, and when this has to be asked again.
    """
    plain = [one.backend for one in known]
    healthy = [one.since + SETTLE for one in known if one.backend.healthy]
    stopping = [one.since + one.backend.hold for one in known if not one.backend.healthy]
    due = [when for when in stopping if when > now]
    if not due or elsewhere or any(when <= now for when in healthy):
        return plain, None
    found = [replace(one.backend, held=not one.backend.healthy and one.since + one.backend.hold > now) for one in known]
    return found, min([*due, *healthy])


def read(pod: Mapping[str, Any], prefix: str) -> Backend | None:
    """The backend that a pod is; None while nobody should send it anything.

    That is so for a pod that is not in the mesh, has no address, or is not ready. One that is ready and stops is
    drained: it answers until its hook ``preStop`` has ended.

    :param prefix: of paasta's labels.
    """
    metadata, status = pod["metadata"], pod.get("status", {})
    labels = metadata.get("labels") or {}
    registrations = _registrations((metadata.get("annotations") or {}).get(REGISTRATIONS))
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())
    instance = labels.get(f"{prefix}/instance", "")
    port = _port(pod["spec"]["containers"], instance)
    address = status.get("podIP")
    if not (registrations and ready and port and address and status.get("phase") == "Running"):
        return None
    weight = labels.get(f"{prefix}/weight", "")
    return Backend(
        instance=f"{labels.get(f'{prefix}/service', '')}.{instance}",
        registrations=registrations,
        address=address,
        port=port,
        weight=max(1, int(weight)) if weight.isdigit() else _DEFAULT_WEIGHT,
        healthy="deletionTimestamp" not in metadata,
        hold=min(HOLD, _sleep(pod["spec"]["containers"], instance) / 2),
        pod=f"{metadata['name']} on {pod['spec'].get('nodeName', 'no node')}",
    )


def _registrations(annotation: str | None) -> tuple[str, ...]:
    try:
        found = json.loads(annotation or "[]")
    except ValueError:
        return ()
    if not isinstance(found, list):
        return ()
    return tuple(sorted({name for name in found if isinstance(name, str) and _NAMESPACE.fullmatch(name)}))


def _port(containers: Sequence[Mapping[str, Any]], instance: str) -> int | None:
    """The port of the instance's own container: others may have put theirs before it."""
    container = _container(containers, instance)
    return int(container["ports"][0]["containerPort"]) if container else None


def _container(containers: Sequence[Mapping[str, Any]], instance: str) -> Mapping[str, Any] | None:
    name = instance.replace("_", "--").lower()
    listening = [one for one in containers if one.get("ports")]
    chosen = [one for one in listening if one["name"] == name] or listening
    return chosen[0] if chosen else None


def _sleep(containers: Sequence[Mapping[str, Any]], instance: str) -> int:
    """Seconds for which the container goes on as before when it is to stop."""
    hook = ((_container(containers, instance) or {}).get("lifecycle") or {}).get("preStop") or {}
    if "sleep" in hook:
        return int(hook["sleep"]["seconds"])
    found = _SLEEP.search(" ".join((hook.get("exec") or {}).get("command") or ()))
    return int(found[1]) if found else 0


def direct(namespace: str, backends: Iterable[Backend]) -> Source:
    """The source of one namespace for a proxy that reaches pods: the pods."""
    members = [backend for backend in backends if namespace in backend.registrations]
    endpoints = tuple(Endpoint(one.address, one.port, one.weight, one.state) for one in members)
    return Source(tuple(sorted(set(endpoints))), _counts(members))


def through(namespace: str, backends: Iterable[Backend], nodes: Collection[str], port: int | None) -> Source:
    """The same for a proxy that reaches no pods: the proxies of the nodes, which do.

    They share the weight of all pods, so that they stand beside backends of other sources as the pods would.

    :param nodes: addresses of the nodes' proxies.
    :param port: the namespace's proxy port; None when it has none.
    """
    members = [backend for backend in backends if namespace in backend.registrations]
    healthy = [backend for backend in members if backend.state == HEALTHY]
    if not members or not nodes or port is None:
        return Source()
    weight = max(1, round(sum(backend.weight for backend in healthy or members) / len(nodes)))
    state = HEALTHY if healthy else DRAINING
    return Source(tuple(sorted(Endpoint(node, port, weight, state) for node in nodes)), _counts(members))


def _counts(members: Iterable[Backend]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for member in members:
        if member.healthy:
            counts[member.instance] = counts.get(member.instance, 0) + 1
    return counts


def changes(namespace: str, before: Source, after: Source, pods: Mapping[str, str]) -> list[str]:
    """What a change of a source means, one line for each endpoint.

    :param pods: the pods behind endpoints, for people.
    """
    old = {endpoint.key: endpoint for endpoint in before.endpoints}
    new = {endpoint.key: endpoint for endpoint in after.endpoints}
    lines = []
    for key in sorted(old.keys() | new.keys()):
        was, is_ = old.get(key), new.get(key)
        if is_ is None:
            words = "leaves"
        elif was is None or was.state != is_.state:
            words = "joins" if is_.state == HEALTHY else "drains"
        elif was.weight != is_.weight:
            words = f"weight {was.weight} -> {is_.weight}"
        else:
            continue
        behind = f" ({pods[key]})" if key in pods else ""
        lines.append(f"{namespace}: {key} {words}{behind}")
    return lines
