# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where replicas run: a pure, stable spreading of instances over the hosts of a group.

Stable means: what runs stays where it is. A scale-up only adds, a scale-down only takes from the fullest hosts, and a
host that is lost gives only its own replicas to the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """What one instance wants.

    :ivar replicas: how many, on hosts of ``pool``.
    :ivar current: host → replicas that may stay.
    :ivar before: hosts that run other versions of it: they have most of the image, and are preferred to equal others.
    """

    id: str
    replicas: int
    pool: str
    current: Mapping[str, int]
    before: Collection[str] = ()


class NoHost(Exception):
    """An instance wants a pool that no host belongs to."""


def place(
    demands: Iterable[Demand], pools: Mapping[str, str], others: Mapping[str, int] | None = None
) -> dict[str, dict[str, int]]:
    """Spread every demand.

    :param demands: in any order; the result does not depend on it.
    :param pools: host → pool, for the hosts that can take replicas.
    :param others: host → replicas there of instances that are not part of the demands.
    :returns: instance id → host → replicas; hosts with none are left out.
    :raises NoHost: naming the instance, the pool and the pools there are.
    """
    ordered = sorted(demands, key=lambda demand: demand.id)
    placed = {demand.id: _kept(demand, pools) for demand in ordered}
    load = {host: (others or {}).get(host, 0) for host in pools}
    for hosts in placed.values():
        for host, count in hosts.items():
            load[host] += count
    for demand in ordered:
        _fill(demand, placed[demand.id], load, pools)
    return {id: {host: count for host, count in sorted(hosts.items()) if count} for id, hosts in placed.items()}


def _kept(demand: Demand, pools: Mapping[str, str]) -> dict[str, int]:
    """What may stay of the demand's current replicas: all, or on a scale-down all but those of the fullest hosts."""
    kept = {host: count for host, count in demand.current.items() if pools.get(host) == demand.pool}
    for _surplus in range(sum(kept.values()) - demand.replicas):
        fullest = max(kept, key=lambda host: (kept[host], _affinity(demand.id, host)))
        kept[fullest] -= 1
    return kept


def _fill(demand: Demand, placed: dict[str, int], load: dict[str, int], pools: Mapping[str, str]) -> None:
    """Add the missing replicas one by one: to the host with the fewest of this instance, then the fewest of all."""
    missing = demand.replicas - sum(placed.values())
    if missing <= 0:
        return
    candidates = [host for host, pool in pools.items() if pool == demand.pool]
    if not candidates:
        known = ", ".join(sorted(set(pools.values()))) or "none: no host answers"
        raise NoHost(
            f"{demand.id}: no host of pool {demand.pool!r} (pools with hosts: {known}); nothing was touched. "
            "Change the instance's pool, or give a host this one (paasta_pool)"
        )
    for _replica in range(missing):
        host = min(
            candidates,
            key=lambda name: (
                placed.get(name, 0),
                name not in demand.before,
                load[name],
                _affinity(demand.id, name),
            ),
        )
        placed[host] = placed.get(host, 0) + 1
        load[host] += 1


def _affinity(id: str, host: str) -> str:
    """A tie-break that differs from instance to instance, so that single replicas do not all meet on one host."""
    return hashlib.sha256(f"{id}@{host}".encode()).hexdigest()
