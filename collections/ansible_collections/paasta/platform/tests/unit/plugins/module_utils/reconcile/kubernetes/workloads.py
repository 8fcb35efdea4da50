# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Workloads, pods and events for the tests of this room, as the API server shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.pods import Pod, read
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.readiness import Target

P = "paasta.yelp.com"
NEW, OLD = "a" * 40, "b" * 40
CONFIG = "config11111111"
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
APPLIED = "2026-01-01T11:59:00Z"


def target(**changes: Any) -> Target:
    """``web.main``: three replicas of version a…a, all of which have to be ready; applied as generation 5."""
    fields: dict[str, Any] = {
        "id": "web.main",
        "namespace": "paastasvc-web",
        "name": "web-main",
        "kind": "Deployment",
        "generation": 5,
        "git_sha": NEW,
        "config_sha": CONFIG,
        "replicas": 3,
        "autoscaling": None,
        "margin": 1.0,
        "bounce_method": "crossover",
    }
    return Target(**(fields | changes))


def workload(kind: str = "Deployment", *, generation: int = 5, desired: int = 3, **status: Any) -> dict[str, Any]:
    """What ``target()`` has become; done unless ``status`` says otherwise."""
    usable = "availableReplicas" if kind == "Deployment" else "readyReplicas"
    complete = {
        "observedGeneration": generation,
        "replicas": desired,
        "updatedReplicas": desired,
        "readyReplicas": desired,
        usable: desired,
    }
    if kind == "StatefulSet":
        complete |= {"currentRevision": "web-main-new", "updateRevision": "web-main-new"}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "namespace": "paastasvc-web",
            "name": "web-main",
            "uid": "u-web-main",
            "generation": generation,
            "labels": {f"{P}/service": "web", f"{P}/instance": "main"},
            "managedFields": [
                {"manager": "paasta", "operation": "Apply", "time": APPLIED},
                {"manager": "kube-controller-manager", "time": "2026-01-01T12:30:00Z", "subresource": "status"},
            ],
        },
        "spec": {
            "replicas": desired,
            "template": {"metadata": {"labels": {f"{P}/git_sha": NEW, f"{P}/config_sha": CONFIG}}},
        },
        "status": {key: value for key, value in (complete | status).items() if value},
    }


def container(**status: Any) -> dict[str, Any]:
    """The status of a container that runs and is ready, unless ``status`` says otherwise."""
    return {
        "name": "main",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": APPLIED}},
        "lastState": {},
    } | status


def waiting(reason: str, message: str = "", *, restarts: int = 0, exit: dict[str, Any] | None = None) -> dict[str, Any]:
    """The status of a container that waits; ``exit`` is how its last run ended."""
    return container(
        ready=False,
        started=False,
        restartCount=restarts,
        state={"waiting": {"reason": reason, "message": message}},
        lastState={"terminated": exit} if exit else {},
    )


def crashing(restarts: int, code: int = 1, reason: str = "Error") -> dict[str, Any]:
    exit = {"exitCode": code, "reason": reason}
    return waiting("CrashLoopBackOff", "back-off 40s restarting failed container", restarts=restarts, exit=exit)


def raw_pod(
    name: str = "web-main-new-1",
    *containers: dict[str, Any],
    revision: str = "new",
    git_sha: str = NEW,
    ready: bool | None = None,
    node: str = "node1",
    kind: str = "Deployment",
    created: str = APPLIED,
    metadata: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A pod; ready if all its containers are, unless ``ready`` says otherwise."""
    containers = containers or (container(),)
    if ready is None:
        ready = all(each["ready"] for each in containers)
    hash_label = "pod-template-hash" if kind == "Deployment" else "controller-revision-hash"
    owner = ("ReplicaSet", f"web-main-{revision}") if kind == "Deployment" else ("StatefulSet", "web-main")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "paastasvc-web",
            "name": name,
            "uid": f"u-{name}",
            "creationTimestamp": created,
            "labels": {
                f"{P}/service": "web",
                f"{P}/instance": "main",
                f"{P}/git_sha": git_sha,
                f"{P}/config_sha": CONFIG,
                hash_label: revision if kind == "Deployment" else f"web-main-{revision}",
            },
            "ownerReferences": [{"kind": owner[0], "name": owner[1], "controller": True}],
        }
        | (metadata or {}),
        "spec": {"containers": [{"name": "main"}]} | ({"nodeName": node} if node else {}) | (spec or {}),
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": list(containers),
        }
        | (status or {}),
    }


def unscheduled(name: str, message: str, **spec: Any) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = {"phase": "Pending", "conditions": [condition], "containerStatuses": []}
    return raw_pod(name, container(ready=False), node="", spec=spec, status=status)


def pod(*args: Any, **kwargs: Any) -> Pod:
    return read(raw_pod(*args, **kwargs), P, NOW)


def raw_event(
    kind: str,
    name: str,
    reason: str,
    message: str,
    *,
    uid: str = "",
    count: int = 1,
    last: str = "2026-01-01T11:59:30Z",
) -> dict[str, Any]:
    about = {"kind": kind, "namespace": "paastasvc-web", "name": name, "uid": uid or f"u-{name}"}
    return {
        "metadata": {"name": f"{name}.1", "namespace": "paastasvc-web", "creationTimestamp": last},
        "involvedObject": about,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "count": count,
        "lastTimestamp": last,
    }
