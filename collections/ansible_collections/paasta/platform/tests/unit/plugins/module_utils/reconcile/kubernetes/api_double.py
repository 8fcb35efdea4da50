# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""An API server in memory: lists, watches and logs of objects that a test sets, and the faults that it asks for."""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.errors import ApiError, Expired
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.kinds import collection

Object = dict[str, Any]


class ApiDouble:
    """For the methods of Api that a rollout uses.

    :ivar asked: how often each path was listed, watched or read.
    :ivar refused: path → what asking it raises; once, or for ever if it is not a list.
    """

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()
        self.refused: dict[str, Any] = {}
        self.logs: dict[str, str] = {}
        self.events: list[Object] = []
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._watches: dict[str, SimpleQueue[Object | Exception]] = {}
        self._lock = threading.Lock()

    def set(self, *objects: Object, quietly: bool = False) -> None:
        """Create or change objects; quietly: no watch tells of it."""
        for item in objects:
            key = (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
            with self._lock:
                self._objects[key] = item
                watch = self._watches.get(item["kind"])
            if watch and not quietly:
                watch.put({"type": "MODIFIED", "object": copy.deepcopy(item)})

    def delete(self, item: Object, *, quietly: bool = False) -> None:
        key = (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
        with self._lock:
            del self._objects[key]
            watch = self._watches.get(item["kind"])
        if watch and not quietly:
            watch.put({"type": "DELETED", "object": copy.deepcopy(item)})

    def break_watch(self, kind: str, error: Exception | None = None) -> None:
        """The watch of a kind ends: the server no longer has what comes after its version."""
        with self._lock:
            watch = self._watches[kind]
        watch.put(error or Expired(410, "Expired", "too old resource version", {}, "WATCH"))

    # What a rollout asks

    def list(
        self, path: str, *, label_selector: str | None = None, field_selector: str | None = None
    ) -> tuple[list[Object], str]:
        self._ask("list", path)
        if path.endswith("/events"):
            return copy.deepcopy(self.events), "1"
        with self._lock:
            kind = self._kind(path)
            self._watches[kind] = SimpleQueue()
            return [copy.deepcopy(item) for key, item in self._objects.items() if key[0] == kind], "1"

    def watch(
        self, path: str, *, resource_version: str, stop: threading.Event, label_selector: str | None = None
    ) -> Iterator[Object]:
        self._ask("watch", path)
        kind = self._kind(path)
        watch = self._watches[kind]
        while not stop.is_set():
            try:
                event = watch.get(timeout=0.02)
            except Empty:
                continue
            if isinstance(event, Exception):
                raise event
            yield event

    def text(self, path: str, *, query: dict[str, Any]) -> str:
        self._ask("text", path)
        return self.logs.get(path.split("/")[-2], "")

    def _ask(self, verb: str, path: str) -> None:
        self.asked[verb, path] += 1
        found = self.refused.get(path)
        if isinstance(found, list):
            found = found.pop(0) if found else None
        if found:
            raise found

    @staticmethod
    def _kind(path: str) -> str:
        last = path.rpartition("/")[2]
        return next(
            kind for kind in ("Deployment", "StatefulSet", "Pod") if collection(kind).rpartition("/")[2] == last
        )


def forbidden(subject: str) -> ApiError:
    return ApiError(403, "Forbidden", "User cannot do that", {}, subject)
