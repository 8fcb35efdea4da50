# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How often and how fast an API server is asked: patience, back-off, concurrency and the rate of changes."""

from __future__ import annotations

import random
import threading
import time

# Seconds before the second attempt; doubled before each further one, up to the longest.
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 8.0

# Seconds without a 429 after which one more request at a time is allowed again.
_REGROWTH = 1.0


class Patience:
    """One request's retries: how long to wait before the next, until the time is used up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0
        self.attempts = 0

    def delay(self, told: float | None = None) -> float | None:
        """Seconds to wait after a failure; None: no more attempts. The time counts from the first failure.

        :param told: what the server says in Retry-After.
        """
        now = time.monotonic()
        if not self._until:
            self._until = now + self._seconds
        longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2**self.attempts)
        # Half of it is random, or all workers would come back at the same moment.
        delay = longest * random.uniform(0.5, 1)
        if told is not None:
            delay = told + random.uniform(0, 0.5)
        self.attempts += 1
        return delay if now + delay <= self._until else None


class Gate:
    """How many requests are under way at most. Halved when the server says 429, and grown again slowly.

    API priority and fairness share the server out among its users: who is told to come back later does not help
    itself by coming back with as many requests at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._inside = 0
        self._grow_at = 0.0
        self._changed = threading.Condition(threading.Lock())

    @property
    def limit(self) -> int:
        return self._limit

    def enter(self) -> None:
        with self._changed:
            while self._inside >= self._allowed():
                # Woken by who leaves; looked at again because the limit grows with time.
                self._changed.wait(_REGROWTH)
            self._inside += 1

    def leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify()

    def narrow(self) -> None:
        """The server says that it is too much. One burst of refusals halves the limit once."""
        with self._changed:
            now = time.monotonic()
            if self._limit == self._most or now >= self._grow_at - _REGROWTH / 2:
                self._limit = max(1, self._limit // 2)
            self._grow_at = now + _REGROWTH

    def _allowed(self) -> int:
        if self._limit < self._most:
            now = time.monotonic()
            if now >= self._grow_at:
                self._limit += 1
                self._grow_at = now + _REGROWTH
        return self._limit


class Pace:
    """At most so many changes per second, evenly: each caller gets the next free moment."""

    def __init__(self, per_second: float | None) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        if not self._interval:
            return
        with self._lock:
            now = time.monotonic()
            moment = max(now, self._next)
            self._next = moment + self._interval
        time.sleep(moment - now)
