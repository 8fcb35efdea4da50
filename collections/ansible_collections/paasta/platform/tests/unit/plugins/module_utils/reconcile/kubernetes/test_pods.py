# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.pods import (
    MESSAGE_LIMIT,
    newest_revision,
    one_line,
    read,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.kubernetes.workloads import (
    CONFIG,
    NEW,
    NOW,
    OLD,
    P,
    container,
    crashing,
    pod,
    raw_pod,
    unscheduled,
    waiting,
)

NOT_READY = container(ready=False)
INIT = {"name": "setup", "restartCount": 0, "ready": False, "state": {"running": {}}, "lastState": {}}
INIT_CRASHED = {
    "name": "setup",
    "restartCount": 2,
    "ready": False,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
}
STARTING = waiting("PodInitializing")
NO_STATUS: dict[str, Any] = {"containerStatuses": []}
ENDED = {"exitCode": 2, "reason": "Error", "message": "no db"}
KILLED = {"restartCount": 2, "lastState": {"terminated": {"exitCode": 137, "reason": "Error"}}}
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
GATE = {"readinessGates": [{"conditionType": "lb/registered"}]}


def with_condition(type: str, status: str, **more: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "False"}, {"type": type, "status": status, **more}]
    return {"status": {"conditions": conditions}}


TROUBLES: list[tuple[dict[str, Any], str]] = [
    (raw_pod("p", waiting("ImagePullBackOff", 'Back-off "x"')), 'main: ImagePullBackOff: Back-off "x"'),
    (raw_pod("p", waiting("ErrImageNeverPull", "not present")), "main: ErrImageNeverPull: not present"),
    (
        raw_pod("p", waiting("CreateContainerConfigError", "couldn't find key token in Secret")),
        "main: CreateContainerConfigError: couldn't find key token in Secret",
    ),
    (raw_pod("p", crashing(4)), "main: CrashLoopBackOff (4 restarts): exit code 1"),
    (raw_pod("p", crashing(1, 137, "OOMKilled")), "main: CrashLoopBackOff (1 restart): exit code 137, OOMKilled"),
    (raw_pod("p", container(ready=False, state={"terminated": ENDED})), "main: Error (exit code 2): no db"),
    (raw_pod("p", NOT_READY), "main: NotReady: its readiness probe has not passed yet"),
    (raw_pod("p", NOT_READY | {"started": False}), "main: NotReady: its startup probe has not passed yet"),
    (
        raw_pod("p", NOT_READY | KILLED),
        "main: NotReady (2 restarts, exit code 137): its readiness probe has not passed yet",
    ),
    (raw_pod("p", waiting("ContainerCreating")), "main: ContainerCreating"),
    (
        # The sidecar is to blame, not the container that only starts.
        raw_pod("p", waiting("ContainerCreating"), crashing(1) | {"name": "hacheck"}),
        "hacheck: CrashLoopBackOff (1 restart): exit code 1",
    ),
    (
        raw_pod("p", STARTING, status={"initContainerStatuses": [INIT_CRASHED]}),
        "init container setup: CrashLoopBackOff (2 restarts): exit code 3",
    ),
    (
        raw_pod("p", STARTING, status={"initContainerStatuses": [INIT]}),
        "init container setup: Running: the other containers start when it has ended",
    ),
    (
        unscheduled("p", "0/3 nodes are available:\n  3 Insufficient cpu."),
        "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.",
    ),
    (raw_pod("p", node="", ready=False, status=NO_STATUS), "Pending: the scheduler has not looked at it yet"),
    (raw_pod("p", ready=False, status=NO_STATUS), "ContainerCreating: the kubelet of node1 has not started it yet"),
    (raw_pod("p", ready=False, status=EVICTED), "Evicted: The node was low on resource: memory."),
    (raw_pod("p", ready=False), "NodeNotReady: does the kubelet of node1 run?"),
    (
        raw_pod("p", spec=GATE, **with_condition("lb/registered", "False")),
        "ReadinessGate: condition lb/registered is not True",
    ),
    (
        raw_pod("p", **with_condition("DisruptionTarget", "True", reason="DeletionByTaintManager", message="Taint")),
        "DeletionByTaintManager: Taint",
    ),
    (raw_pod("p", metadata={"deletionTimestamp": "2026-01-01T12:00:10Z"}), "Terminating"),
    (
        raw_pod("p", metadata={"deletionTimestamp": "2026-01-01T11:50:00Z"}),
        "Terminating: should have been gone long ago; does the kubelet of node1 run?",
    ),
]


@pytest.mark.parametrize(("raw", "text"), TROUBLES, ids=[text[:40] for _raw, text in TROUBLES])
def test_why_a_pod_is_not_ready(raw: dict[str, Any], text: str) -> None:
    found = read(raw, P, NOW)
    assert not found.ready
    assert str(found.trouble) == text


def test_a_ready_pod() -> None:
    found = pod("web-main-new-1")
    assert (found.ready, found.trouble, found.leaving) == (True, None, False)
    assert (found.owner, found.revision) == (("Deployment", "web-main"), "new")
    assert (found.git_sha, found.config_sha, found.node) == (NEW, CONFIG, "node1")


def test_a_pod_of_a_stateful_set() -> None:
    found = pod("web-main-0", kind="StatefulSet")
    assert (found.owner, found.revision) == (("StatefulSet", "web-main"), "web-main-new")


def test_a_pod_that_goes_is_not_ready_whatever_its_condition_says() -> None:
    raw = raw_pod("p")
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:20Z"
    found = read(raw, P, NOW)
    assert (found.ready, found.leaving) == (False, True)


def test_a_pod_without_labels_and_owner_is_nobodys() -> None:
    raw = raw_pod("p")
    raw["metadata"] = {"namespace": "x", "name": "p", "uid": "u"}
    assert read(raw, P, NOW).owner == ("", "")


def test_the_newest_revision_of_a_version_is_that_of_its_youngest_pod() -> None:
    pods = [
        pod("a", revision="before", created="2026-01-01T10:00:00Z"),
        pod("b", revision="restarted", created="2026-01-01T11:00:00Z"),
        pod("c", revision="other", git_sha=OLD, created="2026-01-01T11:30:00Z"),
    ]
    assert newest_revision(pods, NEW, CONFIG) == "restarted"
    assert newest_revision(pods, "c" * 40, CONFIG) == ""


def test_messages_are_one_line_of_limited_length() -> None:
    assert one_line("a\n  b") == "a b"
    assert len(one_line("word " * 1000)) == MESSAGE_LIMIT
