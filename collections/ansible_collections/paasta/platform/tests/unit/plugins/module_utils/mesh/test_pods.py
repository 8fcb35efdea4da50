# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Which pods are backends, and what proxies are told of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.mesh.endpoint_files import DRAINING, HEALTHY, Endpoint
from ansible_collections.paasta.platform.plugins.module_utils.mesh.pods import (
    HOLD,
    SETTLE,
    Known,
    changes,
    direct,
    hold,
    read,
    through,
)

PREFIX = "paasta.yelp.com"
SLEEP = {"sleep": {"seconds": 30}}
NODES = ("172.18.0.2", "172.18.0.3")


def pod(
    number: int = 1,
    *,
    ready: bool = True,
    stops: bool = False,
    phase: str = "Running",
    address: str | None = "",
    registrations: Any = ("web.main",),
    instance: str = "main",
    weight: str = "10",
    containers: Any = None,
    pre_stop: Any = None,
) -> dict[str, Any]:
    metadata = {
        "name": f"web-{instance}-{number}",
        "uid": str(number),
        "labels": {f"{PREFIX}/service": "web", f"{PREFIX}/instance": instance, f"{PREFIX}/weight": weight},
        "annotations": {"smartstack_registrations": json.dumps(registrations)},
        **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if stops else {}),
    }
    conditions = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": str(ready)}]
    status = {"phase": phase, "conditions": conditions, "podIP": f"10.244.0.{number}" if address == "" else address}
    own = {"name": "main", "ports": [{"containerPort": 8888}], "lifecycle": {"preStop": pre_stop or SLEEP}}
    spec = {"nodeName": "node1", "containers": containers or [own]}
    return {"metadata": metadata, "spec": spec, "status": status}


def backends(*pods: dict[str, Any]) -> list[Any]:
    return [found for found in (read(one, PREFIX) for one in pods) if found is not None]


def test_a_ready_pod_is_a_backend_with_all_that_proxies_need() -> None:
    (found,) = backends(pod(weight="25"))
    assert (found.instance, found.registrations) == ("web.main", ("web.main",))
    assert (found.address, found.port, found.weight, found.healthy) == ("10.244.0.1", 8888, 25, True)
    assert found.pod == "web-main-1 on node1"


@pytest.mark.parametrize(
    "keys",
    [
        {"ready": False},
        {"ready": False, "stops": True},
        {"phase": "Succeeded"},
        {"address": None},
        {"registrations": []},
        {"containers": [{"name": "main"}]},
    ],
)
def test_nobody_sends_requests_to_other_pods(keys: dict[str, Any]) -> None:
    assert backends(pod(**keys)) == []


def test_a_pod_that_stops_is_drained() -> None:
    assert not backends(pod(stops=True))[0].healthy


@pytest.mark.parametrize("annotation", ["no json", '"web.main"', "{}", '["../../etc/passwd", "web", 7, "a/b.c"]'])
def test_an_annotation_that_names_no_namespace_counts_for_nothing(annotation: str) -> None:
    found = pod()
    found["metadata"]["annotations"]["smartstack_registrations"] = annotation
    assert backends(found) == []


def test_a_pod_without_annotations_or_status_is_none() -> None:
    bare = {"metadata": {"name": "a", "uid": "a"}, "spec": {"containers": [{"name": "a"}]}}
    assert backends(bare) == []


def test_the_port_is_that_of_the_instance_whatever_stands_before_it() -> None:
    sidecar = {"name": "istio-proxy", "ports": [{"containerPort": 15090}]}
    main = {"name": "my--main", "ports": [{"containerPort": 8888}, {"containerPort": 9102}]}
    assert backends(pod(instance="my_main", containers=[sidecar, main]))[0].port == 8888


@pytest.mark.parametrize(("label", "weight"), [("", 10), ("0", 1), ("-3", 10), ("many", 10)])
def test_a_weight_that_envoy_would_refuse_is_none(label: str, weight: int) -> None:
    assert backends(pod(weight=label))[0].weight == weight


def test_a_proxy_that_reaches_pods_gets_pods() -> None:
    found = direct("web.main", backends(pod(1), pod(2, stops=True), pod(3, registrations=["api.main"])))
    assert found.endpoints == (Endpoint("10.244.0.1", 8888, 10), Endpoint("10.244.0.2", 8888, 10, DRAINING))
    assert found.instances == {"web.main": 1}


def test_a_proxy_that_does_not_gets_nodes_with_the_weight_of_the_pods() -> None:
    found = through("web.main", backends(pod(1), pod(2), pod(3, instance="canary")), NODES, 20002)
    assert found.endpoints == tuple(Endpoint(node, 20002, 15) for node in NODES)
    assert found.instances == {"web.main": 2, "web.canary": 1}


def test_nodes_are_drained_with_the_last_pod_and_leave_after_it() -> None:
    assert {one.state for one in through("web.main", backends(pod(1), pod(2, stops=True)), NODES, 20002).endpoints} == {
        HEALTHY
    }
    last = through("web.main", backends(pod(1, stops=True)), NODES, 20002)
    assert {one.state for one in last.endpoints} == {DRAINING}
    assert last.instances == {}
    assert through("web.main", [], NODES, 20002).endpoints == ()


def test_a_namespace_without_a_proxy_port_is_not_reached_through_nodes() -> None:
    assert through("web.main", backends(pod()), NODES, None).endpoints == ()
    assert through("web.main", backends(pod()), (), 20002).endpoints == ()


def test_changes_are_told_in_one_line_each() -> None:
    before = direct("web.main", backends(pod(1), pod(2), pod(3)))
    after = direct("web.main", backends(pod(2, stops=True), pod(3, weight="5"), pod(4)))
    names = {"10.244.0.4:8888": "web-main-4 on node1"}
    assert changes("web.main", before, after, names) == [
        "web.main: 10.244.0.1:8888 leaves",
        "web.main: 10.244.0.2:8888 drains",
        "web.main: 10.244.0.3:8888 weight 10 -> 5",
        "web.main: 10.244.0.4:8888 joins (web-main-4 on node1)",
    ]
    assert changes("web.main", after, after, names) == []


def states(*known: tuple[dict[str, Any], float], now: float) -> tuple[list[str], float | None]:
    """Of pods, each with the moment since when it is as it is."""
    found, again = hold([Known(backends(one)[0], since) for one, since in known], now)
    return [one.state for one in found], again


def test_a_pod_that_stops_is_held_until_a_new_one_has_been_checked() -> None:
    old, new = (pod(1, stops=True), 100.0), (pod(2), 99.9)
    settled = 99.9 + SETTLE
    assert states(old, new, now=100.0) == ([HEALTHY, HEALTHY], settled)
    assert states(old, new, now=settled) == ([DRAINING, HEALTHY], None)


def test_a_pod_that_stops_is_not_held_where_others_take_requests() -> None:
    assert states((pod(1, stops=True), 100.0), (pod(2), 0.0), (pod(3), 99.9), now=100.0)[0] == [
        DRAINING,
        HEALTHY,
        HEALTHY,
    ]


def test_a_pod_is_not_held_for_longer_than_it_answers() -> None:
    alone = (pod(1, stops=True), 100.0)
    assert states(alone, now=100.0) == ([HEALTHY], 100.0 + HOLD)
    assert states(alone, now=100.0 + HOLD) == ([DRAINING], None)


@pytest.mark.parametrize(
    ("pre_stop", "seconds"),
    [
        ({"sleep": {"seconds": 30}}, HOLD),
        ({"sleep": {"seconds": 2}}, 1.0),
        ({"exec": {"command": ["/bin/sh", "-c", "curl x; sleep 4; while true; do sleep 1; done"]}}, 2.0),
        ({"exec": {"command": ["/usr/bin/drain"]}}, 0.0),
        ({"httpGet": {"path": "/drain", "port": 80}}, 0.0),
    ],
)
def test_it_is_held_for_half_of_the_time_that_it_has(pre_stop: dict[str, Any], seconds: float) -> None:
    alone = pod(1, stops=True, pre_stop=pre_stop)
    assert states((alone, 100.0), now=100.0 + max(seconds - 0.01, 0))[0] == [HEALTHY if seconds else DRAINING]
    assert states((alone, 100.0), now=100.0 + seconds) == ([DRAINING], None)


def test_nothing_is_held_where_another_engine_takes_requests() -> None:
    known = [Known(backends(pod(1, stops=True))[0], 100.0)]
    assert [one.state for one in hold(known, 100.0, elsewhere=True)[0]] == [DRAINING]


def test_held_pods_get_requests_and_are_not_counted() -> None:
    found, _again = hold([Known(backends(pod(1, stops=True))[0], 100.0)], 100.0)
    assert direct("web.main", found).instances == {}
    assert {one.state for one in direct("web.main", found).endpoints} == {HEALTHY}
    assert {one.state for one in through("web.main", found, NODES, 20002).endpoints} == {HEALTHY}
