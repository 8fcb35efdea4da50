# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""One run at a time for each cluster: a Lease of the API server, renewed while the run lasts.

A run that is killed leaves its Lease behind; the next takes it over when it has not been renewed for its duration. A
run that cannot renew in time stops writing: somebody else may hold the Lease by then. As Kubernetes' own leader
election does it, and with its caveat: a holder that sleeps (a suspended laptop) may send one more request after it
wakes.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.progress import emit

from .api import Api
from .errors import ApiError, Unreachable
from .fields import MANAGER

#: Seconds after which a Lease that nobody renews may be taken over.
DURATION = 30
#: Seconds between renewals: three may fail.
RENEWAL = 8.0
#: Seconds between questions whether the Lease is free.
POLL = 1.0

GROUP = "/apis/coordination.k8s.io/v1"


class Busy(Exception):
    """Another run holds the Lease for longer than one may wait, or has taken it over from this one."""


class Lease:
    """The Lease of a cluster.

    :param namespace: where it is; made when it is missing.
    :param patience: seconds to wait for another run.
    """

    def __init__(self, api: Api, cluster: str, namespace: str, patience: float) -> None:
        self._api = api
        self._namespace = namespace
        self._name = "deploy-" + re.sub("[^a-z0-9.-]", "-", cluster.lower())
        self._patience = patience
        self._holder = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self._held: dict[str, Any] = {}
        self._renewed = 0.0
        self._stop = threading.Event()
        self._lost = ""

    @contextmanager
    def held(self) -> Iterator[Lease]:
        """Take the Lease, keep it, give it back.

        :raises Busy: when another run keeps it for longer than the patience.
        """
        self._take()
        keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        keeper.start()
        try:
            yield self
        finally:
            self._stop.set()
            keeper.join()
            self._release()

    def check(self) -> None:
        """To be called before every write.

        :raises Busy: when the Lease is not ours any more.
        """
        if self._lost:
            raise Busy(self._lost)
        if time.monotonic() - self._renewed > DURATION:
            raise Busy(
                f"{self}: could not be renewed for {DURATION} seconds; what was begun is finished by the next run"
            )

    def __str__(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    def _take(self) -> None:
        deadline = time.monotonic() + self._patience
        seen: tuple[str, float] = ("", 0.0)
        while True:
            found = self._read()
            if found is None:
                if self._create():
                    return
                continue
            spec = found.get("spec") or {}
            if spec.get("holderIdentity") == self._holder:
                # Our own write, of which the answer was lost.
                self._remember(found, time.monotonic())
                return
            holder, version = str(spec.get("holderIdentity") or ""), found["metadata"]["resourceVersion"]
            if version != seen[0]:
                # Measured by our own clock from when we saw it change: clocks of machines differ.
                seen = (version, time.monotonic())
            expired = time.monotonic() - seen[1] > float(spec.get("leaseDurationSeconds") or DURATION)
            if not holder or expired:
                if self._write(found):
                    return
                continue
            if time.monotonic() > deadline:
                since = str(spec.get("acquireTime", ""))[:19]
                raise Busy(
                    f"another run deploys to this cluster: {self} is held by {holder} since {since}; it was waited "
                    f"{self._patience:g} seconds for it. Nothing was touched"
                )
            emit("step", subject=str(self), text=f"waiting for {holder}")
            time.sleep(POLL)

    def _path(self, name: str = "") -> str:
        return f"{GROUP}/namespaces/{self._namespace}/leases" + (f"/{name}" if name else "")

    def _read(self) -> dict[str, Any] | None:
        try:
            return self._api.request("GET", self._path(self._name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _spec(self) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        acquired = self._held.get("spec", {}).get("acquireTime", now)
        return {
            "holderIdentity": self._holder, "leaseDurationSeconds": DURATION, "acquireTime": acquired, "renewTime": now,
        }  # fmt: skip

    def _create(self) -> bool:
        """Whether the Lease is ours now."""
        body = {
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace}, "spec": self._spec(),
        }  # fmt: skip
        since = time.monotonic()
        try:
            self._remember(self._api.request("POST", self._path(), query={"fieldManager": MANAGER}, body=body), since)
            return True
        except ApiError as error:
            if error.status == 409:
                return False
            if error.status != 404:
                raise
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
        self._api.apply(namespace, manager=MANAGER)
        return False

    def _write(self, found: Mapping[str, Any]) -> bool:
        """Write our name into the Lease as it was seen; False when somebody was quicker."""
        body = {**found, "spec": {**(found.get("spec") or {}), **self._spec()}}
        since, path = time.monotonic(), self._path(self._name)
        try:
            self._remember(self._api.request("PUT", path, query={"fieldManager": MANAGER}, body=body), since)
            return True
        except ApiError as error:
            if error.status in (404, 409):
                return False
            raise

    def _remember(self, held: dict[str, Any], since: float) -> None:
        """``since``: when the request was sent; the answer may have taken long."""
        self._held = held
        self._renewed = since

    def _keep(self) -> None:
        while not self._stop.wait(RENEWAL):
            try:
                if not self._write(self._held):
                    found = self._read()
                    holder = ((found or {}).get("spec") or {}).get("holderIdentity")
                    if found is None or holder != self._holder:
                        self._lost = f"{self}: {holder or 'somebody'} has taken it over; nothing more is written"
                        return
                    self._held = found  # our own write, of which the answer was lost; it is renewed next time
            except (ApiError, Unreachable):
                continue  # check() tells when it lasts too long

    def _release(self) -> None:
        if self._lost:
            return
        released = {**self._held, "spec": {**self._held["spec"], "holderIdentity": ""}}
        try:
            self._api.request("PUT", self._path(self._name), query={"fieldManager": MANAGER}, body=released)
        except (ApiError, Unreachable):
            return  # it expires by itself
