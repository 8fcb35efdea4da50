# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.etcd_client import Member
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.etcd_steps import Refused, View, next_step

WANTED = {f"node{number}": f"https://192.0.2.{number}:2380" for number in (1, 2, 3)}


def member(name: str, health: str = "", learner: bool = False, url: str = "") -> Member:
    at = url or WANTED.get(name, f"https://192.0.2.9{name[-1]}:2380")
    return Member(f"id-{name}", name, (at,), (at.replace("2380", "2379"),), learner, health)


def added(number: int) -> Member:
    """A member that was added and has not started yet: it has no name."""
    return Member("id-new", "", (f"https://192.0.2.{number}:2380",), (), True, "it has not started yet")


ALL = (member("node1"), member("node2"), member("node3"))
WELL = View(
    name="node1",
    wanted=WANTED,
    data=True,
    with_data=frozenset({"node2", "node3"}),
    unseen=frozenset(),
    running=True,
    fresh=(),
    enabled=True,
    members=ALL,
)
EMPTY = replace(WELL, data=False, running=False, enabled=False)


def kind(view: View) -> str:
    step = next_step(view)
    return step.kind if step else ""


def test_nothing_is_done_if_all_is_well() -> None:
    assert next_step(WELL) is None


class TestWithoutCluster:
    SILENT = replace(EMPTY, members=None, with_data=frozenset(), silence="connection refused")

    def test_a_cluster_is_founded_if_nobody_has_data(self) -> None:
        assert kind(self.SILENT) == "found"

    def test_it_is_not_founded_while_a_host_was_not_looked_at(self) -> None:
        with pytest.raises(Refused, match="node3: not in this run"):
            next_step(replace(self.SILENT, unseen=frozenset({"node3"})))

    def test_a_host_without_data_waits_for_those_that_have(self) -> None:
        step = next_step(replace(self.SILENT, with_data=frozenset({"node2"})))
        assert step is not None
        assert step.kind == "wait"
        assert "node2: has data" in step.reason
        assert "etcd_restore" in step.reason

    def test_a_member_with_data_starts(self) -> None:
        assert kind(replace(self.SILENT, data=True)) == "start"

    def test_one_that_runs_with_old_files_is_restarted_as_that_may_be_the_cure(self) -> None:
        view = replace(self.SILENT, data=True, running=True)
        assert kind(view) == "wait"
        assert kind(replace(view, fresh=("/etc/etcd/etcd.env",))) == "restart"


class TestJoining:
    TWO = (member("node2"), member("node3"))

    def test_a_new_member_is_added(self) -> None:
        assert kind(replace(EMPTY, members=self.TWO)) == "add"

    def test_it_waits_while_a_voter_is_ill(self) -> None:
        step = next_step(replace(EMPTY, members=(member("node2"), member("node3", "timed out"))))
        assert step is not None
        assert (step.kind, "node3 is not healthy: timed out" in step.reason) == ("wait", True)

    def test_it_starts_when_it_was_added(self) -> None:
        view = replace(EMPTY, members=(*self.TWO, added(1)))
        assert kind(view) == "join"
        assert kind(replace(view, running=True)) == "wait"

    def test_a_killed_run_goes_on_where_it_was(self) -> None:
        view = replace(WELL, members=(*self.TWO, added(1)))
        assert kind(replace(view, running=False)) == "join"
        assert kind(view) == "wait"
        assert kind(replace(view, members=(*self.TWO, member("node1", learner=True)))) == "promote"

    def test_who_left_goes_before_a_new_one_comes(self) -> None:
        step = next_step(replace(EMPTY, members=(*self.TWO, member("old4", "no route"))))
        assert step is not None
        assert step.member is not None
        assert (step.kind, step.member.name) == ("remove", "old4")

    def test_a_member_whose_data_is_gone_is_removed_first(self) -> None:
        step = next_step(replace(EMPTY, members=(member("node1", "refused"), *self.TWO)))
        assert step is not None
        assert step.member is not None
        assert (step.kind, step.member.name) == ("remove", "node1")

    def test_it_is_not_while_another_voter_is_ill(self) -> None:
        ill = (member("node1", "refused"), member("node2"), member("node3", "ill"))
        assert kind(replace(EMPTY, members=ill)) == "wait"

    def test_a_second_host_of_the_same_name_is_refused(self) -> None:
        with pytest.raises(Refused, match="two hosts must not have the same name"):
            next_step(EMPTY)


class TestMember:
    def test_restarts_only_while_all_other_voters_are_well(self) -> None:
        view = replace(WELL, fresh=("/usr/local/bin/etcd",))
        assert kind(view) == "restart"
        assert kind(replace(view, members=(*ALL[:2], member("node3", "ill")))) == "wait"
        assert kind(replace(view, members=(*ALL[:2], member("node3", "ill", learner=True)))) == "restart"
        # Its own illness is no reason against.
        assert kind(replace(view, members=(member("node1", "ill"), *ALL[1:]))) == "restart"

    def test_data_of_a_removed_member_is_set_aside(self) -> None:
        assert kind(replace(WELL, members=ALL[1:])) == "set_aside"

    def test_a_new_address_is_told_before_the_restart(self) -> None:
        moved = (member("node1", url="https://192.0.2.77:2380"), *ALL[1:])
        assert kind(replace(WELL, members=moved, fresh=("/etc/etcd/etcd.env",))) == "update"

    def test_waits_until_it_is_healthy(self) -> None:
        assert kind(replace(WELL, members=(member("node1", "no leader"), *ALL[1:]))) == "wait"

    def test_will_start_with_the_host(self) -> None:
        assert kind(replace(WELL, enabled=False)) == "enable"


class TestLeaving:
    FOUR = (*ALL, member("old4", "no route"))

    def test_who_is_not_wanted_is_removed(self) -> None:
        step = next_step(replace(WELL, members=self.FOUR))
        assert step is not None
        assert step.member is not None
        assert (step.kind, step.member.name) == ("remove", "old4")

    def test_an_added_member_of_an_unknown_address_goes_too(self) -> None:
        assert kind(replace(WELL, members=(*ALL, added(99)))) == "remove"
        assert kind(replace(WELL, members=(*ALL[:2], added(3)))) == ""

    def test_not_while_a_member_that_stays_is_ill(self) -> None:
        step = next_step(replace(WELL, members=(*ALL[:2], member("node3", "ill"), member("old4"))))
        assert step is not None
        assert (step.kind, step.reason) == (
            "wait",
            "old4 has to be removed from the cluster (it is no longer in etcd_members), but node3 is not healthy: ill",
        )

    def test_more_than_half_are_never_removed(self) -> None:
        view = replace(WELL, wanted={"node1": WANTED["node1"]})
        with pytest.raises(Refused, match="node2, node3 of 3 members would be removed"):
            next_step(view)
        assert kind(replace(view, members=ALL[:2])) == "remove"
