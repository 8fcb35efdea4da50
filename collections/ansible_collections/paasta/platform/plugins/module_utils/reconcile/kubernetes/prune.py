# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be removed, and when: by the labels that record whose it is. Pure.

Namespaces are never removed: everything that people have put into them beside our objects would go too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.names import labelled, ref

from . import fields
from .live import OF_INSTANCES, WORKLOADS, Live, Manifest


class TooMany(Exception):
    """More would be removed than the guard allows; the text names all."""


@dataclass(slots=True)
class Removals:
    """Objects to remove.

    :ivar instances: those of instances that are not declared any more, by id.
    :ivar before: of instances that stay: what has to go before their workload is written. An autoscaler that is not
        wanted any more would scale back what is stopped.
    :ivar after: of instances that stay: what goes once their new workload is done, such as the one in the namespace
        that they moved from.
    :ivar shared: what no instance needs any more.
    """

    instances: dict[str, list[Manifest]] = field(default_factory=dict)
    before: dict[str, list[Manifest]] = field(default_factory=dict)
    after: dict[str, list[Manifest]] = field(default_factory=dict)
    shared: list[Manifest] = field(default_factory=list)


def decide(
    plan: Mapping[str, Any],
    live: Live,
    *,
    only: Iterable[str],
    undeployed: Iterable[str],
    elsewhere: Iterable[str] = (),
    release: Iterable[str] = (),
    guard: float,
) -> Removals:
    """Compare what is there with the plan.

    An instance that is declared and has no deployment is left alone: a lost deployments.json must not stop anything.

    :param only: services and instances that the run is about; empty for all.
    :param elsewhere: instances that another engine is to run. They are left alone, but for those of ``release``, which
        it runs already: they move, and so do not count for the guard.
    :param guard: the largest share of all instances that may be removed, 0 to 1.
    :raises TooMany: when more are not declared.
    """
    selected, moved = set(only), {labelled(id) for id in elsewhere}
    kept = {labelled(id) for id in undeployed} | (moved - {labelled(id) for id in release})
    declared = {labelled(id): id for id in plan["instances"]}
    removals = Removals()
    groups = live.by_instance(*OF_INSTANCES)
    running = {id for id, found in groups.items() if any(one["kind"] in WORKLOADS for one in found)}
    for id, found in sorted(groups.items()):
        if id in kept or (selected and not selected & {id, id.partition(".")[0]}):
            continue
        if id not in declared:
            removals.instances[id] = _order(found)
        else:
            _of_instance(plan["instances"][declared[id]], found, declared[id], removals)
    gone = sorted(running & removals.instances.keys() - moved)
    if gone and len(gone) > guard * len(running):
        raise TooMany(
            f"{len(gone)} of {len(running)} running instances are not in the plan, more than prune_guard {guard:g} "
            "allows to be removed; nothing was touched. If that is intended, run again with a higher prune_guard (1 "
            f"allows all). They are: {', '.join(gone)}"
        )
    if not selected:
        removals.shared = _shared(plan, live, {id for id in groups if id in kept})
    return removals


def _of_instance(plan: Mapping[str, Any], found: list[Manifest], id: str, removals: Removals) -> None:
    """What an instance that stays has and does not want."""
    wanted = {ref(manifest) for manifest in plan["objects"]}
    surplus = [one for one in found if ref(one) not in wanted]
    workload = (plan["kind"], plan["namespace"], plan["name"])
    before = []
    for one in surplus:
        # The autoscaler of a workload that goes as well goes with it, for until then that one serves.
        if (one["kind"] == "HorizontalPodAutoscaler" and _target(one) == workload) or (
            one["kind"] in WORKLOADS and plan["bounce_method"] == "downthenup"
        ):
            before.append(one)
    if before:
        removals.before[id] = before
    if after := [one for one in surplus if one not in before]:
        removals.after[id] = _order(after)


def _target(autoscaler: Manifest) -> tuple[str, str, str]:
    target = autoscaler["spec"]["scaleTargetRef"]
    return target["kind"], autoscaler["metadata"]["namespace"], target["name"]


def _order(found: list[Manifest]) -> list[Manifest]:
    """Autoscalers, workloads, then what these use."""
    return sorted(found, key=lambda one: -OF_INSTANCES.index(one["kind"]))


def _shared(plan: Mapping[str, Any], live: Live, kept: Set[str]) -> list[Manifest]:
    """What no instance needs any more; where an instance without a deployment runs, everything stays."""
    used = {one["metadata"]["namespace"] for one in live.of(*WORKLOADS) if live.instance(one) in kept}
    names = {ref(one) for instance in plan["instances"].values() for one in instance["objects"]}
    names |= set(plan["shared"])
    secrets = {
        (instance["namespace"], entry["object"])
        for instance in plan["instances"].values()
        for entry in instance["secrets"]
    }
    surplus = []
    for one in live.of("ServiceAccount", "LimitRange", "RoleBinding", "ConfigMap", "Secret"):
        metadata = one["metadata"]
        if live.instance(one) or fields.ours(one) is None or metadata["namespace"] in used or ref(one) in names:
            continue
        if one["kind"] != "Secret" or (metadata["namespace"], metadata["name"]) not in secrets:
            surplus.append(one)
    return surplus
