# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A watch that goes on: through time-outs, broken connections and restarts of the server."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

with suppress(ImportError):  # libraries.py says so
    from urllib3.exceptions import HTTPError

from .errors import ApiError, Unreachable, status_error
from .retry import Patience

# Seconds after which the server ends a watch, about; without an answer somewhat later, the connection is dead.
_LENGTH = 60
_GRACE = 15

# Seconds: a watch without an event that is over sooner was refused in effect, and is not begun again without a pause.
_AT_ONCE = 1.0

Connect = Callable[[Mapping[str, Any], float], Any]


def events(connect: Connect, version: str, stop: threading.Event, seconds: float) -> Iterator[dict[str, Any]]:
    """The events after ``version``, until ``stop`` is set.

    :param connect: opens the stream, given more parameters of the query and a timeout in seconds.
    :param seconds: patience with a server that answers and then ends the stream without an event.
    :raises Expired: the version is too old; list again.
    """
    patience = Patience(seconds)
    while not stop.is_set():
        length = random.randint(_LENGTH * 3 // 4, _LENGTH)
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": length, "resourceVersion": version}
        try:
            response = connect(query, length + _GRACE)
        except (ApiError, Unreachable):
            if stop.is_set():
                return
            raise
        problem = None
        began, before = time.monotonic(), version
        for event in _read(response, stop):
            if event["type"] == "ERROR":
                problem = status_error(event["object"], "WATCH")
                break
            patience = Patience(seconds)
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                yield event
        if problem is None and (version != before or time.monotonic() - began > _AT_ONCE):
            continue
        delay = patience.delay() if problem is None or problem.status in (429, 500, 502, 503, 504) else None
        if delay is None:
            raise problem or Unreachable("the API server, or a proxy before it, ends every watch at once")
        stop.wait(delay)


def _read(response: Any, stop: threading.Event) -> Iterator[dict[str, Any]]:
    """The events of one stream, until it ends, however it does. The beginning of a line is not an event."""
    ended = threading.Event()
    threading.Thread(target=_interrupt, args=(response, stop, ended), daemon=True).start()
    rest = b""
    try:
        with suppress(HTTPError, OSError, ValueError):
            for part in response.stream(65536):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if stop.is_set():
                        return
                    if line:
                        yield json.loads(line)
    finally:
        ended.set()
        # It may be in the middle of an answer: not for another request.
        response.close()


def _interrupt(response: Any, stop: threading.Event, ended: threading.Event) -> None:
    """Wakes up who waits for the next event when the watch is stopped."""
    while not stop.wait(0.5):
        if ended.is_set():
            return
    with suppress(OSError, ValueError, AttributeError):
        response.shutdown()
