# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""When every proxy has taken over what has moved to another engine."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.proxies import Elsewhere, View

MOVED = Elsewhere("kubernetes", "web.main", 2, ("web.main",))
POD_1, POD_2 = "10.244.0.1:8888", "10.244.0.2:8888"


def answer(pods: int, *, taking: tuple[str, ...] = (), endpoints: tuple[str, ...] = (POD_1, POD_2)) -> dict[str, Any]:
    known = {key: [key in taking, 0] for key in endpoints}
    there = {"endpoints": list(endpoints), "instances": {"web.main": pods} if pods else {}}
    return {"changed": [], "seen": {"web.main.egress_cluster": known}, "others": {"web.main": there}}


def view(**answers: dict[str, Any]) -> View:
    found = View()
    for proxy, one in answers.items():
        found.add(proxy, one, ["web.main"])
    return found


BOTH = answer(2, taking=(POD_1, POD_2))


def test_it_has_when_every_proxy_sends_requests_to_as_many_as_are_wanted() -> None:
    assert view(node1=BOTH, gateway=BOTH).not_taken_over(MOVED) == ""


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (answer(0, endpoints=()), "the proxy of node2 knows 0 of 2 replicas on kubernetes"),
        (answer(1, taking=(POD_1,), endpoints=(POD_1,)), "the proxy of node2 knows 1 of 2 replicas on kubernetes"),
        (answer(2, taking=(POD_1,)), "the proxy of node2 sends 1 of 2 on kubernetes requests"),
        (answer(2), "the proxy of node2 sends 0 of 2 on kubernetes requests"),
    ],
)
def test_one_proxy_that_is_late_is_waited_for(late: dict[str, Any], reason: str) -> None:
    assert view(node1=BOTH, node2=late).not_taken_over(MOVED) == reason


def test_through_nodes_one_may_be_down_and_not_all() -> None:
    nodes = ("172.18.0.2:20002", "172.18.0.3:20002", "172.18.0.4:20002")
    assert view(gateway=answer(2, endpoints=nodes, taking=nodes[:2])).not_taken_over(MOVED) == ""
    assert view(gateway=answer(2, endpoints=nodes, taking=nodes[:1])).not_taken_over(MOVED)
    one = answer(2, endpoints=nodes[:1], taking=nodes[:1])
    assert view(gateway=one).not_taken_over(MOVED) == ""


def test_pods_of_another_instance_do_not_count() -> None:
    other = Elsewhere("kubernetes", "web.canary", 1, ("web.main",))
    assert view(node1=BOTH).not_taken_over(other) == "the proxy of node1 knows 0 of 1 replicas on kubernetes"


def test_what_is_stopped_or_not_in_the_mesh_need_not_be_known() -> None:
    assert (
        view(node1=answer(0, endpoints=())).not_taken_over(Elsewhere("kubernetes", "web.main", 0, ("web.main",))) == ""
    )
    assert view(node1=answer(0, endpoints=())).not_taken_over(Elsewhere("kubernetes", "web.main", 2, ())) == ""
