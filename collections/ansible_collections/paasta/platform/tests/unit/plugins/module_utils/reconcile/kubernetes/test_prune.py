# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.live import Live
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.prune import TooMany, decide
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.writer import describe

Object = dict[str, Any]
P = "paasta.yelp.com"
VERSIONS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
}


def thing(kind: str, name: str, namespace: str = "ns", *, id: str = "", ours: bool = True, target: str = "") -> Object:
    labels = {f"{P}/managed": "true"}
    if id:
        service, instance = id.split(".")
        labels |= {f"{P}/service": service, f"{P}/instance": instance}
    found: Object = {
        "apiVersion": VERSIONS.get(kind, "v1"),
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    }
    if ours:
        found["metadata"]["managedFields"] = [{"manager": "paasta", "operation": "Apply", "fieldsV1": {}}]
    if kind == "HorizontalPodAutoscaler":
        found["spec"] = {"scaleTargetRef": {"kind": target or "Deployment", "name": name}}
    return found


def planned(*objects: Object, kind: str = "Deployment", bounce: str = "crossover", **more: Any) -> Object:
    metadata = objects[0]["metadata"]
    return {
        "kind": kind,
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "bounce_method": bounce,
        "objects": list(objects),
        "secrets": [],
        **more,
    }


def live(*objects: Object) -> Live:
    found = Live(P, "test")
    for one in objects:
        found.add(one)
    return found


def removals(instances: Object, there: Live, **arguments: Any) -> Any:
    plan = {"instances": instances, "shared": arguments.pop("shared", {})}
    return decide(plan, there, **{"only": [], "undeployed": [], "guard": 1.0, **arguments})


def names(objects: list[Object]) -> list[str]:
    return [describe(one) for one in objects]


WEB = thing("Deployment", "web-main", id="web.main")
API = thing("Deployment", "api-main", id="api.main")
HPA = thing("HorizontalPodAutoscaler", "web-main", id="web.main")
BUDGET = thing("PodDisruptionBudget", "web-main", id="web.main")


def test_what_is_planned_stays() -> None:
    found = removals({"web.main": planned(WEB, HPA)}, live(WEB, HPA))
    assert (found.instances, found.before, found.after, found.shared) == ({}, {}, {}, [])


def test_an_instance_that_is_not_declared_goes_with_all_it_has_users_first() -> None:
    found = removals({"api.main": planned(API)}, live(BUDGET, WEB, HPA, API))
    assert names(found.instances["web.main"]) == [
        "HorizontalPodAutoscaler ns/web-main",
        "Deployment ns/web-main",
        "PodDisruptionBudget ns/web-main",
    ]


def test_undeployed_and_not_selected_instances_stay() -> None:
    there = live(WEB, API)
    assert removals({}, there, undeployed=["web.main"]).instances.keys() == {"api.main"}
    assert removals({}, there, only=["web"]).instances.keys() == {"web.main"}
    assert removals({}, there, only=["api.main"]).instances.keys() == {"api.main"}


def test_what_another_engine_is_to_run_stays_until_it_does_and_does_not_count_for_the_guard() -> None:
    there = live(API, WEB)
    elsewhere = {"elsewhere": ["web.main"], "guard": 0.0}
    assert removals({"api.main": planned(API)}, there, **elsewhere).instances == {}
    gone = removals({"api.main": planned(API)}, there, release=["web.main"], **elsewhere)
    assert gone.instances.keys() == {"web.main"}


@pytest.mark.parametrize(("guard", "allowed"), [(0.4, False), (0.5, True), (1.0, True), (0.0, False)])
def test_the_guard_counts_instances_that_run(guard: float, allowed: bool) -> None:
    there = live(WEB, API, BUDGET, thing("PodDisruptionBudget", "left-over", id="old.main"))
    if allowed:
        assert removals({"api.main": planned(API)}, there, guard=guard).instances.keys() == {"web.main", "old.main"}
    else:
        with pytest.raises(TooMany, match=r"1 of 2 .*web\.main"):
            removals({"api.main": planned(API)}, there, guard=guard)


def test_an_autoscaler_goes_before_the_workload_is_written() -> None:
    found = removals({"web.main": planned(WEB)}, live(WEB, HPA))
    assert (names(found.before["web.main"]), found.after) == (["HorizontalPodAutoscaler ns/web-main"], {})


def test_what_was_left_in_another_namespace_goes_after_with_its_autoscaler() -> None:
    moved = thing("Deployment", "web-main", "new", id="web.main")
    found = removals({"web.main": planned(moved)}, live(WEB, HPA))
    assert found.before == {}
    assert names(found.after["web.main"]) == ["HorizontalPodAutoscaler ns/web-main", "Deployment ns/web-main"]


def test_what_may_not_run_twice_goes_before_its_successor() -> None:
    stateful = thing("StatefulSet", "web-main", id="web.main")
    found = removals({"web.main": planned(stateful, kind="StatefulSet", bounce="downthenup")}, live(WEB))
    assert names(found.before["web.main"]) == ["Deployment ns/web-main"]


def test_shared_objects_go_when_nobody_needs_them_and_only_if_they_are_ours() -> None:
    account, theirs = thing("ServiceAccount", "role"), thing("ServiceAccount", "theirs", ours=False)
    secret, used = thing("Secret", "old"), thing("Secret", "used")
    entry = {"object": "used"}
    there = live(WEB, account, theirs, secret, used)
    found = removals({"web.main": planned(WEB, secrets=[entry])}, there)
    assert names(found.shared) == ["ServiceAccount ns/role", "Secret ns/old"]
    assert removals({"web.main": planned(WEB)}, there, only=["web"]).shared == []
    assert removals({"web.main": planned(WEB)}, there, shared={"v1/ServiceAccount/ns/role": account}).shared == [
        secret,
        used,
    ]


def test_shared_objects_of_a_namespace_with_an_instance_that_is_left_alone_stay() -> None:
    there = live(WEB, thing("ServiceAccount", "role"), thing("Secret", "old"))
    assert removals({}, there, undeployed=["web.main"]).shared == []
