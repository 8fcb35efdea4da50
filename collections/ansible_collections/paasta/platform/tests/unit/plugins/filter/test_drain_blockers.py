# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.filter.drain_blockers import drain_blockers


def pod(name: str, owner: str = "ReplicaSet", node: str = "node1", phase: str = "Running", **metadata: Any) -> Any:
    owners = [{"kind": owner, "name": "x"}] if owner else []
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}, "ownerReferences": owners, **metadata}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase}}


def budget(selector: Any, allowed: int = 0, namespace: str = "default") -> Any:
    status = {"disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 2}
    metadata = {"name": "web", "namespace": namespace}
    return {"kind": "PodDisruptionBudget", "metadata": metadata, "spec": {"selector": selector}, "status": status}


HELD = "default/a: PodDisruptionBudget web lets none go (2 pods are healthy, 2 have to be)"
LATE = "default/a: no budget holds it: it did not end in time"


@pytest.mark.parametrize(
    ("selector", "line"),
    [
        ({"matchLabels": {"app": "web"}}, HELD),
        ({"matchLabels": {"app": "other"}}, LATE),
        ({}, HELD),
        (None, LATE),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, HELD),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, LATE),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, HELD),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, LATE),
    ],
)
def test_the_budget_that_selects_the_pod_is_named(selector: Any, line: str) -> None:
    assert drain_blockers([pod("a"), budget(selector)], "node1") == [line]


def test_budgets_that_do_not_hold_are_not_named() -> None:
    others = [budget({}, allowed=1), budget({}, namespace="other")]
    assert drain_blockers([pod("a"), *others], "node1") == [LATE]


def test_what_a_drain_leaves_alone_is_not_named() -> None:
    mirror = pod("mirror", annotations={"kubernetes.io/config.mirror": "x"})
    there = [pod("daemon", "DaemonSet"), mirror, pod("done", phase="Succeeded"), pod("elsewhere", node="node2")]
    assert drain_blockers(there, "node1") == []


def test_a_pod_of_nobody_and_one_that_ends() -> None:
    ending = pod("b", deletionTimestamp="2026-01-01T00:00:00Z")
    assert drain_blockers([ending, pod("a", owner="")], "node1") == [
        "default/a: no controller would start it again elsewhere (drain_force=true removes it)",
        "default/b: is ending since 2026-01-01T00:00:00Z",
    ]


def test_two_budgets_are_one_too_many() -> None:
    assert drain_blockers([pod("a"), budget({}, allowed=1), budget({})], "node1") == [
        "default/a: has 2 PodDisruptionBudgets (web, web), and Kubernetes evicts only pods with one"
    ]
