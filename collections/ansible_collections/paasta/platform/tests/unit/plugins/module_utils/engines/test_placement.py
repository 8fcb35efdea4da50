# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Placement: spreading, and above all that nothing moves that need not."""

from __future__ import annotations

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.placement import Demand, NoHost, place
from hypothesis import given
from hypothesis import strategies as st

HOSTS = {"node1": "default", "node2": "default", "node3": "default"}


def test_spreads_evenly_and_by_instance() -> None:
    placed = place([Demand("a.main", 3, "default", {}), Demand("b.main", 4, "default", {})], HOSTS)
    assert placed["a.main"] == {"node1": 1, "node2": 1, "node3": 1}
    assert sorted(placed["b.main"].values()) == [1, 1, 2]


def test_scale_up_only_adds() -> None:
    placed = place([Demand("a.main", 3, "default", {"node2": 2})], HOSTS)
    assert placed["a.main"]["node2"] == 2
    assert sum(placed["a.main"].values()) == 3


def test_scale_down_takes_from_the_fullest() -> None:
    placed = place([Demand("a.main", 2, "default", {"node1": 3, "node2": 1})], HOSTS)
    assert placed["a.main"] == {"node1": 1, "node2": 1}


def test_a_lost_host_gives_only_its_own() -> None:
    survivors = {"node1": "default", "node3": "default"}
    placed = place([Demand("a.main", 3, "default", {"node1": 1, "node2": 1, "node3": 1})], survivors)
    assert sum(placed["a.main"].values()) == 3
    assert min(placed["a.main"][host] for host in survivors) >= 1


def test_other_instances_count_as_load() -> None:
    placed = place([Demand("a.main", 1, "default", {})], HOSTS, others={"node1": 5, "node2": 5})
    assert placed["a.main"] == {"node3": 1}


def test_a_new_version_stays_where_the_old_one_is() -> None:
    placed = place([Demand("a.main", 2, "default", {}, {"node3", "node1"})], HOSTS, others={"node1": 5, "node3": 5})
    assert placed["a.main"] == {"node1": 1, "node3": 1}


def test_pools_are_kept_apart() -> None:
    hosts = {"node1": "default", "node2": "batch"}
    placed = place([Demand("a.main", 2, "batch", {"node1": 2})], hosts)
    assert placed["a.main"] == {"node2": 2}


def test_a_pool_without_hosts_is_named() -> None:
    with pytest.raises(NoHost, match=r"a.main: no host of pool 'gpu' \(pools with hosts: default\)"):
        place([Demand("a.main", 1, "gpu", {})], HOSTS)


hosts = st.dictionaries(st.sampled_from([f"node{n}" for n in range(6)]), st.just("default"), min_size=1)
demands = st.lists(
    st.builds(
        Demand,
        id=st.sampled_from(["a.main", "b.main", "c.canary", "d.worker"]),
        replicas=st.integers(0, 9),
        pool=st.just("default"),
        current=st.dictionaries(st.sampled_from([f"node{n}" for n in range(6)]), st.integers(1, 4)),
    ),
    unique_by=lambda demand: demand.id,
)


@given(hosts=hosts, demands=demands)
def test_everything_is_placed_on_hosts_that_exist(hosts: dict[str, str], demands: list[Demand]) -> None:
    placed = place(demands, hosts)
    for demand in demands:
        assert sum(placed[demand.id].values()) == demand.replicas
        assert placed[demand.id].keys() <= hosts.keys()


@given(hosts=hosts, demands=demands)
def test_what_is_placed_stays(hosts: dict[str, str], demands: list[Demand]) -> None:
    placed = place(demands, hosts)
    again = place([Demand(d.id, d.replicas, d.pool, placed[d.id]) for d in demands], hosts)
    assert again == placed


@given(hosts=hosts, demands=demands, more=st.integers(1, 5))
def test_scale_up_moves_nothing(hosts: dict[str, str], demands: list[Demand], more: int) -> None:
    placed = place(demands, hosts)
    grown = place([Demand(d.id, d.replicas + more, d.pool, placed[d.id]) for d in demands], hosts)
    for demand in demands:
        for host, count in placed[demand.id].items():
            assert grown[demand.id][host] >= count


@given(hosts=hosts, demands=demands, data=st.data())
def test_the_order_of_demands_does_not_matter(
    hosts: dict[str, str], demands: list[Demand], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(demands))
    assert place(shuffled, hosts) == place(demands, hosts)


@given(replicas=st.integers(0, 30), hosts=hosts)
def test_a_fresh_instance_is_spread_as_evenly_as_can_be(replicas: int, hosts: dict[str, str]) -> None:
    counts = place([Demand("a.main", replicas, "default", {})], hosts)["a.main"]
    per_host = [counts.get(host, 0) for host in hosts]
    assert max(per_host) - min(per_host) <= 1
