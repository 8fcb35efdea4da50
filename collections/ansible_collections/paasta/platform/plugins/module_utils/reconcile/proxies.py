# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The proxies of a mesh as one: give all of them the same endpoints, and ask what all of them know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.paasta.platform.plugins.module_utils.mesh import envoy

from .agents import HostAgent, ask_all
from .replicas import FAILED, STOPPED, Replica


@dataclass(frozen=True, slots=True)
class Proxy:
    """One Envoy: its host's name, its admin interface as ``address:port``, and its directory of endpoint files."""

    name: str
    admin: str
    directory: str


@dataclass(slots=True)
class View:
    """What the proxies know of each replica: (namespace, ``address:port``) → of each proxy, [takes requests, active].

    :ivar proxies: how many were asked.
    :ivar changed: whether any endpoint file was written.
    """

    seen: dict[tuple[str, str], list[tuple[bool, int]]] = field(default_factory=dict)
    proxies: int = 0
    changed: bool = False

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

    def files(self, replicas: Iterable[Replica], hidden: Collection[str], draining: Collection[str]) -> dict[str, str]:
        """The endpoint file of every namespace, from what really runs.

        :param hidden: container ids not to advertise yet, because this run has started them and they are not healthy.
        :param draining: container ids that get no new requests.
        """
        members: dict[str, list[envoy.Endpoint]] = {namespace: [] for namespace in self._namespaces}
        for replica in replicas:
            if replica.container in hidden or replica.state in (FAILED, STOPPED) or not replica.port:
                continue
            state = envoy.DRAINING if replica.container in draining else envoy.HEALTHY
            for namespace in self.meshed(replica):
                members[namespace].append(envoy.Endpoint(replica.address, replica.port, replica.weight, state))
        return {f"{name}.json": envoy.as_file(envoy.endpoints(name, found)) for name, found in members.items()}

    def differing(self, files: Mapping[str, str]) -> dict[str, list[str]]:
        """Which endpoint files each proxy has otherwise, without writing any: proxy → file names."""
        requests = {name: {"do": "mesh_files", "directory": proxy.directory} for name, proxy in self._proxies.items()}
        answers = ask_all(self._agents, requests)
        return {
            name: names
            for name, answer in answers.items()
            if (names := sorted(file for file, text in files.items() if answer["files"].get(file) != text))
        }

    def sync(self, files: dict[str, str]) -> View:
        """Give every proxy the endpoints (written only when they changed) and return what all of them know."""
        write = files if files != self._written else None
        requests = {
            name: {"do": "mesh", "directory": proxy.directory, "files": write, "admin": proxy.admin}
            for name, proxy in self._proxies.items()
        }
        answers = ask_all(self._agents, requests)
        self._written = dict(files)
        view = View(proxies=len(answers))
        for answer in answers.values():
            view.changed = view.changed or bool(answer["changed"])
            for namespace in self._namespaces:
                for key, (takes, active) in answer["seen"].get(envoy.cluster_name(namespace), {}).items():
                    view.seen.setdefault((namespace, key), []).append((takes, active))
        return view


def _key(replica: Replica) -> str:
    return f"{replica.address}:{replica.port}"
