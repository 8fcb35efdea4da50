# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What to do next for one instance, given what runs: pure, and asked again after every change.

The instance's bounce method says how many old replicas may go; this module says which, and what is still missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines import bounce

from .difference import Difference
from .replicas import FAILED, HEALTHY, STARTING, STOPPED, Replica, config_changes, drifted, secret_changes


@dataclass(frozen=True, slots=True)
class Wanted:
    """One instance of the plan. ``container`` is None for an instance that is no longer declared (0 replicas).

    ``secrets`` is as in :mod:`~.engines.docker_secrets`: names and digests.
    """

    id: str
    git_sha: str
    image_version: str
    config_sha: str
    replicas: int
    pool: str
    container_port: int
    registrations: tuple[str, ...]
    bounce_method: str
    bounce_margin_factor: float
    drain_seconds: float
    container: Mapping[str, Any] | None
    secrets: Mapping[str, Any]

    @classmethod
    def parse(cls, id: str, plan: Mapping[str, Any]) -> Wanted:
        """From the plan's JSON (engine ``docker``)."""
        return cls(
            id=id,
            git_sha=plan["git_sha"],
            image_version=plan["image_version"] or "",
            config_sha=plan["config_sha"],
            replicas=plan["replicas"],
            pool=plan["pool"],
            container_port=plan["container_port"],
            registrations=tuple(plan["registrations"]),
            bounce_method=plan["bounce_method"],
            bounce_margin_factor=plan["bounce_margin_factor"],
            drain_seconds=plan["drain_seconds"],
            container=plan["container"],
            secrets=plan["secrets"],
        )

    @classmethod
    def nothing(cls, id: str) -> Wanted:
        """For replicas whose instance is no longer declared: all are drained and removed."""
        return cls(id, "", "", "", 0, "", 0, (), "crossover", 1.0, 30.0, None, {"env": {}, "files": []})

    @property
    def service(self) -> str:
        return self.id.partition(".")[0]

    @property
    def version(self) -> tuple[str, str, str]:
        """Comparable with :attr:`Replica.version`."""
        return (self.git_sha, self.image_version, self.config_sha)

    def is_current(self, replica: Replica) -> bool:
        """Whether the replica is what the plan wants, by version and by the limits it really has."""
        if replica.version != self.version or self.container is None:
            return False
        return not drifted(self.container, replica.inspect)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    :ivar create: host → how many replicas to create.
    :ivar drain: replicas to take out of the mesh and stop; what is being drained and is not named is wanted again.
    :ivar done: nothing is left to do or to wait for.
    :ivar waiting: what a person would be told.
    """

    create: Mapping[str, int] = field(default_factory=dict)
    drain: tuple[Replica, ...] = ()
    done: bool = False
    waiting: str = ""


def decide(
    wanted: Wanted,
    target: Mapping[str, int],
    replicas: Sequence[Replica],
    in_mesh: Collection[str],
    draining: Collection[str],
) -> Decision:
    """The next step.

    :param target: host → replicas there, from the placement.
    :param replicas: every container of the instance, on all hosts.
    :param in_mesh: container ids that every proxy sends requests to, or that no proxy has to know.
    :param draining: container ids being drained.
    """
    keep, create = _keep(wanted, target, replicas)
    happy = [replica for replica in keep if replica.state == HEALTHY and replica.container in in_mesh]
    old = _most_worth_keeping_first([replica for replica in replicas if replica not in keep], draining)
    by_id = {replica.container: replica for replica in old}
    step = bounce.step(wanted.bounce_method, wanted.replicas, len(happy), list(by_id), wanted.bounce_margin_factor)
    done = not old and not create and len(happy) == wanted.replicas
    return Decision(
        create=create if step.create else {},
        drain=tuple(by_id[container] for container in step.drain),
        done=done,
        waiting="" if done else _waiting(wanted, keep, happy, old),
    )


def missing(wanted: Wanted, target: Mapping[str, int], replicas: Sequence[Replica]) -> int:
    """How many containers will have to be started in all, whenever the bounce method allows it."""
    return sum(_keep(wanted, target, replicas)[1].values())


def _keep(
    wanted: Wanted, target: Mapping[str, int], replicas: Sequence[Replica]
) -> tuple[list[Replica], dict[str, int]]:
    """The replicas of the wanted version that stay, and how many are missing where."""
    keep: list[Replica] = []
    create: dict[str, int] = {}
    usable = [r for r in replicas if r.state in (HEALTHY, STARTING) and wanted.is_current(r)]
    for host, count in sorted(target.items()):
        here = sorted((r for r in usable if r.host == host), key=lambda r: (r.state != HEALTHY, r.name))
        keep += here[:count]
        if len(here) < count:
            create[host] = count - len(here)
    return keep, create


def _most_worth_keeping_first(old: list[Replica], draining: Collection[str]) -> list[Replica]:
    """Happy, then unhealthy, then draining (PaaSTA's order)."""
    ranks = {HEALTHY: 0, STARTING: 1}
    return sorted(old, key=lambda r: (r.container in draining, ranks.get(r.state, 2), r.host, r.name))


def _waiting(wanted: Wanted, keep: list[Replica], happy: list[Replica], old: list[Replica]) -> str:
    text = f"{len(happy)} of {wanted.replicas} ready"
    late = [replica for replica in keep if replica not in happy]
    if late:
        first = late[0]
        reason = first.detail or "is healthy, not yet in every proxy"
        text += f", {first.name} on {first.host}: {reason}"
    if old:
        text += f", {len(old)} old to drain"
    return text


def difference(wanted: Wanted, target: Mapping[str, int], replicas: Sequence[Replica]) -> Difference:
    """How what runs differs from the plan, and why anything will be replaced."""
    found = Difference(wanted.id)
    found.add("replicas", _by_host(replicas), dict(sorted(target.items())))
    obsolete = [replica for replica in replicas if not wanted.is_current(replica)]
    if wanted.container is not None and wanted.replicas and obsolete:
        first = obsolete[0]
        found.add("git_sha", first.git_sha[:8], wanted.git_sha[:8])
        found.add("image_version", first.image_version or None, wanted.image_version or None)
        found.add("config_sha", first.config_sha, wanted.config_sha)
        changes = config_changes(wanted.container, first.inspect) | drifted(wanted.container, first.inspect)
        for name, (before, after) in secret_changes(wanted.secrets, wanted.service, first.inspect).items():
            changes[name] = (before, after or changes.get(name, (None, None))[1])
        for name, (before, after) in changes.items():
            found.add(name, before, after)
    if wanted.replicas:
        for replica in replicas:
            if replica.state not in (HEALTHY, STARTING) and wanted.is_current(replica):
                found.add(f"{replica.name} on {replica.host}", replica.detail, "replaced")
    elif replicas:
        found.add("git_sha", replicas[0].git_sha[:8], None)
    return found


def broken(wanted: Wanted, replicas: Sequence[Replica], created: Collection[str]) -> list[Replica]:
    """Replicas of the wanted version that this run has created and that will not get healthy by themselves."""
    hopeless = (FAILED, STOPPED, "unhealthy")
    return [r for r in replicas if r.container in created and r.version == wanted.version and r.state in hopeless]


def _by_host(replicas: Sequence[Replica]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for replica in sorted(replicas, key=lambda replica: replica.host):
        counts[replica.host] = counts.get(replica.host, 0) + 1
    return counts
