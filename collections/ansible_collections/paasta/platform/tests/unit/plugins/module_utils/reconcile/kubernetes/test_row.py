# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.events import by_object, read
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.row import LAST_EVENTS, brief, row
from ansible_collections.paasta.platform.plugins.module_utils.table import render
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.kubernetes.workloads import (
    CONFIG,
    NEW,
    OLD,
    P,
    container,
    pod,
    raw_event,
    waiting,
    workload,
)

PLANNED = MappingProxyType[str, Any](
    {
        "namespace": "paastasvc-web",
        "name": "web-main",
        "kind": "Deployment",
        "git_sha": NEW,
        "config_sha": CONFIG,
        "replicas": 3,
        "autoscaling": None,
        "objects": [],
    }
)
THREE = [pod("web-main-new-1"), pod("web-main-new-2"), pod("web-main-new-3", node="node2")]


def made(planned: Mapping[str, Any] | None = PLANNED, found: Any = None, **more: Any) -> dict[str, Any]:
    return row("web.main", planned, found, prefix=P, **more)


def test_as_planned() -> None:
    found = made(found=workload(), pods=THREE)
    assert (found["replicas"], found["ready"], found["current"], found["problem"]) == (3, 3, 3, "")
    assert (found["git_sha"], found["config_sha"], found["hosts"]) == (NEW[:8], CONFIG, {"node1": 2, "node2": 1})


def test_old_pods_are_ready_and_not_current() -> None:
    pods = [pod("a"), pod("b", git_sha=OLD, revision="old"), pod("c", waiting("ImagePullBackOff", "no"))]
    found = made(found=workload(updatedReplicas=2), pods=pods)
    assert (found["ready"], found["current"], found["git_sha"]) == (2, 1, f"{NEW[:8]},{OLD[:8]}")
    assert [(version["git_sha"], version["replicas"], version["ready"]) for version in found["versions"]] == [
        (NEW, 2, 1),
        (OLD, 1, 1),
    ]
    assert found["problem"] == "1 of 3 new replicas ready, 1 old left; c: main: ImagePullBackOff: no"
    assert found["pods"][2]["reason"] == "main: ImagePullBackOff: no"


def test_pods_that_go_are_listed_and_not_counted() -> None:
    gone = pod("web-main-old-1", metadata={"deletionTimestamp": "2026-01-01T12:00:20Z"})
    found = made(found=workload(), pods=[*THREE, gone])
    assert (found["ready"], len(found["pods"]), sum(found["hosts"].values())) == (3, 4, 3)


@pytest.mark.parametrize(
    ("status", "ready", "current", "shas"),
    [
        ({}, 3, 3, NEW[:8]),
        # Of four, one is old: of the three that are ready it may be one.
        ({"replicas": 4, "readyReplicas": 3}, 3, 2, NEW[:8]),
        ({"replicas": 3, "updatedReplicas": 0, "readyReplicas": 3}, 3, 0, NEW[:8]),
    ],
)
def test_without_pods_the_workload_is_asked(status: dict[str, Any], ready: int, current: int, shas: str) -> None:
    found = made(found=workload(**status))
    assert (found["ready"], found["current"], found["git_sha"], found["hosts"]) == (ready, current, shas, {})


def test_not_there() -> None:
    assert "is not there" in made()["problem"]
    assert made(PLANNED | {"replicas": 0})["problem"] == ""
    assert "is not there" in made(PLANNED | {"replicas": 0, "autoscaling": {"min": 0, "max": 2}})["problem"]
    assert render([made(PLANNED | {"replicas": 0})]).splitlines()[2].split()[2] == "stopped"


def test_another_version_and_number_than_planned() -> None:
    found = made(PLANNED | {"git_sha": OLD, "replicas": 2}, workload(), pods=THREE)
    assert found["problem"].splitlines() == [
        "git_sha is aaaaaaaa, planned is bbbbbbbb: not deployed yet",
        "replicas is 3, planned is 2",
    ]
    scaled = made(PLANNED | {"replicas": 2, "autoscaling": {"min": 2, "max": 9}}, workload(), pods=THREE)
    assert (scaled["replicas"], scaled["problem"]) == (3, "")


def test_of_an_instance_that_failed_the_error_is_all_that_is_said() -> None:
    late = workload(updatedReplicas=1, replicas=1, availableReplicas=0)
    pods = [pod("a", container(ready=False))]
    text = "0 of 3 new replicas ready; a: main: NotReady: its readiness probe has not passed yet"
    assert made(found=late, pods=pods)["problem"] == text
    error = f"Deployment paastasvc-web/web-main is not done after 5 s: {text}"
    assert made(found=late, pods=pods, error=error)["problem"] == error


def test_what_was_just_written_has_no_problem_yet() -> None:
    assert made(found=workload(observedGeneration=4))["problem"] != ""
    assert made(found=workload(observedGeneration=4), settling=True)["problem"] == ""


def autoscaler(metrics: list[Any], current: list[Any], *conditions: dict[str, str], **status: int) -> dict[str, Any]:
    return {
        "spec": {"minReplicas": 2, "maxReplicas": 10, "metrics": metrics},
        "status": {"currentReplicas": 3, "desiredReplicas": 4, "currentMetrics": current, "conditions": conditions},
    }


CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
CPU_NOW = {
    "type": "Resource",
    "resource": {"name": "cpu", "current": {"averageUtilization": 61, "averageValue": "305m"}},
}
OBJECT = {
    "type": "Object",
    "object": {"metric": {"name": "uwsgi-prom-1800"}, "target": {"type": "Value", "value": "1"}},
}
OBJECT_NOW = {"type": "Object", "object": {"metric": {"name": "uwsgi-prom-1800"}, "current": {"value": "800m"}}}
EXTERNAL = {
    "type": "External",
    "external": {"metric": {"name": "lag"}, "target": {"type": "AverageValue", "averageValue": "5"}},
}
SIDECAR = {
    "type": "ContainerResource",
    "containerResource": {
        "name": "memory",
        "container": "main",
        "target": {"type": "AverageValue", "averageValue": "1Gi"},
    },
}
NO_VALUE: dict[str, Any] = {"type": ""}


@pytest.mark.parametrize(
    ("metric", "current", "shown"),
    [
        (CPU, CPU_NOW, ("cpu", "80%", "61%")),
        (CPU, NO_VALUE, ("cpu", "80%", "")),
        (OBJECT, OBJECT_NOW, ("uwsgi-prom-1800", "1", "800m")),
        (EXTERNAL, NO_VALUE, ("lag", "5", "")),
        (SIDECAR, NO_VALUE, ("main memory", "1Gi", "")),
    ],
)
def test_metrics_of_the_autoscaler(
    metric: dict[str, Any], current: dict[str, Any], shown: tuple[str, str, str]
) -> None:
    found = made(found=workload(), pods=THREE, autoscaler=autoscaler([metric], [current]))["autoscaler"]
    assert tuple(found["metrics"][0].values()) == shown
    assert (found["min"], found["max"], found["current"], found["desired"]) == (2, 10, 3, 4)


def test_metrics_before_the_autoscaler_has_looked() -> None:
    found = made(found=workload(), pods=THREE, autoscaler=autoscaler([CPU, OBJECT], []))["autoscaler"]
    assert [metric["current"] for metric in found["metrics"]] == ["", ""]


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        (
            {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"},
            "autoscaler: FailedGetResourceMetric: no metrics",
        ),
        ({"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}, ""),
        ({"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled"}, ""),
        (
            {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"},
            "autoscaler: wants more than its max of 10",
        ),
        ({"type": "ScalingLimited", "status": "True", "reason": "TooFewReplicas"}, ""),
    ],
)
def test_what_is_wrong_with_the_autoscaler(condition: dict[str, str], problem: str) -> None:
    found = made(found=workload(), pods=THREE, autoscaler=autoscaler([CPU], [CPU_NOW], condition))
    assert found["problem"] == problem


def test_the_last_events_the_newest_first() -> None:
    events = [
        raw_event("Pod", "web-main-new-1", "Unhealthy", f"probe {n}", last=f"2026-01-01T11:59:{n:02d}Z")
        for n in range(9)
    ]
    events.append(raw_event("Pod", "somebody-elses", "Unhealthy", "x", last="2026-01-01T11:59:50Z"))
    found = made(found=workload(), pods=THREE, warnings=by_object(map(read, events)))["events"]
    assert [event["message"] for event in found] == [f"probe {n}" for n in (8, 7, 6, 5, 4)]
    assert len(found) == LAST_EVENTS
    assert found[0]["object"] == "Pod web-main-new-1"


def test_events_of_the_newer_api_have_their_count_and_time_in_a_series() -> None:
    newer = raw_event("Pod", "p", "FailedScheduling", "no") | {
        "count": None,
        "lastTimestamp": None,
        "eventTime": "2026-01-01T11:00:00.123456Z",
        "series": {"count": 12, "lastObservedTime": "2026-01-01T11:59:00.654321Z"},
    }
    found = read(newer)
    assert (found.count, found.last) == (12, "2026-01-01T11:59:00.654321Z")
    assert str(found) == "FailedScheduling (12 times): no"
    once = read(newer | {"series": None})
    assert (once.count, once.last) == (1, "2026-01-01T11:00:00.123456Z")


def test_the_table_is_made_of_the_brief_form() -> None:
    found = made(found=workload(), pods=THREE)
    assert render([brief(found)]) == render([found])
    assert "pods" not in brief(found)
