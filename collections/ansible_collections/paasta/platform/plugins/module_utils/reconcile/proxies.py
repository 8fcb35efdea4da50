# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The proxies of a mesh as one: give all of them the same endpoints, and ask what all of them know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import (
    DRAINING,
    HEALTHY,
    Endpoint,
    Source,
    cluster_name,
)

from .agents import HostAgent, ask_all
from .replicas import FAILED, STOPPED, Replica

#: What this engine's endpoints are called among the sources of a proxy.
SOURCE = "docker"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One Envoy: its host's name, its admin interface as ``address:port``, and the directory of its configuration."""

    name: str
    admin: str
    directory: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An instance that another engine runs by the plan.

    :ivar engine: which one.
    :ivar label: the id that its replicas have there.
    :ivar replicas: how many must be in the mesh there before what runs here may go.
    :ivar registrations: where, as far as they have a proxy port.
    """

    engine: str
    label: str
    replicas: int
    registrations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Others:
    """What one proxy has of one namespace from other engines.

    :ivar replicas: how many healthy ones of each instance its endpoints stand for.
    :ivar endpoints: how many endpoints there are.
    :ivar taking: to how many of them the proxy sends requests.
    """

    replicas: Mapping[str, int]
    endpoints: int
    taking: int


@dataclass(slots=True)
class View:
    """What the proxies know of each replica: (namespace, ``address:port``) → of each proxy, [takes requests, active].

    :ivar proxies: how many were asked.
    :ivar changed: whether any endpoint file was written.
    :ivar others: namespace → proxy → what sources of other engines have there, as far as it was asked for.
    """

    seen: dict[tuple[str, str], list[tuple[bool, int]]] = field(default_factory=dict)
    proxies: int = 0
    changed: bool = False
    others: dict[str, dict[str, Others]] = field(default_factory=dict)

    def in_every_proxy(self, namespace: str, replica: Replica) -> bool:
        """Whether every proxy sends the replica new requests."""
        entries = self.seen.get((namespace, _key(replica)), [])
        return len(entries) == self.proxies and all(takes for takes, _active in entries)

    def in_any_proxy(self, namespace: str, replica: Replica) -> bool:
        """Whether a proxy still sends the replica new requests."""
        return any(takes for takes, _active in self.seen.get((namespace, _key(replica)), []))

    def under_way(self, namespace: str, replica: Replica) -> int:
        """Requests (tcp: connections) that the proxies have sent the replica and that have not ended."""
        return sum(active for _takes, active in self.seen.get((namespace, _key(replica)), []))

    def not_taken_over(self, moved: Elsewhere) -> str:
        """Why what runs here cannot go yet; empty when every proxy sends requests to what runs elsewhere instead.

        Where endpoints are those of pods, that means to as many as are wanted; where they are those of nodes, one of
        which may be down, to as many nodes or all.
        """
        for namespace in moved.registrations:
            for proxy, there in sorted(self.others.get(namespace, {}).items()):
                known, needed = there.replicas.get(moved.label, 0), min(moved.replicas, there.endpoints)
                if known < moved.replicas:
                    return f"the proxy of {proxy} knows {known} of {moved.replicas} replicas on {moved.engine}"
                if there.taking < needed:
                    return f"the proxy of {proxy} sends {there.taking} of {needed} on {moved.engine} requests"
        return ""

    def add(self, proxy: str, answer: Mapping[str, Any], namespaces: Iterable[str]) -> None:
        """Take in what the agent on one proxy's host has answered."""
        self.proxies += 1
        self.changed = self.changed or bool(answer["changed"])
        for namespace in namespaces:
            for key, (takes, active) in answer["seen"].get(cluster_name(namespace), {}).items():
                self.seen.setdefault((namespace, key), []).append((takes, active))
        for namespace, there in answer["others"].items():
            known = answer["seen"].get(cluster_name(namespace), {})
            taking = sum(bool(known.get(key, (False, 0))[0]) for key in there["endpoints"])
            found = Others(there["instances"], len(there["endpoints"]), taking)
            self.others.setdefault(namespace, {})[proxy] = found


class Proxies:
    """The proxies of one cluster.

    :param namespaces: those of the plan; replicas registered elsewhere are nobody's business here.
    """

    def __init__(self, proxies: Iterable[Proxy], agents: Mapping[str, HostAgent], namespaces: Collection[str]) -> None:
        self._proxies = {proxy.name: proxy for proxy in proxies}
        self._agents = agents
        self._namespaces = frozenset(namespaces) if self._proxies else frozenset()
        self._written: dict[str, str] | None = None

    def meshed(self, replica: Replica) -> list[str]:
        """The namespaces under which the replica is advertised."""
        return [registration for registration in replica.registrations if registration in self._namespaces]

    def known(self, namespaces: Iterable[str]) -> set[str]:
        """Those that the proxies have."""
        return set(namespaces) & self._namespaces

    def files(self, replicas: Iterable[Replica], hidden: Collection[str], draining: Collection[str]) -> dict[str, str]:
        """What every namespace's file of this source has to be, from what really runs.

        :param hidden: container ids not to advertise yet, because this run has started them and they are not healthy.
        :param draining: container ids that get no new requests.
        """
        members: dict[str, list[Endpoint]] = {namespace: [] for namespace in self._namespaces}
        for replica in replicas:
            if replica.container in hidden or replica.state in (FAILED, STOPPED) or not replica.port:
                continue
            state = DRAINING if replica.container in draining else HEALTHY
            for namespace in self.meshed(replica):
                members[namespace].append(Endpoint(replica.address, replica.port, replica.weight, state))
        return {namespace: Source(tuple(found)).text() for namespace, found in members.items()}

    def stale(self, files: Mapping[str, str]) -> dict[str, list[str]]:
        """Which namespaces :meth:`sync` would change, without a change: proxy → namespaces."""
        requests = {
            name: {"do": "mesh_stale", "directory": proxy.directory, "source": SOURCE, "files": dict(files)}
            for name, proxy in self._proxies.items()
        }
        answers = ask_all(self._agents, requests)
        return {name: answer["stale"] for name, answer in answers.items() if answer["stale"]}

    def sync(self, files: Mapping[str, str], others: Collection[str] = ()) -> View:
        """Give every proxy the endpoints (only those that changed are written) and return what all of them know.

        :param others: namespaces of which the view shall have what other sources say.
        """
        before = self._written
        changed = {name: text for name, text in files.items() if before is None or before.get(name) != text}
        requests = {
            name: {
                "do": "mesh",
                "directory": proxy.directory,
                "admin": proxy.admin,
                "source": SOURCE,
                "files": changed,
                "whole": before is None,
                "others": sorted(others),
            }
            for name, proxy in self._proxies.items()
        }
        answers = ask_all(self._agents, requests)
        self._written = dict(files)
        view = View()
        for proxy, answer in answers.items():
            view.add(proxy, answer, self._namespaces)
        return view


def _key(replica: Replica) -> str:
    return f"{replica.address}:{replica.port}"
