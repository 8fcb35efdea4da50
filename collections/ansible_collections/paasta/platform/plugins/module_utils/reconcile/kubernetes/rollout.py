# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for all rollouts of a run at once: one watch for each kind, whatever the number of instances.

One thread decides. It takes the news of all watches out of one queue and looks only at the instances that they are
about, so a thousand instances that have nothing new cost nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.progress import emit

from .api import Api
from .board import Board, Wait, Workload
from .diagnosis import Evidence, Failure, Redact, describe, explain, gather
from .errors import ApiError, Unreachable
from .events import EventBook
from .feed import Feed, News
from .kinds import collection
from .readiness import Target, state, taken_over
from .verdict import GONE_SECONDS, Scene, hopeless, scene

#: Seconds for which news are collected before they are looked at: a rollout changes its objects many times a second.
TURN = 0.2

#: Seconds between two looks at what may have lasted too long.
TICK = 1.0

#: Seconds after which, and between, the events of instances that are not done are read: they say what a probe
#: answered, and why a StatefulSet gets no pods.
CLOSER_LOOK = 10.0

#: Namespaces whose events one closer look reads.
CLOSER_LOOK_NAMESPACES = 50

#: Seconds after the time-out in which logs are still asked for; a kubelet whose node is broken does not answer.
EVIDENCE_SECONDS = 20.0

#: Failures that are looked into at the same time.
INVESTIGATORS = 8


@dataclass(frozen=True, slots=True)
class Change:
    """News of one instance, for people and for who goes on with it.

    :ivar text: how far it is and what it waits for.
    :ivar finished: nothing more will come of it.
    :ivar failure: why it has failed.
    """

    target: Target
    text: str
    finished: bool = False
    failure: Failure | None = None


def show(change: Change) -> None:
    """Show a change to a person who watches."""
    emit("done" if change.finished else "step", subject=change.target.id, text=change.text)


class Rollout:
    """The rollouts of one run.

    :param prefix: of our labels.
    :param timeout: seconds that all of them together may take.
    :param redact: takes secrets out of texts; logs and messages may have some.
    """

    def __init__(
        self,
        api: Api,
        prefix: str,
        cluster: str,
        targets: Iterable[Target],
        timeout: float,
        *,
        redact: Redact = str,
    ) -> None:
        self._api = api
        self._prefix = prefix
        self._cluster = cluster
        self._timeout = timeout
        self._redact = redact
        self._board = Board(targets, prefix)
        self._open = dict.fromkeys(self._board.waits)
        self._results: dict[str, Failure | None] = {}
        self._queue: SimpleQueue[News] = SimpleQueue()
        self._stop = threading.Event()
        self._book = EventBook(api)
        self._feeds: dict[str, Feed] = {}
        self._lost: dict[str, str] = {}
        self._blind = ""
        self._investigations: dict[Workload, Future[Failure]] = {}
        self._closer_look: Future[set[str]] | None = None
        self._evidence_until = float("inf")
        self._on_change: Callable[[Change], None] = show

    def wait(self, on_change: Callable[[Change], None] = show) -> dict[str, Failure | None]:
        """Wait until every rollout is done or has failed, or the time is up. By id: why it failed, None if it is done.

        :param on_change: is told what happens, in this thread; of each instance only what is new.
        """
        self._on_change = on_change
        deadline = time.monotonic() + self._timeout
        with ThreadPoolExecutor(INVESTIGATORS, thread_name_prefix="paasta-diagnosis") as investigators:
            try:
                for kind in sorted({kind for kind, _namespace, _name in self._open}):
                    self._watch(kind, self._board.keep_workload)
                self._loop(deadline, investigators)
                self._time_out(investigators)
            finally:
                self._stop.set()
        for feed in self._feeds.values():
            feed.join(timeout=2.0)
        return self._results

    def observed(self) -> dict[str, Mapping[str, Any]]:
        """By id what was seen last of a workload; only of those that are there."""
        waits = self._board.waits.values()
        return {wait.target.id: wait.workload for wait in waits if wait.workload is not None}

    def _watch(self, kind: str, keep: Callable[[dict[str, Any]], Any]) -> None:
        namespaces = {namespace for _kind, namespace, _name in self._open}
        selector = f"{self._prefix}/managed=true,{self._prefix}/cluster={self._cluster}"
        path = collection(kind, namespaces.pop() if len(namespaces) == 1 else None)
        feed = self._feeds[kind] = Feed(self._api, kind, path, selector, keep, self._queue, self._stop)
        feed.start()

    def _loop(self, deadline: float, investigators: ThreadPoolExecutor) -> None:
        closer_look = time.monotonic() + CLOSER_LOOK
        while self._open and (left := deadline - time.monotonic()) > 0:
            touched = self._news(min(TICK, left)) | self._answers()
            now = time.monotonic()
            touched |= {key for key in self._open if self._board.waits[key].memory.since}
            for key in sorted(touched & self._open.keys()):
                self._look(key, now, investigators)
            if self._open and "Pod" not in self._feeds and all(self._board.waits[key].seen for key in self._open):
                # What is not done at the first look is worth knowing more about.
                self._watch("Pod", self._board.keep_pod)
            if now >= closer_look and self._closer_look is None:
                closer_look = now + CLOSER_LOOK
                self._closer_look = investigators.submit(self._read_events, self._namespaces())

    def _news(self, patience: float) -> set[Workload]:
        """Take in what the feeds report within :data:`TURN`; returns the workloads that it is about."""
        touched: set[Workload] = set()
        try:
            news = self._queue.get(timeout=patience)
            time.sleep(TURN)
            while True:
                touched |= self._take(news)
                news = self._queue.get_nowait()
        except Empty:
            return touched

    def _take(self, news: News) -> set[Workload]:
        if news.refused:
            self._refused(news)
            return set()
        lost_before = bool(self._lost)
        self._lost.pop(news.kind, None)
        if news.lost:
            self._lost[news.kind] = news.lost
        if bool(self._lost) != lost_before:
            text = f"{news.lost}; waiting goes on" if news.lost else "the API server answers again"
            emit("step", subject=f"cluster {self._cluster}", text=text)
        return set() if news.lost else self._board.take(news)

    def _refused(self, news: News) -> None:
        """Go on without pods, if those may not be seen; without the workloads themselves there is nothing to go on."""
        if news.kind == "Pod":
            self._blind = f"its pods cannot be seen: {news.refused}"
            emit("step", subject=f"cluster {self._cluster}", text=f"pods cannot be seen: {news.refused}")
            return
        for key in [key for key in self._open if key[0] == news.kind]:
            target = self._board.waits[key].target
            self._finish(key, Failure(target.id, f"its rollout cannot be waited for: {news.refused}", early=True))

    def _look(self, key: Workload, now: float, investigators: ThreadPoolExecutor) -> None:
        wait = self._board.waits[key]
        if not wait.seen or key in self._investigations:
            return
        target, workload = wait.target, wait.workload
        if wait.memory.lasts("gone", workload is None, now, GONE_SECONDS):
            where = f"{target.kind} {target.namespace}/{target.name}"
            text = f"{where} was deleted while its rollout was waited for. Run the deploy again"
            self._finish(key, Failure(target.id, text, early=True))
        elif workload is None:
            self._say(wait, "is not there")
        elif not taken_over(workload, target, self._prefix) and (progress := state(workload, target)).done:
            self._finish(key, None, progress.text)
        else:
            seen = self._scene(wait)
            if why := hopeless(seen, wait.memory, now, self._prefix):
                self._investigations[key] = investigators.submit(self._investigate, wait, why, True)
            self._say(wait, describe(seen))

    def _scene(self, wait: Wait) -> Scene:
        warnings = self._book.known(wait.target.namespace)
        return scene(wait.target, wait.workload or {}, wait.pods.values(), warnings)

    def _say(self, wait: Wait, text: str) -> None:
        text = self._redact(text)
        if text != wait.said:
            wait.said = text
            self._on_change(Change(wait.target, text))

    def _finish(self, key: Workload, failure: Failure | None, text: str = "") -> None:
        target = self._board.waits[key].target
        del self._open[key]
        self._results[target.id] = failure
        count = f"({len(self._results)} of {len(self._board.waits)} instances)"
        text = f"failed: {failure.summary} {count}" if failure else f"{text} {count}"
        self._on_change(Change(target, text, True, failure))

    def _answers(self) -> set[Workload]:
        """Take in what investigators have found out; returns the workloads of which more is known."""
        for key in [key for key, found in self._investigations.items() if found.done()]:
            self._finish(key, self._investigations.pop(key).result())
        if self._closer_look is None or not self._closer_look.done():
            return set()
        namespaces, self._closer_look = self._closer_look.result(), None
        return {key for key in self._open if key[1] in namespaces}

    def _investigate(self, wait: Wait, why: str, early: bool) -> Failure:
        """Runs in a thread of its own: logs and events take their time."""
        target, workload, pods = wait.target, wait.workload, list(wait.pods.values())
        if workload is None:
            reason = "is not there" if wait.seen else "; ".join(self._lost.values()) or "was not listed"
            return Failure(target.id, f"{target.kind} {target.namespace}/{target.name} {why}: {reason}")
        warnings = self._book.known(target.namespace)
        if self._may_ask():
            # The answer is poorer without them, and still an answer.
            with suppress(ApiError, Unreachable):
                warnings = self._book.read(target.namespace)
        seen = scene(target, workload, pods, warnings)
        evidence = gather(self._api, seen) if self._may_ask() else Evidence()
        return explain(seen, why, evidence, self._redact, early=early, note=self._blind)

    def _may_ask(self) -> bool:
        return not self._lost and time.monotonic() < self._evidence_until

    def _namespaces(self) -> list[str]:
        """Where instances are that are not done, those first whose events were read longest ago."""
        found = {namespace for _kind, namespace, _name in self._open}
        return sorted(found, key=self._book.read_at)[:CLOSER_LOOK_NAMESPACES]

    def _read_events(self, namespaces: Iterable[str]) -> set[str]:
        read = set()
        for namespace in namespaces:
            try:
                self._book.read(namespace)
            except (ApiError, Unreachable):
                break
            read.add(namespace)
        return read

    def _time_out(self, investigators: ThreadPoolExecutor) -> None:
        """Find out of everything that is not done why."""
        self._evidence_until = time.monotonic() + EVIDENCE_SECONDS
        why = f"is not done after {self._timeout:g} s"
        for key in self._open:
            if key not in self._investigations:
                wait = self._board.waits[key]
                self._investigations[key] = investigators.submit(self._investigate, wait, why, False)
        for key in list(self._open):
            self._finish(key, self._investigations.pop(key).result())
