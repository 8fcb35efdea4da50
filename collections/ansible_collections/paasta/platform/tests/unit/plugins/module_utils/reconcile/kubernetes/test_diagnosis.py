# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.diagnosis import (
    LOG_LINES,
    Evidence,
    describe,
    explain,
    gather,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.errors import ApiError
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.events import by_object, read
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.pods import Pod
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.pods import read as read_pod
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.readiness import Target
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.verdict import Scene, scene
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

GOING_ON = {"updatedReplicas": 3, "replicas": 4, "availableReplicas": 3}


def seen(*pods: Pod, wanted: Target | None = None, events: tuple[dict[str, Any], ...] = (), **status: Any) -> Scene:
    wanted = wanted or target()
    return scene(wanted, workload(wanted.kind, **(GOING_ON | status)), pods, by_object(map(read, events)))


def text_of(found: Scene, why: str = "is not done after 600 s", evidence: Evidence | None = None) -> str:
    return str(explain(found, why, evidence or Evidence(), lambda text: text, early=False))


def test_progress_counts_new_and_old_replicas() -> None:
    found = seen(
        pod("web-main-new-1"),
        pod("web-main-new-2"),
        pod("web-main-new-3", waiting("ImagePullBackOff", "not found")),
        pod("web-main-old-1", revision="old", git_sha=OLD),
    )
    assert describe(found) == (
        "2 of 3 new replicas ready, 1 old left; web-main-new-3: main: ImagePullBackOff: not found"
    )


def test_progress_shows_the_worst_pod_and_counts_the_others() -> None:
    found = seen(pod("a", waiting("ContainerCreating")), pod("b", crashing(2)), replicas=3, availableReplicas=0)
    text = "0 of 3 new replicas ready; b (and 1 more): main: CrashLoopBackOff (2 restarts): exit code 1"
    assert describe(found) == text


def test_progress_says_what_a_probe_answered() -> None:
    unhealthy = raw_event("Pod", "p", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    found = seen(pod("p", container(ready=False)), events=(unhealthy,), replicas=3, availableReplicas=0)
    assert describe(found).endswith("(Readiness probe failed: HTTP probe failed with statuscode: 503)")


def test_progress_without_any_pod_is_what_the_workload_says() -> None:
    assert describe(seen(updatedReplicas=0, replicas=3)) == "0 of 3 new replicas there, 3 ready in all, 3 old left"
    assert describe(seen(observedGeneration=4)) == "the Deployment controller has not seen the change yet"


def test_a_crash_loop_is_explained_by_its_output() -> None:
    old = [pod(f"web-main-old-{n}", revision="old", git_sha=OLD) for n in range(3)]
    found = seen(pod("web-main-new-1", crashing(4)), *old, updatedReplicas=1)
    evidence = Evidence(logs={"web-main-new-1": ["Traceback (most recent call last):", "KeyError: 'DB'"]})
    assert text_of(found, "crashes again and again", evidence).splitlines() == [
        "Deployment paastasvc-web/web-main crashes again and again: 0 of 3 new replicas ready, 3 old left; "
        "web-main-new-1: main: CrashLoopBackOff (4 restarts): exit code 1",
        "    web-main-new-1 on node1: main: CrashLoopBackOff (4 restarts): exit code 1",
        "    last output of web-main-new-1:",
        "        | Traceback (most recent call last):",
        "        | KeyError: 'DB'",
        "    3 of version bbbbbbbb still serve",
        "    More: kubectl -n paastasvc-web describe deployment web-main",
    ]


def test_running_out_of_memory() -> None:
    assert "Out of memory: raise mem" in text_of(seen(pod("p", crashing(3, 137, "OOMKilled"))))


def test_unschedulable_with_the_schedulers_reason_and_volume_claims() -> None:
    volumes = [{"persistentVolumeClaim": {"claimName": "pv--data-web-main-0"}}]
    raw = unscheduled("web-main-0", "0/1 nodes: pod has unbound immediate PersistentVolumeClaims", volumes=volumes)
    found = seen(read_pod(raw, P, NOW))
    api = FakeApi(claims={"pv--data-web-main-0": "fast", "other": "fast"})
    text = text_of(found, evidence=gather(api, found))
    assert "unbound immediate PersistentVolumeClaims" in text
    assert "PersistentVolumeClaim pv--data-web-main-0: Pending, storage class fast" in text
    assert "other" not in text
    assert "No node fits" in text


def test_pods_that_fit_no_node_by_its_labels_are_told_which_they_ask_for() -> None:
    message = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
    found = seen(read_pod(unscheduled("a", message), P, NOW))
    expression = {"key": "example.org/zone", "operator": "In", "values": ["a", "b"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    found.workload["spec"]["template"]["spec"] = {
        "nodeSelector": {"yelp.com/pool": "default"},
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
    }
    asked = "Nodes need the labels that its pods ask for: yelp.com/pool=default, example.org/zone In a,b"
    assert asked in text_of(found)
    assert "Nodes need" not in text_of(seen(read_pod(unscheduled("a", "0/3 nodes: 3 Insufficient cpu."), P, NOW)))


def test_a_claim_that_is_not_there() -> None:
    raw = unscheduled("p", "no", volumes=[{"persistentVolumeClaim": {"claimName": "gone"}}])
    assert gather(FakeApi(), seen(read_pod(raw, P, NOW))).claims == {"gone": "there is none"}


def test_a_quota() -> None:
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "exceeded quota: small",
    }
    text = text_of(seen(conditions=[condition], updatedReplicas=0, replicas=0), "may not create its pods")
    assert text.splitlines()[0].endswith("0 of 3 new replicas there, 3 ready in all; exceeded quota: small")
    assert "Raise the quota of namespace paastasvc-web" in text


def test_events_that_explain_are_shown_once_each() -> None:
    events = (
        raw_event("Pod", "p", "FailedMount", 'secret "x" not found', count=7),
        raw_event("Pod", "p", "BackOff", "Back-off restarting"),
        raw_event("Pod", "p", "FailedPreStopHook", "hook failed"),
    )
    lines = text_of(seen(pod("p", waiting("ContainerCreating")), events=events)).splitlines()
    assert '        FailedMount (7 times): secret "x" not found' in lines
    assert "        FailedPreStopHook: hook failed" in lines
    assert not any("Back-off" in line for line in lines)


def test_pods_that_count_no_longer_are_told_of() -> None:
    evicted = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
    going = {"deletionTimestamp": "2026-01-01T12:00:20Z"}
    pods = [
        pod("evicted", ready=False, status=evicted),
        pod("hook", revision="old", git_sha=OLD, metadata=going),
        pod("quiet", revision="old", git_sha=OLD, metadata=going),
    ]
    hook = raw_event("Pod", "hook", "FailedPreStopHook", "exit status 1")
    found = seen(*pods, events=(hook,), updatedReplicas=0, replicas=0)
    assert describe(found) == "0 of 3 new replicas there, 3 ready in all, 2 stopping"
    text = text_of(found)
    assert "    evicted on node1: Evicted: low on memory" in text
    assert "    hook on node1: Terminating\n        FailedPreStopHook: exit status 1" in text
    assert "quiet" not in text


def test_many_pods_with_the_same_trouble_are_counted() -> None:
    found = seen(*(pod(f"p{n}", waiting("ImagePullBackOff", "x")) for n in range(8)))
    lines = text_of(found).splitlines()
    assert sum("on node1: main: ImagePullBackOff" in line for line in lines) == 3
    assert "    and 5 more pods: ImagePullBackOff" in lines


def test_a_blocked_stateful_set_is_told_which_pod_to_delete() -> None:
    broken = pod("web-main-2", crashing(9), kind="StatefulSet", revision="broken")
    text = text_of(seen(broken, wanted=target(kind="StatefulSet")))
    assert "web-main-2 of another version is in the way" in text
    assert "kubectl -n paastasvc-web delete pod web-main-2" in text


def test_no_secret_is_in_any_line() -> None:
    found = seen(pod("p", waiting("CreateContainerConfigError", "bad hunter22")))
    evidence = Evidence(logs={"p": ["password is hunter22"]})
    failure = explain(found, "cannot start", evidence, lambda text: text.replace("hunter22", "***"), early=True)
    assert "hunter22" not in str(failure)
    assert "password is ***" in str(failure)


class FakeApi:
    """Logs by pod, and volume claims by name with their storage class; remembers what it was asked."""

    def __init__(self, logs: dict[str, str] | None = None, claims: dict[str, str] | None = None) -> None:
        self.logs = logs or {}
        self.claims = claims or {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def text(self, path: str, *, query: dict[str, Any]) -> str:
        self.asked.append((path, query))
        name = path.split("/")[-2]
        if name not in self.logs:
            raise ApiError(404, "NotFound", "previous terminated container not found", {}, f"GET Pod {name} (log)")
        return self.logs[name]

    def list(self, path: str) -> tuple[list[dict[str, Any]], str]:
        assert path == "/api/v1/namespaces/paastasvc-web/persistentvolumeclaims"
        items = [
            {"metadata": {"name": name}, "spec": {"storageClassName": storage}, "status": {"phase": "Pending"}}
            for name, storage in self.claims.items()
        ]
        return items, "1"


def test_the_output_is_that_of_the_run_that_crashed() -> None:
    api = FakeApi(logs={"p": "\n".join(f"line {n}" for n in range(50))})
    evidence = gather(api, seen(pod("p", crashing(3)), pod("q", crashing(2))))
    assert api.asked == [
        (
            "/api/v1/namespaces/paastasvc-web/pods/p/log",
            {"container": "main", "tailLines": str(LOG_LINES), "previous": "true"},
        )
    ]
    assert evidence.logs["p"] == [f"line {n}" for n in range(30, 50)]


def test_an_init_container_has_output_too() -> None:
    starting = waiting("PodInitializing")
    crashed = crashing(3) | {"name": "setup"}
    api = FakeApi(logs={"p": "x"})
    gather(api, seen(pod("p", starting, status={"initContainerStatuses": [crashed]})))
    assert api.asked[0][1]["container"] == "setup"


def test_output_that_cannot_be_had_is_said() -> None:
    evidence = gather(FakeApi(), seen(pod("p", crashing(3))))
    assert "previous terminated container not found" in evidence.logs["p"][0]


def test_nothing_is_asked_for_pods_that_only_start() -> None:
    api = FakeApi()
    assert gather(api, seen(pod("p", container(ready=False)), pod("q"))) == Evidence({}, {})
    assert api.asked == []
