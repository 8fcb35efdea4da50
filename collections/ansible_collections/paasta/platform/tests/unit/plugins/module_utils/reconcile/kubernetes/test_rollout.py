# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The loop itself; what it decides is tested beside its parts, and with real controllers in tests/kubernetes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes import feed, rollout, verdict
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.errors import Unreachable
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.readiness import Target
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.rollout import Change, Rollout
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.kubernetes.api_double import (
    ApiDouble,
    forbidden,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.kubernetes.workloads import (
    P,
    container,
    crashing,
    raw_event,
    raw_pod,
    target,
    workload,
)

DEPLOYMENTS = "/apis/apps/v1/namespaces/paastasvc-web/deployments"
PODS = "/api/v1/namespaces/paastasvc-web/pods"
EVENTS = "/api/v1/namespaces/paastasvc-web/events"
GOING_ON = {"updatedReplicas": 1, "replicas": 4}


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "TURN", 0.01)
    monkeypatch.setattr(rollout, "TICK", 0.05)
    monkeypatch.setattr(feed, "PAUSE", 0.05)


class Waiting:
    """A rollout that runs in a thread; heard: what it tells."""

    def __init__(self, api: ApiDouble, *targets: Target, timeout: float = 10.0, **options: Any) -> None:
        self.heard: list[Change] = []
        self.results: dict[str, str] = {}
        self._rollout = Rollout(api, P, "test", targets, timeout, **options)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        found = self._rollout.wait(self.heard.append)
        self.results = {id: str(failure or "") for id, failure in found.items()}

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5.0
        while not holds():
            assert time.monotonic() < deadline, [change.text for change in self.heard]
            time.sleep(0.01)

    def says(self, text: str) -> None:
        """Wait until a text was told."""
        self.until(lambda: any(text in change.text for change in self.heard))

    def end(self) -> dict[str, str]:
        self._thread.join(timeout=15.0)
        assert not self._thread.is_alive()
        return self.results


def named(name: str, **status: Any) -> dict[str, Any]:
    found = workload(**status)
    found["metadata"] |= {"name": name, "uid": f"u-{name}"}
    return found


def test_what_is_done_at_the_first_look_costs_one_list() -> None:
    api = ApiDouble()
    api.set(workload())
    assert Waiting(api, target()).end() == {"web.main": ""}
    assert api.asked["list", DEPLOYMENTS] == 1
    assert not any(path.endswith("/pods") for _verb, path in api.asked)


def test_nothing_to_wait_for() -> None:
    assert Rollout(ApiDouble(), P, "test", [], 1.0).wait() == {}  # type: ignore[arg-type]


def test_each_text_is_told_once_and_the_last_with_how_many_are_done() -> None:
    api = ApiDouble()
    api.set(workload(**GOING_ON), named("web-api"))
    wait = Waiting(api, target(), target(id="web.api", name="web-api"))
    wait.says("1 of 3 new replicas there")
    for _again in range(3):
        api.set(workload(**GOING_ON))
        # Longer than news are collected: each is looked at.
        time.sleep(0.1)
    api.set(workload(updatedReplicas=2, replicas=4))
    wait.says("2 of 3 new replicas there")
    api.set(workload())
    assert wait.end() == {"web.main": "", "web.api": ""}
    assert [(change.target.id, change.text, change.finished) for change in wait.heard] == [
        ("web.api", "3 of 3 ready (1 of 2 instances)", True),
        ("web.main", "1 of 3 new replicas there, 3 ready in all, 3 old left", False),
        ("web.main", "2 of 3 new replicas there, 3 ready in all, 2 old left", False),
        ("web.main", "3 of 3 ready (2 of 2 instances)", True),
    ]


def test_workloads_of_several_namespaces_are_listed_once_for_the_cluster() -> None:
    api = ApiDouble()
    other = workload()
    other["metadata"]["namespace"] = "paastasvc-api"
    api.set(workload(), other)
    targets = [target(), target(id="api.main", namespace="paastasvc-api")]
    assert Waiting(api, *targets).end() == {"web.main": "", "api.main": ""}
    assert set(api.asked) <= {("list", "/apis/apps/v1/deployments"), ("watch", "/apis/apps/v1/deployments")}


def test_what_happened_while_the_watch_was_broken_is_seen() -> None:
    api = ApiDouble()
    broken = raw_pod("web-main-new-1", crashing(1))
    api.set(workload(**GOING_ON), broken)
    wait = Waiting(api, target())
    wait.says("web-main-new-1: main: CrashLoopBackOff")
    api.delete(broken, quietly=True)
    api.set(raw_pod("web-main-new-2", container(ready=False)), quietly=True)
    api.break_watch("Pod")
    wait.says("web-main-new-2: main: NotReady")
    assert "web-main-new-1" not in wait.heard[-1].text
    api.set(workload(), quietly=True)
    api.break_watch("Deployment")
    assert wait.end() == {"web.main": ""}


def test_a_server_that_does_not_answer_is_waited_for() -> None:
    api = ApiDouble()
    api.refused[DEPLOYMENTS] = [Unreachable("https://k does not answer: refused")] * 3
    api.set(workload())
    assert Waiting(api, target()).end() == {"web.main": ""}
    assert api.asked["list", DEPLOYMENTS] == 4


def test_a_server_that_never_answers_is_the_reason() -> None:
    api = ApiDouble()
    api.refused[DEPLOYMENTS] = Unreachable("https://k does not answer: refused")
    result = Waiting(api, target(), timeout=0.5).end()["web.main"]
    assert result.endswith("is not done after 0.5 s: https://k does not answer: refused")


def test_a_crash_loop_ends_its_own_wait_only() -> None:
    api = ApiDouble()
    api.logs["web-main-new-1"] = "no such table: hunter22\n"
    api.set(workload(**GOING_ON), named("web-api", **GOING_ON), raw_pod("web-main-new-1", crashing(2)))
    wait = Waiting(
        api, target(), target(id="web.api", name="web-api"), redact=lambda text: text.replace("hunter22", "***")
    )
    wait.says("CrashLoopBackOff (2 restarts)")
    api.set(raw_pod("web-main-new-1", crashing(3)))
    wait.says("failed: Deployment paastasvc-web/web-main crashes again and again")
    api.set(named("web-api"))
    results = wait.end()
    assert results["web.api"] == ""
    assert "| no such table: ***" in results["web.main"]
    assert wait.heard[-1].target.id == "web.api"


def test_a_pod_that_crash_loops_when_the_wait_begins_has_to_crash_once_more() -> None:
    api = ApiDouble()
    api.set(workload(**GOING_ON), raw_pod("web-main-new-1", crashing(7)))
    wait = Waiting(api, target())
    wait.says("CrashLoopBackOff (7 restarts)")
    api.set(raw_pod("web-main-new-1", container()), workload())
    assert wait.end() == {"web.main": ""}


def test_a_deleted_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "GONE_SECONDS", 0.3)
    api, going_on = ApiDouble(), workload(**GOING_ON)
    api.set(going_on)
    wait = Waiting(api, target())
    wait.says("new replicas")
    api.delete(going_on)
    assert "web-main was deleted while its rollout was waited for" in wait.end()["web.main"]


def test_a_workload_that_was_deleted_while_the_watch_was_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "GONE_SECONDS", 0.3)
    api, going_on = ApiDouble(), workload(**GOING_ON)
    api.set(going_on)
    wait = Waiting(api, target())
    wait.says("new replicas")
    api.delete(going_on, quietly=True)
    api.break_watch("Deployment")
    assert "was deleted while its rollout was waited for" in wait.end()["web.main"]


def test_a_workload_that_is_back_at_once_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "GONE_SECONDS", 0.5)
    api, going_on = ApiDouble(), workload(**GOING_ON)
    api.set(going_on)
    wait = Waiting(api, target())
    wait.says("new replicas")
    api.delete(going_on)
    wait.says("is not there")
    api.set(workload())
    assert wait.end() == {"web.main": ""}


def test_done_for_another_version_is_not_done() -> None:
    api, other = ApiDouble(), workload(generation=6)
    other["spec"]["template"]["metadata"]["labels"][f"{P}/git_sha"] = "c" * 40
    api.set(other)
    assert "has set git_sha cccccccc, planned is aaaaaaaa" in Waiting(api, target()).end()["web.main"]


def test_pods_that_may_not_be_seen_make_the_answer_poorer_not_wrong() -> None:
    api = ApiDouble()
    api.refused[PODS] = forbidden("GET pods in paastasvc-web")
    api.set(workload(**GOING_ON))
    wait = Waiting(api, target(), timeout=0.5)
    result = wait.end()["web.main"]
    assert "is not done after 0.5 s: 1 of 3 new replicas there" in result
    assert "its pods cannot be seen: GET pods in paastasvc-web: User cannot do that (403 Forbidden)" in result


def test_workloads_that_may_not_be_seen_cannot_be_waited_for() -> None:
    api = ApiDouble()
    api.refused[DEPLOYMENTS] = forbidden("GET deployments in paastasvc-web")
    started = time.monotonic()
    result = Waiting(api, target()).end()["web.main"]
    assert result.startswith("its rollout cannot be waited for: GET deployments in paastasvc-web")
    assert time.monotonic() - started < 5.0


def test_events_are_read_of_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "CLOSER_LOOK", 0.2)
    api = ApiDouble()
    api.events = [raw_event("Pod", "web-main-new-1", "Unhealthy", "Readiness probe failed: 503")]
    api.set(workload(**GOING_ON), raw_pod("web-main-new-1", container(ready=False)))
    wait = Waiting(api, target())
    wait.says("(Readiness probe failed: 503)")
    api.set(workload())
    assert wait.end() == {"web.main": ""}
    assert api.asked["list", EVENTS] == 1


def test_a_refusal_must_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "REFUSAL_SECONDS", 0.5)
    api = ApiDouble()
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "exceeded quota: small",
    }
    api.set(workload(**GOING_ON, conditions=[condition]))
    started = time.monotonic()
    result = Waiting(api, target()).end()["web.main"]
    assert 0.5 <= time.monotonic() - started < 5.0
    assert "may not create its pods" in result
    assert "exceeded quota: small" in result


def test_a_thousand_rollouts_cost_little() -> None:
    """Each of the 1,000 changes three times, with pods; nothing is looked at that has no news."""
    api, count = ApiDouble(), 1000
    names = [f"s{number}" for number in range(count)]
    api.set(*(named(name, updatedReplicas=0) for name in names))
    started = time.process_time()
    wait = Waiting(api, *(target(id=f"{name}.main", name=name) for name in names), timeout=60.0)
    wait.until(lambda: len(wait.heard) >= count)
    for name in names:
        starting = raw_pod(f"{name}-new-1", container(ready=False))
        starting["metadata"]["ownerReferences"][0]["name"] = f"{name}-new"
        api.set(named(name, **GOING_ON), starting)
    for name in names:
        api.set(named(name))
    results = wait.end()
    spent = time.process_time() - started
    assert (len(results), set(results.values())) == (count, {""})
    assert wait.heard[-1].text.endswith("(1000 of 1000 instances)")
    assert sum(api.asked.values()) <= 4
    # Most of it is what the double itself costs.
    assert spent < 5.0, spent
