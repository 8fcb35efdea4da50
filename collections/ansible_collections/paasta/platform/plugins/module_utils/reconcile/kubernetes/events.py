# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the cluster's components say of objects: events, of which the warnings explain what statuses do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .api import Api
from .kinds import collection
from .pods import one_line

#: What is asked for: normal events say what went well, and most are of that sort.
WARNINGS = "type!=Normal"

#: Seconds for which the events of a namespace are not asked for again: many instances may share one.
FRESH = 8.0


@dataclass(frozen=True, slots=True)
class Event:
    """A warning about an object.

    :ivar kind: of the object; with ``namespace``, ``name`` and ``uid`` it says which.
    :ivar count: how often it happened.
    :ivar last: when it happened last, RFC 3339.
    """

    namespace: str
    kind: str
    name: str
    uid: str
    reason: str
    message: str
    count: int
    last: str

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.reason}{times}: {self.message}"


def read(event: Mapping[str, Any]) -> Event:
    """An event of ``core/v1``; those written through ``events.k8s.io/v1`` have their count and time elsewhere."""
    series, about = event.get("series") or {}, event["involvedObject"]
    return Event(
        namespace=about.get("namespace", ""),
        kind=about.get("kind", ""),
        name=about.get("name", ""),
        uid=about.get("uid", ""),
        reason=event.get("reason", ""),
        message=one_line(event.get("message") or ""),
        count=series.get("count") or event.get("count") or 1,
        last=series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or "",
    )


def newest_first(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.last, event.count), reverse=True)


Warnings = dict[tuple[str, str], list[Event]]


class EventBook:
    """The warnings of namespaces, each asked for when it is needed. For several threads."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pages: dict[str, tuple[float, Warnings]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def known(self, namespace: str) -> Warnings:
        """What was read last, by kind and name of the object; asks nobody."""
        return self._pages.get(namespace, (0.0, {}))[1]

    def read_at(self, namespace: str) -> float:
        """When a namespace was read last, in monotonic seconds."""
        return self._pages.get(namespace, (0.0, {}))[0]

    def read(self, namespace: str) -> Warnings:
        """The warnings of a namespace, by kind and name of the object; passes on what the server refuses."""
        with self._lock:
            lock = self._locks.setdefault(namespace, threading.Lock())
        with lock:
            read_at, page = self._pages.get(namespace, (float("-inf"), {}))
            if time.monotonic() - read_at > FRESH:
                items, _version = self._api.list(collection("Event", namespace), field_selector=WARNINGS)
                page = by_object(map(read, items))
                self._pages[namespace] = (time.monotonic(), page)
            return page


def by_object(events: Iterable[Event]) -> Warnings:
    """Kind and name of the object → its events, the newest first. All are of one namespace."""
    found: Warnings = {}
    for event in newest_first(events):
        found.setdefault((event.kind, event.name), []).append(event)
    return found
