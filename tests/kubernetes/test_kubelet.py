# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A test kubelet. It is no kubelet: it runs nothing.

It registers nodes and writes the status of the pods that the scheduler gives them, as a test tells it to. Everything
goes through the API server, so deployments, budgets and autoscalers see what they would see of real nodes; only logs
come from here, for the API server asks a node's kubelet for them.

    kubelet.crashes(service="web", logs="no such table: users\\n")
    kubelet.pull_fails(image=":broken$")
    kubelet.behave(Behaviour(ready_after=3), instance="main")

What is said later goes first. Pods that are there take to it at once. Without a word, pods are ready at once.
"""

from __future__ import annotations

import contextlib
import datetime
import heapq
import itertools
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import urllib3
from certificates import Authority, Pair
from client import STRATEGIC, Client, Object, Refused
from https_server import Handler, HttpsServer
from pod_states import NEVER, Behaviour, State, state

READY = Behaviour()
HEARTBEAT = 10.0  # seconds between renewals of a node's lease; the node controller waits for 50
AGAIN = 0.3  # seconds until something that did not work is tried again


@dataclass(frozen=True)
class Rule:
    """For which pods a behaviour is; what is None fits all. image is a regular expression, found anywhere in it."""

    behaviour: Behaviour
    service: str | None = None
    instance: str | None = None
    image: str | None = None

    def fits(self, pod: Object, prefix: str) -> bool:
        labels = pod["metadata"].get("labels", {})
        return (
            self.service in (None, labels.get(f"{prefix}/service"))
            and self.instance in (None, labels.get(f"{prefix}/instance"))
            and (self.image is None or bool(re.search(self.image, pod["spec"]["containers"][0]["image"])))
        )


@dataclass
class Known:
    """A pod of one of the nodes, and what has been done for it."""

    pod: Object
    address: str
    behaviour: Behaviour = READY
    began: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    clock: float = field(default_factory=time.monotonic)  # when it began
    ending: float | None = None  # when its deletion was seen
    written: Object | None = None
    events: set[str] = field(default_factory=set)

    def state(self) -> State:
        return state(self.pod, self.behaviour, self.began, time.monotonic() - self.clock, self.address)


class TestKubelet:
    """Started by entering it. problems: what it could not do and had not expected, for a test to look at."""

    __test__ = False  # for pytest

    def __init__(
        self, host: str, authority: Authority, *, prefix: str = "paasta.yelp.com", workers: int = 4, name: str = "node"
    ) -> None:
        self.prefix = prefix
        self.problems: list[str] = []
        self._name = name
        pair = authority.issue("test-kubelet", groups=("system:masters",), hosts=("127.0.0.1",))
        self._client = Client(host, authority.certificate, pair=pair, connections=workers + 2)
        self._server = LogServer(self, pair, authority.certificate)
        self._nodes: list[str] = []
        self._rules: list[Rule] = []
        self._pods: dict[str, Known] = {}
        self._due: list[tuple[float, int, str]] = []
        self._busy: set[str] = set()
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        targets = [self._follow, self._renew, *[self._work] * workers]
        self._threads = [threading.Thread(target=target, name="test-kubelet", daemon=True) for target in targets]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for name in list(self._nodes):
            with contextlib.suppress(Refused, urllib3.exceptions.HTTPError):
                self.remove_node(name)
        self._server.close()
        self._client.close()

    # What tests say

    def behave(
        self, behaviour: Behaviour, *, service: str | None = None, instance: str | None = None, image: str | None = None
    ) -> None:
        with self._changed:
            self._rules.insert(0, Rule(behaviour, service, instance, image))
            self._ask_all()

    def pull_fails(self, message: str = "not found", **which: str) -> None:
        self.behave(Behaviour(pull_error=message), **which)

    def crashes(self, *, after: float = 0.2, exit_code: int = 1, logs: str = "started\n", **which: str) -> None:
        self.behave(Behaviour(crash_after=after, exit_code=exit_code, logs=logs), **which)

    def never_ready(self, message: str = Behaviour.unready, **which: str) -> None:
        self.behave(Behaviour(ready_after=NEVER, unready=message), **which)

    def slow(self, seconds: float, **which: str) -> None:
        self.behave(Behaviour(ready_after=seconds), **which)

    def reset(self) -> None:
        """Forget what was said."""
        with self._changed:
            self._rules.clear()
            self._ask_all()
            self.problems.clear()

    def add_node(
        self, *, cpu: str = "64", memory: str = "256Gi", pods: int = 2000, labels: dict[str, str] | None = None
    ) -> str:
        """Register a node; its name."""
        name = f"{self._name}-{len(self._nodes) + 1}"
        self._nodes.append(name)
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        }
        room = {"cpu": cpu, "memory": memory, "pods": str(pods), "ephemeral-storage": "1Ti"}
        self._client.create("/api/v1/nodes", node)
        self._client.patch(
            f"/api/v1/nodes/{name}/status", {"status": self._node_status(name, room)}, content_type=STRATEGIC
        )
        self._renew_lease(name)
        return name

    def remove_node(self, name: str) -> None:
        """The node and its pods are gone, as if the machine were."""
        self._nodes.remove(name)
        with self._changed:
            gone = [uid for uid, known in self._pods.items() if known.pod["spec"]["nodeName"] == name]
            for uid in gone:
                del self._pods[uid]
        self._client.delete(f"/api/v1/nodes/{name}")

    # Nodes

    def _node_status(self, name: str, room: dict[str, str]) -> Object:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "test kubelet", **times}
        pressure = [
            {"type": f"{what}Pressure", "status": "False", "reason": f"KubeletHasNo{what}Pressure", **times}
            for what in ("Memory", "Disk", "PID")
        ]
        return {
            "capacity": room,
            "allocatable": room,
            "conditions": [ready, *pressure],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.server_address[1]}},
            "nodeInfo": dict.fromkeys(
                (
                    *("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "kubeProxyVersion"),
                    *("containerRuntimeVersion", "kubeletVersion", "operatingSystem", "architecture"),
                ),
                "test",
            ),
        }

    def _renew(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            for name in list(self._nodes):
                with contextlib.suppress(Refused, urllib3.exceptions.HTTPError):
                    self._renew_lease(name)

    def _renew_lease(self, name: str) -> None:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now},
        }
        self._client.apply(f"{path}/{name}", lease, manager="test-kubelet", force=True)

    # Pods: one thread follows them, the others do what is due. A pod is only looked at by one at a time.

    def _follow(self) -> None:
        path, query = "/api/v1/pods", {"fieldSelector": "spec.nodeName!="}
        while not self._stop.is_set():
            try:
                listed = self._client.get(path, **query)
                seen = {item["metadata"]["uid"] for item in listed["items"]}
                for item in listed["items"]:
                    self._learn(item)
                with self._changed:
                    self._pods = {uid: known for uid, known in self._pods.items() if uid in seen}
                # Short, so that the end of the tests is seen in time.
                version = listed["metadata"]["resourceVersion"]
                while version and not self._stop.is_set():
                    version = self._follow_from(path, version, query)
            except (Refused, urllib3.exceptions.HTTPError):
                self._stop.wait(AGAIN)

    def _follow_from(self, path: str, version: str, query: dict[str, str]) -> str:
        """The version to go on from, or nothing when it is too old."""
        for event in self._client.watch(path, version=version, seconds=2, **query):
            if event["type"] == "ERROR":
                return ""
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] == "DELETED":
                with self._changed:
                    self._pods.pop(event["object"]["metadata"]["uid"], None)
            elif event["type"] != "BOOKMARK":
                self._learn(event["object"])
        return version

    def _learn(self, pod: Object) -> None:
        if pod["spec"].get("nodeName") not in self._nodes:
            return
        uid = pod["metadata"]["uid"]
        with self._changed:
            known = self._pods.get(uid)
            if known is None:
                known = self._pods[uid] = Known(pod, self._address())
                known.behaviour = self._behaviour(pod)
            known.pod = pod
            if pod["metadata"].get("deletionTimestamp") and known.ending is None:
                known.ending = time.monotonic()
            self._ask(uid, 0)

    def _address(self) -> str:
        number = next(self._order)
        return f"10.{128 + (number >> 16) % 64}.{number >> 8 & 255}.{number & 255}"

    def _behaviour(self, pod: Object) -> Behaviour:
        return next((rule.behaviour for rule in self._rules if rule.fits(pod, self.prefix)), READY)

    def _ask_all(self) -> None:
        for uid, known in self._pods.items():
            known.behaviour = self._behaviour(known.pod)
            self._ask(uid, 0)

    def _ask(self, uid: str, seconds: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), uid))
        self._changed.notify()

    def _next(self) -> str | None:
        """The pod that is due next, when it is; None at the end."""
        with self._changed:
            while not self._stop.is_set():
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    uid = heapq.heappop(self._due)[2]
                    if uid in self._busy:
                        self._ask(uid, 0.02)
                        continue
                    self._busy.add(uid)
                    return uid
                self._changed.wait(self._due[0][0] - now if self._due else None)
        return None

    def _work(self) -> None:
        while (uid := self._next()) is not None:
            wait = NEVER
            try:
                if (known := self._pods.get(uid)) is not None:
                    wait = self._attend(uid, known)
            except Refused as refused:
                if refused.status not in (404, 409):  # gone meanwhile, or another pod of its name
                    self.problems.append(str(refused))
                    wait = AGAIN
            except urllib3.exceptions.HTTPError:
                wait = AGAIN
            finally:
                with self._changed:
                    self._busy.discard(uid)
                    if wait < NEVER:
                        self._ask(uid, wait)

    def _attend(self, uid: str, known: Known) -> float:
        """Bring the pod's status up to date; seconds until it is due again."""
        metadata = known.pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if known.ending is not None:
            left = known.ending + known.behaviour.stops_after - time.monotonic()
            if left > 0:
                return left
            self._client.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}})
            return NEVER
        now = known.state()
        if now.status != known.written:
            self._client.raw("PATCH", f"{path}/status", body={"status": now.status}, content_type=STRATEGIC)
            known.written = now.status
        for event in now.events:
            if event.reason not in known.events:
                known.events.add(event.reason)
                self._tell(known.pod, event.type, event.reason, event.message)
        return max(0.0, known.clock + now.until - time.monotonic())

    def _tell(self, pod: Object, type_: str, reason: str, message: str) -> None:
        metadata = pod["metadata"]
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "fieldPath": f"spec.containers{{{pod['spec']['containers'][0]['name']}}}",
            },
            "type": type_,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "kubelet", "host": pod["spec"]["nodeName"]},
        }
        self._client.create(f"/api/v1/namespaces/{metadata['namespace']}/events", event)

    def logs(self, namespace: str, name: str, *, previous: bool) -> str | None:
        """What the API server asks for. None if there is no such pod, or no earlier container of it."""
        with self._changed:
            found = [
                known
                for known in self._pods.values()
                if (known.pod["metadata"]["namespace"], known.pod["metadata"]["name"]) == (namespace, name)
            ]
        if not found or (previous and not found[0].state().restarts):
            return None
        return found[0].behaviour.logs


class LogServer(HttpsServer):
    """The one part of a kubelet's own API that is there: /containerLogs/<namespace>/<pod>/<container>."""

    def __init__(self, kubelet: TestKubelet, pair: Pair, ca: Path) -> None:
        self.kubelet = kubelet
        super().__init__(LogHandler, pair, ca)


class LogHandler(Handler):
    server: LogServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        _empty, what, *rest = url.path.split("/")
        if what != "containerLogs" or len(rest) != 3:
            self.answer(404, b"the test kubelet has only logs", "text/plain")
            return
        query = parse_qs(url.query)
        text = self.server.kubelet.logs(rest[0], rest[1], previous=query.get("previous") == ["true"])
        if text is None:
            missing = f'previous terminated container "{rest[2]}" in pod "{rest[1]}" not found'
            self.answer(400, missing.encode(), "text/plain")
            return
        lines = text.splitlines(keepends=True)
        if "tailLines" in query:
            lines = lines[-int(query["tailLines"][0]) :]
        self.answer(200, "".join(lines).encode(), "text/plain")
