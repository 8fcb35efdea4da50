# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""One kind of objects kept current: listed, then watched; listed again when the server no longer has what came between.

A feed is a thread that puts news into a queue. Who takes them out keeps the objects, and needs no lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from .api import Api
from .errors import ApiError, Expired, Unreachable

#: Seconds between two attempts at a server that does not answer; the transport has tried for a minute before each.
PAUSE = 2.0

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class News:
    """What a feed reports.

    :ivar kind: of the objects.
    :ivar objects: namespace and name → the object as it is now, None when it was deleted.
    :ivar whole: the objects are all there are: what is not among them is gone.
    :ivar lost: why the server cannot be asked at the moment; the feed goes on.
    :ivar refused: why the server does not allow it; the feed has ended.
    """

    kind: str
    objects: Mapping[Key, Any] = field(default_factory=dict)
    whole: bool = False
    lost: str = ""
    refused: str = ""


class Feed:
    """News of one collection.

    :param keep: an object as the API server shows it → what of it is worth the memory; None for what is nobody's.
    :param stop: ends the feed when it is set.
    """

    def __init__(
        self,
        api: Api,
        kind: str,
        path: str,
        selector: str,
        keep: Callable[[dict[str, Any]], Any],
        queue: SimpleQueue[News],
        stop: threading.Event,
    ) -> None:
        self._api = api
        self._kind = kind
        self._path = path
        self._selector = selector
        self._keep = keep
        self._queue = queue
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name=f"paasta-watch-{kind}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except Expired:
                continue
            except ApiError as error:
                if error.status in (401, 403, 404):
                    self._queue.put(News(self._kind, refused=str(error)))
                    return
                self._wait(str(error))
            except Unreachable as error:
                self._wait(str(error))

    def _follow(self) -> None:
        items, version = self._api.list(self._path, label_selector=self._selector)
        kept = {_key(item): found for item in items if (found := self._keep(item)) is not None}
        del items
        self._queue.put(News(self._kind, kept, whole=True))
        for event in self._api.watch(
            self._path, label_selector=self._selector, resource_version=version, stop=self._stop
        ):
            item = event["object"]
            # The objects of a watch have their kind, as those of a list get it from the transport.
            found = self._keep(item) if event["type"] != "DELETED" else None
            self._queue.put(News(self._kind, {_key(item): found}))

    def _wait(self, why: str) -> None:
        if not self._stop.is_set():
            self._queue.put(News(self._kind, lost=why))
            self._stop.wait(PAUSE)


def _key(item: Mapping[str, Any]) -> Key:
    return (item["metadata"]["namespace"], item["metadata"]["name"])
