# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of all workloads that are waited for, kept from the news of feeds. Pure.

News are found by namespace and name: what they cost does not grow with the number of instances.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .feed import Key, News
from .pods import Pod, owner, read
from .readiness import Target, overdue
from .verdict import Memory

#: Kind, namespace and name of a workload.
Workload = tuple[str, str, str]


@dataclass(slots=True)
class Wait:
    """One instance that is waited for.

    :ivar workload: as the API server shows it; None when it is not there.
    :ivar seen: whether the server has been asked for it.
    :ivar said: what a person was told last.
    """

    target: Target
    memory: Memory = field(default_factory=Memory)
    pods: dict[Key, Pod] = field(default_factory=dict)
    workload: Mapping[str, Any] | None = None
    seen: bool = False
    said: str = ""


class Board:
    """All waits of a run.

    :param prefix: of our labels.
    """

    def __init__(self, targets: Iterable[Target], prefix: str) -> None:
        self.waits: dict[Workload, Wait] = {(t.kind, t.namespace, t.name): Wait(t) for t in targets}
        self._prefix = prefix
        self._owners: dict[Key, Workload] = {}
        self._pods_seen = False

    def keep_workload(self, workload: dict[str, Any]) -> Mapping[str, Any] | None:
        """What of a workload is worth the memory; None for one that nobody waits for. For any thread."""
        metadata = workload["metadata"]
        key = (workload["kind"], metadata["namespace"], metadata["name"])
        return slim(workload) if key in self.waits else None

    def keep_pod(self, pod: dict[str, Any]) -> Pod | None:
        """The same for a pod."""
        metadata = pod["metadata"]
        kind, name = owner(metadata)
        if (kind, metadata["namespace"], name) not in self.waits:
            return None
        return read(pod, self._prefix, datetime.now(UTC))

    def take(self, news: News) -> set[Workload]:
        """Take news in; returns the workloads that they are about."""
        return self._take_pods(news) if news.kind == "Pod" else self._take_workloads(news)

    def _take_workloads(self, news: News) -> set[Workload]:
        touched = {(news.kind, *key) for key in news.objects}
        if news.whole:
            touched |= {key for key in self.waits if key[0] == news.kind}
        touched &= self.waits.keys()
        for key in touched:
            wait = self.waits[key]
            wait.workload = news.objects.get(key[1:])
            if wait.workload is not None and not wait.seen:
                wait.memory.overdue = overdue(wait.workload)
            wait.seen = True
        return touched

    def _take_pods(self, news: News) -> set[Workload]:
        touched = set()
        if news.whole:
            # What was deleted while the watch was interrupted is not told: begin anew.
            touched = set(self._owners.values())
            for key in touched:
                self.waits[key].pods = {}
            self._owners = {}
        for name, pod in news.objects.items():
            before = self._owners.pop(name, None)
            if before:
                self.waits[before].pods.pop(name, None)
                touched.add(before)
            if pod is None:
                continue
            now = (pod.owner[0], pod.namespace, pod.owner[1])
            self._owners[name] = now
            self.waits[now].pods[name] = pod
            touched.add(now)
            if not self._pods_seen:
                self.waits[now].memory.restarts[pod.uid] = pod.restarts
        self._pods_seen = True
        return touched


def slim(workload: Mapping[str, Any]) -> dict[str, Any]:
    """A workload without what nobody asks for while it rolls out: its template is most of it."""
    metadata, spec = workload["metadata"], workload["spec"]
    pods = spec["template"].get("spec") or {}
    managers = []
    for entry in metadata.get("managedFields") or ():
        scales: dict[str, Any] = (
            {"f:replicas": {}} if "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {}) else {}
        )
        kept = {key: entry.get(key) for key in ("manager", "time", "subresource")}
        managers.append({**kept, "fieldsV1": {"f:spec": scales}})
    return {
        "kind": workload["kind"],
        "metadata": {
            **{key: metadata[key] for key in ("namespace", "name", "uid", "generation")},
            "labels": metadata.get("labels") or {},
            "managedFields": managers,
        },
        "spec": {
            **{key: value for key, value in spec.items() if key not in ("template", "volumeClaimTemplates")},
            "template": {
                "metadata": {"labels": (spec["template"].get("metadata") or {}).get("labels") or {}},
                # What pods ask of nodes is told when no node has it.
                "spec": {key: pods[key] for key in ("nodeSelector", "affinity") if key in pods},
            },
        },
        "status": workload.get("status") or {},
    }
