# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""``paasta-endpoints``: keeps the endpoints of pods up to date in the files that this host's Envoy follows.

One thread follows the pods at the API server, the other writes what has changed. What is on disk is only ever replaced
by what a whole list or a watch after it says: while the API server is gone, and after a restart until it has answered,
the endpoints stay as they are.

Only the standard library (Python 3.8).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import sys
import threading
import time
import traceback
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import EndpointFiles, Source
from ansible_collections.paasta.platform.plugins.module_utils.mesh.kube_api import PodApi, TooOld, Unavailable
from ansible_collections.paasta.platform.plugins.module_utils.mesh.pods import (
    Backend,
    Known,
    changes,
    direct,
    hold,
    read,
    through,
)

SOURCE = "kubernetes"

#: Seconds in which changes are gathered before they are written.
DEBOUNCE = 0.05

#: Seconds between two attempts: the first after a failure, and the longest.
AGAIN, AGAIN_AT_MOST = 0.2, 5.0

#: Seconds between two words about a server that does not answer.
REPEAT = 60.0

_LISTENER = ".listener"


class Listeners:
    """The proxy ports of this host's Envoy, from its own file, and when that changes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self.ports: dict[str, int] = {}

    def changed(self) -> bool:
        """Look again; whether a port is another one now."""
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return False
            with open(self._path) as stream:
                resources = json.load(stream)["resources"]
        except FileNotFoundError:
            return False
        before, self._stamp = self.ports, stamp
        self.ports = {
            one["name"][: -len(_LISTENER)]: one["address"]["socket_address"]["port_value"]
            for one in resources
            if one["name"].endswith(_LISTENER)
        }
        return self.ports != before


class Follower:
    """Follows the pods of a cluster.

    :param nodes: addresses of the nodes' proxies, for a proxy that reaches no pods; empty for one that does.
    """

    def __init__(self, api: PodApi, directory: str, prefix: str, nodes: list[str]) -> None:
        self._api = api
        self._files = EndpointFiles(directory)
        self._prefix = prefix
        self._nodes = nodes
        self._listeners = Listeners(os.path.join(directory, "lds.json"))
        self._changed = threading.Condition()
        # Guarded by it: the backends by the uid of their pod, None before the first list, and what is to be written.
        self._backends: dict[str, Known] | None = None
        self._dirty: set[str] = set()
        # Namespaces with pods that are held, and until when.
        self._held: dict[str, float] = {}

    # Reading

    def follow(self) -> None:
        """Learn what the API server says, for ever. After any trouble all is listed again: that is always true."""
        version, failures, failing_since, said = "", 0, 0.0, 0.0
        while True:
            try:
                if not version:
                    version = self._list()
                if failures:
                    say(f"the API server answers again, after {time.monotonic() - failing_since:.0f} s")
                    failures = 0
                version = self._watch(version)
            except TooOld:
                version = ""
            except Unavailable as error:
                now = time.monotonic()
                failing_since = failing_since if failures else now
                if not failures or now - said > REPEAT:
                    say(f"{error}; endpoints stay as they are", "4")
                    said = now
                version, failures = "", failures + 1
                time.sleep(min(AGAIN_AT_MOST, AGAIN * 2 ** min(failures, 10)) * random.uniform(0.5, 1))

    def _list(self) -> str:
        items, version = self._api.list()
        found = {item["metadata"]["uid"]: read(item, self._prefix) for item in items}
        self._replace({uid: backend for uid, backend in found.items() if backend is not None})
        return version

    def _watch(self, version: str) -> str:
        """Follow one watch until its end; returns the version to go on from."""
        for event in self._api.watch(version):
            pod = event["object"]
            version = pod["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                backend = None if event["type"] == "DELETED" else read(pod, self._prefix)
                self._learn(pod["metadata"]["uid"], backend)
        return version

    def _replace(self, backends: dict[str, Backend]) -> None:
        with self._changed:
            before = self._backends
            if before is None:
                # Of an earlier process, or of namespaces that have no pods any more.
                self._dirty.update(self._files.namespaces(SOURCE))
            known = {uid: Known(backend) for uid, backend in backends.items()} if before is None else before
            self._backends = known
            for uid in backends.keys() | known.keys():
                self._put(known, uid, backends.get(uid), new=before is None)
            self._changed.notify()

    def _learn(self, uid: str, backend: Backend | None) -> None:
        with self._changed:
            self._put(self._backends if self._backends is not None else {}, uid, backend)
            self._changed.notify()

    def _put(self, known: dict[str, Known], uid: str, backend: Backend | None, new: bool = False) -> None:
        """Take one backend in, or out; what it means for namespaces is written later."""
        before = known[uid].backend if uid in known else None
        if before == backend and not new:
            return
        if backend is None:
            known.pop(uid, None)
        elif before is None or before.healthy != backend.healthy:
            known[uid] = Known(backend, time.monotonic())
        else:
            known[uid] = Known(backend, known[uid].since)
        for one in (before, backend):
            if one is not None:
                self._dirty.update(one.registrations)

    # Writing

    def write_once(self, timeout: float) -> bool:
        """Wait for a change and write it; returns whether what is on disk is what the API server has said."""
        now = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self._dirty, min([timeout, *(until - now for until in self._held.values())]))
            due = {namespace for namespace, until in self._held.items() if until <= time.monotonic()}
            self._dirty |= due
        self._look_at_listeners()
        if self._dirty:
            time.sleep(DEBOUNCE)
        with self._changed:
            if self._backends is None:
                return False
            backends, dirty = list(self._backends.values()), self._dirty
            self._dirty = set()
        try:
            if dirty:
                self._write(backends, sorted(dirty))
        except OSError as error:
            say(f"{error}; tried again until it works", "3")
            with self._changed:
                self._dirty |= dirty
            time.sleep(1)
            return False
        return True

    def _look_at_listeners(self) -> None:
        """Through nodes, endpoints are made of proxy ports: after a change of those, all are written anew."""
        if self._nodes and self._listeners.changed():
            with self._changed:
                for known in (self._backends or {}).values():
                    self._dirty.update(known.backend.registrations)

    def _write(self, backends: list[Known], namespaces: list[str]) -> None:
        of = self._by_namespace(backends, namespaces)
        sources = {namespace: self._source(namespace, members) for namespace, members in of.items()}
        before = {namespace: self._before(namespace) for namespace in namespaces}
        self._files.write(SOURCE, {namespace: source.text() for namespace, source in sources.items()})
        for namespace, source in sources.items():
            behind = {} if self._nodes else {f"{one.address}:{one.port}": one.pod for one in of[namespace]}
            for line in changes(namespace, before[namespace], source, behind):
                say(line)

    def _by_namespace(self, backends: list[Known], namespaces: list[str]) -> dict[str, list[Backend]]:
        """The backends of each namespace as they are to be written now; notes when that may be different."""
        members: dict[str, list[Known]] = {namespace: [] for namespace in namespaces}
        for known in backends:
            for registration in known.backend.registrations:
                if registration in members:
                    members[registration].append(known)
        found = {}
        others = self._others([namespace for namespace, there in members.items() if there])
        for namespace, there in members.items():
            found[namespace], until = hold(there, time.monotonic(), namespace in others)
            self._held.pop(namespace, None)
            if until is not None:
                self._held[namespace] = until
        return found

    def _others(self, namespaces: list[str]) -> set[str]:
        """Those of the namespaces to which another source sends requests, such as Docker's containers."""
        try:
            return {name for name, said in self._files.others(SOURCE, namespaces).items() if said["endpoints"]}
        except OSError:
            return set()  # whoever writes them says so

    def _before(self, namespace: str) -> Source:
        try:
            return self._files.read(SOURCE, namespace)
        except OSError:
            return Source()  # whatever it is, it is about to be replaced

    def _source(self, namespace: str, members: list[Backend]) -> Source:
        if not self._nodes:
            return direct(namespace, members)
        return through(namespace, members, self._nodes, self._listeners.ports.get(namespace))


def say(text: str, priority: str = "6") -> None:
    """One line for the journal, which takes the priority out of it."""
    mark = f"<{priority}>" if "JOURNAL_STREAM" in os.environ else ""
    sys.stderr.write(f"{mark}{text}\n")
    sys.stderr.flush()


def notify(state: str) -> None:
    """Tell systemd, when it has started this program (sd_notify)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stream:
            stream.connect("\0" + address[1:] if address[0] == "@" else address)
            stream.send(state.encode())


def _or_die(target: Any) -> None:
    """A thread that ends takes the program with it, or nobody would notice."""
    try:
        target()
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def main() -> None:
    """Run until somebody ends it: every file is whole at any time."""
    parser = argparse.ArgumentParser(prog="paasta-endpoints", description="Endpoints of pods for this host's Envoy.")
    parser.add_argument("--kubeconfig", required=True, help="as JSON; contexts are tried one after the other")
    parser.add_argument("--cluster", required=True, help="value of the pods' label cluster")
    parser.add_argument("--prefix", default="paasta.yelp.com", help="of the pods' labels")
    parser.add_argument("--directory", default="/var/lib/envoy", help="where Envoy's files are")
    parser.add_argument("--through", action="append", default=[], help="address of a node's proxy, to be used instead")
    args = parser.parse_args()
    selector = f"{args.prefix}/managed=true,{args.prefix}/cluster={args.cluster}"
    follower = Follower(PodApi(args.kubeconfig, selector), args.directory, args.prefix, args.through)
    threading.Thread(target=_or_die, args=(follower.follow,), daemon=True, name="follow").start()
    ready = False
    while True:
        done = follower.write_once(timeout=1)
        if done and not ready:
            ready = True
            say("all pods are known")
            notify("READY=1")


if __name__ == "__main__":
    main()
