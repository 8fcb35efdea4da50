# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a host has to do next to be a healthy member of etcd's cluster: pure, one step at a time.

A step is decided by what there is, not by what was done before. So a run that was killed goes on where it stopped, and
a step that the cluster refuses for now (it wants all members connected before it takes another) is simply tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .etcd_client import Member


class Refused(Exception):
    """What is wanted would cost the cluster its majority or its data, or cannot be told apart from that."""


@dataclass(frozen=True)
class View:
    """What one host sees."""

    name: str  # of this host's member
    wanted: Mapping[str, str]  # name → peer URL, of all members there should be
    data: bool  # this host has a member's data
    with_data: frozenset[str]  # names of the other hosts that have
    unseen: frozenset[str]  # names of the hosts of which that is not known
    running: bool  # etcd's process is there
    fresh: tuple[str, ...]  # files that are newer than it
    enabled: bool  # etcd starts with the host
    members: tuple[Member, ...] | None  # None if no majority answers
    silence: str = ""  # why none does

    @property
    def url(self) -> str:
        return self.wanted[self.name]

    @property
    def mine(self) -> Member | None:
        """This host in the list of members: by its name, or by its address if it was added and has not started."""
        return next(
            (
                item
                for item in self.members or ()
                if item.name == self.name or (not item.name and self.url in item.peer_urls)
            ),
            None,
        )

    @property
    def gone(self) -> list[Member]:
        """Members that should be none."""
        addresses = set(self.wanted.values())
        return [
            item
            for item in self.members or ()
            if (item.name not in self.wanted if item.name else not addresses.intersection(item.peer_urls))
        ]


@dataclass(frozen=True)
class Step:
    """One thing to do.

    :ivar kind: ``found`` (start a new cluster), ``start``, ``join`` (start as a member that was added), ``restart``,
        ``enable``, ``add``, ``promote``, ``remove``, ``update`` (its address), ``set_aside`` (its data), or ``wait``.
    :ivar reason: why, in words; what is reported if it does not get done in time.
    :ivar member: whom it is about, for ``remove``, ``promote`` and ``update``.
    """

    kind: str
    reason: str
    member: Member | None = None


def next_step(view: View) -> Step | None:
    """The next thing to do on this host; None if all is well. Raises Refused."""
    if view.members is None:
        return _without_cluster(view)
    _refuse_shrinking(view)
    if not view.data:
        return _joining(view)
    return _as_member(view, view.mine) or _leaving(view)


def _without_cluster(view: View) -> Step:
    if view.running and not view.fresh:
        return Step("wait", f"no majority of the members answers ({view.silence})")
    if view.running:
        return Step("restart", f"newer than its process: {', '.join(view.fresh)}")
    if view.data:
        return Step("start", "it was not running")
    if view.with_data:
        return Step(
            "wait",
            f"{', '.join(sorted(view.with_data))}: has data, but no majority of the cluster answers, so that "
            f"{view.name}, which has none, cannot join it ({view.silence}). Start the members that have data; if their "
            "majority is lost for good, restore a snapshot with playbooks/etcd_restore.yml",
        )
    if view.unseen:
        raise Refused(
            f"No member of etcd answers, and {', '.join(sorted(view.unseen))}: not in this run, so nobody knows "
            "whether data is there. Run it for all of etcd_members"
        )
    return Step("found", "there is no cluster yet")


def _joining(view: View) -> Step:
    """This host has no data, and there is a cluster."""
    mine = view.mine
    if mine is None:
        return _leaving(view) or _adding(view)
    if mine.name and mine.healthy:
        raise Refused(
            f"A healthy member {mine.name} answers at {', '.join(mine.client_urls)}, but this host has no data of it: "
            "two hosts must not have the same name, or etcd_data_dir was changed"
        )
    if mine.name:
        return _removing(view, mine, "its data is gone")
    return Step("wait", "it starts") if view.running else Step("join", "it was added to the cluster")


def _adding(view: View) -> Step:
    problem = _problem(view, without=None)
    return Step("wait", f"{view.name} cannot join: {problem}") if problem else Step("add", "it is new to the cluster")


def _as_member(view: View, mine: Member | None) -> Step | None:
    """This host has data, and there is a cluster."""
    if mine is None:
        return Step("set_aside", "its data is that of a member which was removed from the cluster")
    if not mine.name and not view.running:
        return Step("join", "it was added to the cluster")
    if mine.name and view.url not in mine.peer_urls:
        return Step("update", f"its address is no longer {', '.join(mine.peer_urls)}", mine)
    if not view.running:
        return Step("start", "it was not running")
    if view.fresh:
        problem = _problem(view, without=mine)
        reason = f"newer than its process: {', '.join(view.fresh)}"
        return (
            Step("wait", f"{view.name} has to be restarted ({reason}), but {problem}")
            if problem
            else Step("restart", reason)
        )
    if not mine.healthy:
        return Step("wait", f"{view.name} is not healthy: {mine.health}")
    if mine.learner:
        return Step("promote", "it has no vote until it has caught up", mine)
    return None if view.enabled else Step("enable", "it would not have started with the host")


def _leaving(view: View) -> Step | None:
    gone = view.gone
    return _removing(view, gone[0], "it is no longer in etcd_members") if gone else None


def _removing(view: View, member: Member, why: str) -> Step:
    problem = _problem(view, without=member)
    if problem:
        return Step("wait", f"{member.title} has to be removed from the cluster ({why}), but {problem}")
    return Step("remove", f"{member.title}: {why}", member)


def _problem(view: View, without: Member | None) -> str:
    """Why the cluster should be left alone: whoever else has a vote and is not healthy. Empty if all are."""
    ill = [item for item in view.members or () if item != without and not item.learner and not item.healthy]
    return "; ".join(f"{item.title} is not healthy: {item.health}" for item in ill)


def _refuse_shrinking(view: View) -> None:
    gone = view.gone
    kept = len(view.members or ()) - len(gone)
    if len(gone) > kept:
        raise Refused(
            f"{', '.join(item.title for item in gone)} of {kept + len(gone)} members would be removed, as etcd_members "
            "does not have them. Is this the right inventory? If so, take away at most half of the members in one run"
        )
