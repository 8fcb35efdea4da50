# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.events import by_object, read
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.pods import Pod
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.pods import read as read_pod
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.readiness import Target
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.verdict import (
    BLOCKED_SECONDS,
    CONFIG_SECONDS,
    REFUSAL_SECONDS,
    Memory,
    Scene,
    hopeless,
    scene,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.kubernetes.workloads import (
    NOW,
    OLD,
    P,
    container,
    crashing,
    pod,
    raw_event,
    target,
    unscheduled,
    waiting,
    workload,
)

GOING_ON = {"updatedReplicas": 1, "replicas": 4, "availableReplicas": 3}
QUOTA = 'pods "web-main-new-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3'


def seen(*pods: Pod, wanted: Target | None = None, events: tuple[dict[str, Any], ...] = (), **status: Any) -> Scene:
    wanted = wanted or target()
    found = workload(wanted.kind, **(GOING_ON | status))
    return scene(wanted, found, pods, by_object(map(read, events)))


def judge(found: Scene, memory: Memory | None = None, now: float = 0.0) -> str:
    return hopeless(found, memory or Memory(), now, P)


def after(found: Scene, seconds: float, memory: Memory | None = None) -> str:
    """What is said of a scene that has been as it is for so long."""
    memory = memory or Memory()
    assert judge(found, memory, 1000.0) == ""
    return judge(found, memory, 1000.0 + seconds)


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_what_the_kubelet_does_not_even_try(reason: str) -> None:
    assert judge(seen(pod("p", waiting(reason)))) == "cannot start"


@pytest.mark.parametrize(
    "waits",
    [
        pod("p", waiting("ImagePullBackOff", "not found")),
        pod("p", waiting("ErrImagePull", "timeout")),
        pod("p", waiting("ContainerCreating")),
        pod("p", container(ready=False)),
        read_pod(unscheduled("p", "0/3 nodes are available"), P, NOW),
    ],
    ids=lambda found: str(found.trouble),
)
def test_what_may_heal_is_waited_for(waits: Pod) -> None:
    assert after(seen(waits), 100_000.0) == ""


def test_a_crash_loop() -> None:
    assert judge(seen(pod("p", crashing(2)))) == ""
    assert judge(seen(pod("p", crashing(3)))) == "crashes again and again"


def test_a_crash_loop_seen_between_two_crashes() -> None:
    runs = container(ready=False, restartCount=3, lastState={"terminated": {"exitCode": 1}})
    assert judge(seen(pod("p", runs))) == "crashes again and again"


def test_a_pod_that_crashed_before_the_wait_gets_one_more_chance() -> None:
    """What this run was about may have repaired it; the kubelet only has not tried again."""
    before = pod("p", crashing(7))
    memory = Memory(restarts={before.uid: 7})
    assert judge(seen(before), memory) == ""
    assert judge(seen(pod("p", crashing(8))), memory) == "crashes again and again"


def test_a_crash_loop_of_one_pod_among_ready_ones_is_waited_for() -> None:
    assert judge(seen(pod("p", crashing(9)), pod("q"))) == ""


def test_a_crash_loop_of_the_old_version_does_not_count() -> None:
    assert judge(seen(pod("p", crashing(9), git_sha=OLD, revision="old"), pod("q", container(ready=False)))) == ""


def test_a_missing_key_has_its_time() -> None:
    found = seen(pod("p", waiting("CreateContainerConfigError", "couldn't find key x")))
    assert after(found, CONFIG_SECONDS - 1) == ""
    assert after(found, CONFIG_SECONDS) == "cannot start"


def test_a_state_must_last_without_a_break() -> None:
    broken, starting = (
        seen(pod("p", waiting("CreateContainerConfigError"))),
        seen(pod("p", waiting("ContainerCreating"))),
    )
    memory = Memory()
    assert [judge(found, memory, now) for found, now in ((broken, 0.0), (starting, 20.0), (broken, 40.0))] == [""] * 3
    assert judge(broken, memory, 40.0 + CONFIG_SECONDS) == "cannot start"


def failure(status: str = "True") -> dict[str, Any]:
    return {"type": "ReplicaFailure", "status": status, "reason": "FailedCreate", "message": QUOTA}


def test_a_quota_of_a_deployment() -> None:
    assert after(seen(conditions=[failure()]), REFUSAL_SECONDS) == "may not create its pods"
    assert after(seen(conditions=[failure()]), REFUSAL_SECONDS - 1) == ""
    assert after(seen(conditions=[failure("False")]), 1000.0) == ""


def test_a_quota_of_a_stateful_set_is_in_its_events_only() -> None:
    sts = target(kind="StatefulSet")
    event = raw_event("StatefulSet", "web-main", "FailedCreate", f"create Pod web-main-2 failed error: {QUOTA}")
    missing = {"replicas": 2, "updatedReplicas": 2}
    assert after(seen(wanted=sts, events=(event,), **missing), REFUSAL_SECONDS) == "may not create its pods"
    # All pods are there: what was refused is past.
    assert after(seen(wanted=sts, events=(event,), replicas=3, updatedReplicas=3, readyReplicas=2), 1000.0) == ""
    # It is about the workload as it was before it was applied.
    old = event | {"lastTimestamp": "2026-01-01T11:58:00Z"}
    assert after(seen(wanted=sts, events=(old,), **missing), 1000.0) == ""


OVERDUE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


def test_the_progress_deadline() -> None:
    assert "progressDeadlineSeconds" in judge(seen(conditions=[OVERDUE]))
    # It had passed before: what this run was about may have repaired it.
    assert judge(seen(conditions=[OVERDUE]), Memory(overdue=True)) == ""
    assert judge(seen(pod("p"), conditions=[OVERDUE])) == ""


def stateful(name: str, *containers: dict[str, Any], revision: str = "new") -> Pod:
    return pod(name, *containers, kind="StatefulSet", revision=revision)


def test_a_broken_old_pod_blocks_an_ordered_stateful_set() -> None:
    sts = target(kind="StatefulSet")
    pods = [stateful("web-main-0", revision="new"), stateful("web-main-2", crashing(9), revision="broken")]
    found = seen(*pods, wanted=sts)
    assert after(found, BLOCKED_SECONDS - 1) == ""
    assert after(found, BLOCKED_SECONDS) == "is blocked by a broken pod of another version"
    parallel = seen(*pods, wanted=sts)
    parallel.workload["spec"]["podManagementPolicy"] = "Parallel"
    assert after(parallel, 1000.0) == ""


def test_an_old_pod_that_is_only_late_does_not_block() -> None:
    sts = target(kind="StatefulSet")
    late = seen(stateful("web-main-2", container(ready=False), revision="old"), wanted=sts)
    assert after(late, 1000.0) == ""


def test_taken_over_and_made_anew() -> None:
    found = seen()
    found.workload["metadata"]["generation"] = 6
    found.workload["spec"]["template"]["metadata"]["labels"][f"{P}/git_sha"] = OLD
    assert "was changed while its rollout was waited for" in judge(found)
    found = seen()
    found.workload["metadata"]["generation"] = 1
    assert "was deleted and created anew" in judge(found)


def test_the_pods_of_a_stateful_set_are_sorted_by_its_update_revision() -> None:
    """Labels alone would do for versions of ours; a restart by kubectl has the same labels."""
    pods = [stateful("web-main-0", revision="restarted"), stateful("web-main-1", revision="new")]
    found = seen(*pods, wanted=target(kind="StatefulSet"))
    assert ([each.name for each in found.new], [each.name for each in found.old]) == (["web-main-1"], ["web-main-0"])


def test_events_of_pods_that_had_the_same_name_are_left_out() -> None:
    mine = raw_event("Pod", "p", "Unhealthy", "mine", uid="u-p")
    former = raw_event("Pod", "p", "Unhealthy", "former", uid="u-former")
    assert [event.message for event in seen(pod("p"), events=(mine, former)).warnings] == ["mine"]
