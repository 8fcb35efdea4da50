# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""etcd's members and health over its JSON gateway, with a client certificate: needs neither etcdctl nor gRPC.

Only the standard library: managed hosts need nothing but Python 3.10.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


class EtcdError(Exception):
    """No member did it; the text is etcd's, or says what was tried."""


@dataclass(frozen=True)
class Member:
    id: str
    name: str  # empty until it has started for the first time
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...] = ()
    learner: bool = False
    health: str = ""  # why it does not serve; empty if it does

    @property
    def healthy(self) -> bool:
        return not self.health

    @property
    def title(self) -> str:
        return self.name or ", ".join(self.peer_urls)


class Client:
    """Asks the members one after the other until one answers.

    :param endpoints: URLs of members, the preferred first.
    :param timeout: seconds for one request.
    """

    def __init__(self, endpoints: Sequence[str], ca: str, certificate: str, key: str, timeout: float = 5) -> None:
        self._endpoints = endpoints
        self._timeout = timeout
        self._context = ssl.create_default_context(cafile=ca)
        self._context.load_cert_chain(certificate, key)

    def members(self) -> list[Member]:
        """All members with their health, as a majority knows them. Raises EtcdError."""
        found = [_member(item) for item in self._call("/v3/cluster/member/list", {"linearizable": True})["members"]]
        with ThreadPoolExecutor(max(len(found), 1)) as pool:
            health = list(pool.map(self._health, found))
        return [
            Member(item.id, item.name, item.peer_urls, item.client_urls, item.learner, problem)
            for item, problem in zip(found, health, strict=True)
        ]

    def add(self, peer_url: str) -> None:
        """Let a member join as a learner, which has no vote until it is promoted. Raises EtcdError."""
        self._call("/v3/cluster/member/add", {"peerURLs": [peer_url], "isLearner": True})

    def promote(self, member: Member) -> None:
        """Give a learner its vote. Raises EtcdError, also while it has not caught up."""
        self._call("/v3/cluster/member/promote", {"ID": member.id})

    def remove(self, member: Member) -> None:
        self._call("/v3/cluster/member/remove", {"ID": member.id})

    def update(self, member: Member, peer_url: str) -> None:
        """Tell the others at which address a member will be. Raises EtcdError."""
        self._call("/v3/cluster/member/update", {"ID": member.id, "peerURLs": [peer_url]})

    def _health(self, member: Member) -> str:
        problems = []
        for url in member.client_urls:
            try:
                # A learner takes no linearizable reads, which /health makes.
                if member.learner:
                    self._ask(url, "POST", "/v3/maintenance/status", {})
                    return ""
                answer = self._ask(url, "GET", "/health", None)
                if answer.get("health") == "true":
                    return ""
                problems.append(f"{url}: {answer.get('reason') or 'it says that it is not healthy'}")
            except EtcdError as error:
                problems.append(str(error))
        return "; ".join(problems) or "it has not started yet"

    def _call(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the first member says that can do it. Raises EtcdError with what all of them said."""
        problems = []
        for endpoint in self._endpoints:
            try:
                return self._ask(endpoint, "POST", path, body)
            except EtcdError as error:
                problems.append(str(error))
        raise EtcdError("; ".join(problems) or "there is no member to ask")

    def _ask(self, endpoint: str, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        address = urlsplit(endpoint)
        link = http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=self._timeout, context=self._context
        )
        content = None if body is None else json.dumps(body)
        try:
            with closing(link):
                link.request(method, path, content, {"Content-Type": "application/json"})
                response = link.getresponse()
                text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise EtcdError(f"{endpoint}: {error or type(error).__name__}") from error
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise EtcdError(f"{endpoint}: {response.status} {text[:200].strip()}")
        # /health says 503 and why, in the shape of an answer.
        if response.status >= 400 and "health" not in answer:
            raise EtcdError(f"{endpoint}: {answer.get('message') or answer.get('error') or text[:200]}")
        return answer


def _member(item: Mapping[str, Any]) -> Member:
    return Member(
        id=str(item["ID"]),
        name=item.get("name", ""),
        peer_urls=tuple(item.get("peerURLs", ())),
        client_urls=tuple(item.get("clientURLs", ())),
        learner=bool(item.get("isLearner", False)),
    )
