# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Decisions: tables for the cases people ask about, and a simulated cluster for what must always hold."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.decision import (
    Wanted,
    broken,
    decide,
    difference,
    missing,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.replicas import Replica, read
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.factories import (
    CONTAINER,
    NOW,
    inspect,
    replica,
    wanted,
)
from hypothesis import given
from hypothesis import strategies as st

TARGET = {"node1": 2, "node2": 1}


def everything(replicas: Collection[Replica]) -> set[str]:
    return {found.container for found in replicas}


def test_nothing_runs_so_all_are_created() -> None:
    decision = decide(wanted(), TARGET, [], (), ())
    assert decision.create == TARGET
    assert not decision.done
    assert decision.waiting == "0 of 3 ready"


def test_as_planned_is_done() -> None:
    running = [replica("a", "node1"), replica("b", "node1"), replica("c", "node2")]
    decision = decide(wanted(), TARGET, running, everything(running), ())
    assert decision.done
    assert not decision.create
    assert not decision.drain


def test_a_replica_that_a_proxy_does_not_know_yet_releases_nothing() -> None:
    new = [replica("a", "node1"), replica("b", "node1"), replica("c", "node2")]
    old = [replica(f"old{n}", "node1", sha="b") for n in range(3)]
    assert decide(wanted(), TARGET, [*new, *old], everything(old), ()).drain == ()
    some = decide(wanted(), TARGET, [*new, *old], everything([*old, new[0]]), ())
    assert [found.name for found in some.drain] == ["old2"]
    assert "b on node1: is healthy, not yet in every proxy" in some.waiting


def test_scale_down_drains_the_surplus() -> None:
    running = [replica("a", "node1"), replica("b", "node1"), replica("c", "node2")]
    decision = decide(wanted(replicas=2), {"node1": 1, "node2": 1}, running, everything(running), ())
    assert [found.name for found in decision.drain] == ["b"]


def test_a_dead_replica_is_replaced() -> None:
    running = [replica("a", "node1"), replica("b", "node1", Status="exited", Running=False), replica("c", "node2")]
    decision = decide(wanted(), TARGET, running, everything(running), ())
    assert decision.create == {"node1": 1}
    assert "b on node1 exited with status 0 -> replaced" in difference(wanted(), TARGET, running).reason()


def test_downthenup_waits_until_the_old_are_gone() -> None:
    plan = wanted(bounce_method="downthenup")
    old = [replica("old", "node1", sha="b")]
    assert decide(plan, TARGET, old, everything(old), everything(old)).create == {}
    assert decide(plan, TARGET, [], (), ()).create == TARGET


def test_an_instance_no_longer_declared_is_drained() -> None:
    running = [replica("a", "node1")]
    decision = decide(Wanted.nothing("web.main"), {}, running, everything(running), ())
    assert [found.name for found in decision.drain] == ["a"]
    assert decide(Wanted.nothing("web.main"), {}, [], (), ()).done


def test_limits_changed_by_hand_are_put_right_by_a_bounce() -> None:
    drifted = replica("a", "node1")
    drifted.inspect["HostConfig"]["Memory"] = 1
    decision = decide(wanted(replicas=1), {"node1": 1}, [drifted], everything([drifted]), ())
    assert decision.create == {"node1": 1}
    assert "Memory 1 -> 67108864" in difference(wanted(replicas=1), {"node1": 1}, [drifted]).reason()


def test_the_difference_tells_version_and_replicas() -> None:
    old = [replica("old", "node1", sha="b")]
    found = difference(wanted(), TARGET, old)
    assert found.reason() == "replicas node1: 1 -> node1: 2, node2: 1; git_sha bbbbbbbb -> aaaaaaaa"
    assert found.as_diff()["before"] == "git_sha: bbbbbbbb\nreplicas:\n  node1: 1\n"


def test_only_what_this_run_created_can_fail_it() -> None:
    bad = replica("a", "node1", Status="exited", Running=False)
    assert broken(wanted(), [bad], {bad.container}) == [bad]
    assert broken(wanted(), [bad], ()) == []


class Cluster:
    """A cluster in a few lines: what is created gets healthy in a later turn, what is drained goes in a later turn."""

    def __init__(self, plan: Wanted, target: dict[str, int], old: list[Replica]) -> None:
        self.plan, self.target = plan, target
        self.replicas = list(old)
        self.draining: set[str] = set()
        self.number = 0

    def serving(self) -> int:
        return sum(found.state == "healthy" and found.container not in self.draining for found in self.replicas)

    def turn(self, lucky: bool) -> bool:
        """One turn; ``lucky``: what was starting gets healthy and what was drained is gone."""
        if lucky:
            self.replicas = [replace(found, state="healthy", detail="") for found in self.replicas]
            self.replicas = [found for found in self.replicas if found.container not in self.draining]
            self.draining = set()
        in_mesh = {found.container for found in self.replicas if found.state == "healthy"}
        decision = decide(self.plan, self.target, self.replicas, in_mesh, self.draining)
        self.draining = {found.container for found in decision.drain}
        for host, count in decision.create.items():
            for _replica in range(count):
                self.number += 1
                self.replicas.append(replace(replica(f"new{self.number}", host), state="starting", detail="starts"))
        return decision.done


@pytest.mark.parametrize("method", ["crossover", "upthendown", "downthenup", "brutal"])
@given(
    count=st.integers(0, 6),
    old=st.integers(0, 6),
    margin=st.floats(0, 1),
    luck=st.lists(st.booleans(), max_size=20),
)
def test_a_rollout_ends_as_planned_and_keeps_its_margin(
    method: str, count: int, old: int, margin: float, luck: list[bool]
) -> None:
    plan = wanted(replicas=count, bounce_method=method, bounce_margin_factor=margin)
    target = {"node1": count - count // 2, "node2": count // 2}
    before = [replica(f"old{number}", "node1", sha="b") for number in range(old)]
    cluster = Cluster(plan, {host: n for host, n in target.items() if n}, before)
    for lucky in [*luck, *[True] * 20]:
        done = cluster.turn(lucky)
        if method == "crossover":
            assert cluster.serving() >= min(math.ceil(count * margin), old)
        if method == "upthendown" and count:
            assert cluster.serving() >= min(count, old)
        if method == "downthenup":
            assert len({found.git_sha for found in cluster.replicas}) <= 1
        if done:
            break
    assert done
    assert len(cluster.replicas) == count
    assert {found.git_sha for found in cluster.replicas} <= {"a" * 40}


def test_the_plan_of_a_container_is_left_alone() -> None:
    before = repr(CONTAINER)
    decide(wanted(), TARGET, [replica("a", "node1")], (), ())
    assert repr(CONTAINER) == before


def test_containers_to_start_are_counted_also_where_the_old_go_first() -> None:
    old = [replica("old", "node1", sha="b")]
    plan = wanted(replicas=1, bounce_method="downthenup")
    assert decide(plan, {"node1": 1}, old, everything(old), ()).create == {}
    assert missing(plan, {"node1": 1}, old) == 1
    assert missing(wanted(replicas=1), {"node1": 1}, [replica("a", "node1")]) == 0


def test_the_reason_of_a_bounce_shows_no_value_of_a_secret() -> None:
    secret = {"service": "web", "name": "token", "digest": "0123456789ab" + "0" * 52}
    running = inspect("old", config="config00000000")
    running["Config"]["Env"].append("PASSWORD=hunter2")
    running["Config"]["Labels"]["paasta_secrets"] = '{"env.PASSWORD": "SECRET(password) ba9876543210"}'
    old = read(running, "node1", "172.18.0.2", NOW)
    plain = {**CONTAINER, "Env": [*CONTAINER["Env"], "PASSWORD=plain"]}
    plan = wanted(container=plain, secrets={"env": {"FOO": secret}, "files": []})
    reason = difference(plan, TARGET, [old]).reason()
    assert "env.FOO none -> SECRET(token) 0123456789ab" in reason
    assert "env.PASSWORD SECRET(password) ba9876543210 -> plain" in reason
    assert "hunter2" not in reason
