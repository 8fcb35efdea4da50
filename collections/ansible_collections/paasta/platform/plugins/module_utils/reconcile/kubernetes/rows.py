# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of a whole cluster: of what a run has seen, or of what is listed, once per kind, to be shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.names import labelled

from .api import Api
from .board import Workload
from .errors import ApiError, Unreachable
from .events import WARNINGS, Event, by_object
from .events import read as read_event
from .kinds import collection
from .live import WORKLOADS, Live
from .pods import Pod
from .pods import read as read_pod
from .row import UNMARKED, UNPLANNED, row

if TYPE_CHECKING:
    from .deploy import Work

Object = Mapping[str, Any]

#: Up to so many namespaces have their events listed one by one. For more, one list of all is cheaper, although it has
#: the warnings of whatever else runs in the cluster.
FEW_NAMESPACES = 20


@dataclass(slots=True)
class Seen:
    """What was listed. ``autoscalers`` are by the workload that they scale, ``warnings`` by namespace and object."""

    workloads: dict[Workload, Object] = field(default_factory=dict)
    pods: dict[Workload, list[Pod]] = field(default_factory=dict)
    autoscalers: dict[Workload, Object] = field(default_factory=dict)
    warnings: dict[str, dict[tuple[str, str], list[Event]]] = field(default_factory=dict)


def of_plan(api: Api, args: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each instance that is planned or runs; passes on what the API server refuses.

    :param args: as in :data:`~.arguments.INFO_ARGUMENTS`.
    """
    plan, undeployed = args["plan"], set(args["undeployed"])
    moved = {labelled(id): there["engine"] for id, there in args["elsewhere"].items()}
    prefix, planned = plan["prefix"], plan["instances"]
    seen = _look(api, prefix, args["cluster"])
    there: dict[str, list[Workload]] = {id: [] for id in (*planned, *undeployed)}
    for key, workload in seen.workloads.items():
        id = _instance(workload, prefix)
        if id in there or _is_selected(id, args["only"]):
            there.setdefault(id, []).append(key)
    seen.warnings = _look_at_events(api, {key[1] for keys in there.values() for key in keys})
    return [
        _row(id, planned.get(id), keys, seen, prefix, _not_planned(id, planned, undeployed, moved))
        for id, keys in sorted(there.items())
    ]


def of_run(
    api: Api,
    plan: Mapping[str, Any],
    cluster: str,
    works: Iterable[Work],
    observed: Mapping[str, Object | None],
    live: Live,
    undeployed: Iterable[str],
    *,
    waited: bool,
) -> list[dict[str, Any]]:
    """One row for each instance of a run, of what the run knows already and one list of pods.

    :param observed: workloads as they were seen last, by id; for others, what the run has got of the server counts.
    :param live: what was there before the run.
    :param waited: whether what was written has had its time; else how far it is says nothing yet.
    """
    left_alone = live.by_instance(*WORKLOADS)
    rows = [
        row(id, None, next(iter(left_alone.get(id, ())), None), prefix=plan["prefix"], problems=[UNMARKED])
        for id in undeployed
    ]
    pods = _pods(api, plan["prefix"], cluster)
    for work in works:
        place = (work.plan["kind"], work.plan["namespace"], work.plan["name"])
        rows.append(
            row(
                work.id,
                work.plan,
                observed.get(work.id, work.after or work.before),
                prefix=plan["prefix"],
                pods=None if pods is None else pods.get(place, []),
                reason=work.reason,
                error=work.error.partition("\n")[0],
                settling=work.changed and not waited,
            )
        )
    return sorted(rows, key=lambda row: str(row["id"]))


def _pods(api: Api, prefix: str, cluster: str) -> dict[Workload, list[Pod]] | None:
    """All pods by their workload; None where they may not be seen: the workloads' own counts have to do then."""
    ours = f"{prefix}/managed=true,{prefix}/cluster={cluster}"
    try:
        items, _version = api.list(collection("Pod"), label_selector=ours)
    except (ApiError, Unreachable):
        return None
    now = datetime.now(UTC)
    found: dict[Workload, list[Pod]] = {}
    for item in items:
        pod = read_pod(item, prefix, now)
        found.setdefault((pod.owner[0], pod.namespace, pod.owner[1]), []).append(pod)
    return found


def _row(
    id: str, planned: Object | None, keys: list[Workload], seen: Seen, prefix: str, problems: list[str]
) -> dict[str, Any]:
    """One instance; ``keys`` are all its workloads, of which one is the planned one; ``problems`` are known already."""
    place = (planned["kind"], planned["namespace"], planned["name"]) if planned else None
    chosen = place if place in keys else next(iter(sorted(keys)), None) if not planned else None
    for kind, namespace, name in sorted(set(keys) - {chosen}):
        problems.append(f"also runs as {kind} {namespace}/{name}, which is not in the plan")
    autoscaler = seen.autoscalers.get(chosen) if chosen else None
    if chosen and planned and autoscaler is None and _has_autoscaler(planned):
        problems.append("its autoscaler is not there")
    return row(
        id,
        planned,
        seen.workloads.get(chosen) if chosen else None,
        prefix=prefix,
        pods=seen.pods.get(chosen, ()) if chosen else (),
        autoscaler=autoscaler,
        warnings=seen.warnings.get(chosen[1]) if chosen else None,
        problems=problems,
    )


def _not_planned(id: str, planned: Object, undeployed: Collection[str], moved: Mapping[str, str]) -> list[str]:
    """Why an instance is not in the plan; nothing for one that is."""
    if id in undeployed:
        return [UNMARKED]
    if id in moved:
        return [f"is to run on {moved[id]}: the next deploy moves it"]
    return [] if id in planned else [UNPLANNED]


def _has_autoscaler(planned: Object) -> bool:
    return any(manifest["kind"] == "HorizontalPodAutoscaler" for manifest in planned["objects"])


def _is_selected(id: str, only: Iterable[str]) -> bool:
    """``only`` names services and instances; empty means all."""
    selected = set(only)
    return bool(id) and (not selected or bool(selected & {id, id.partition(".")[0]}))


def _instance(workload: Object, prefix: str) -> str:
    labels = workload["metadata"].get("labels") or {}
    service, instance = labels.get(f"{prefix}/service"), labels.get(f"{prefix}/instance")
    return f"{service}.{instance}" if service and instance else ""


def _look(api: Api, prefix: str, cluster: str) -> Seen:
    """List workloads, pods and autoscalers, once per kind and all at the same time."""
    managed = f"{prefix}/managed=true"
    ours = f"{managed},{prefix}/cluster={cluster}"
    # PaaSTA labels its autoscalers without the cluster: each counts for the workload that it scales.
    questions = [*((kind, ours) for kind in WORKLOADS), ("Pod", ours), ("HorizontalPodAutoscaler", managed)]

    def ask(question: tuple[str, str]) -> list[dict[str, Any]]:
        kind, selector = question
        return api.list(collection(kind), label_selector=selector)[0]

    seen, now = Seen(), datetime.now(UTC)
    for item in _answers(api, ask, questions):
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        if item["kind"] == "Pod":
            pod = read_pod(item, prefix, now)
            seen.pods.setdefault((pod.owner[0], namespace, pod.owner[1]), []).append(pod)
        elif item["kind"] == "HorizontalPodAutoscaler":
            scaled = item["spec"]["scaleTargetRef"]
            seen.autoscalers[(scaled["kind"], namespace, scaled["name"])] = item
        else:
            seen.workloads[(item["kind"], namespace, name)] = item
    return seen


def _look_at_events(api: Api, namespaces: set[str]) -> dict[str, dict[tuple[str, str], list[Event]]]:
    """The warnings of namespaces, by namespace and object."""
    where = sorted(namespaces) if len(namespaces) <= FEW_NAMESPACES else [None]

    def ask(namespace: str | None) -> list[dict[str, Any]]:
        return api.list(collection("Event", namespace), field_selector=WARNINGS)[0]

    found: dict[str, list[Event]] = {}
    for item in _answers(api, ask, where):
        # Cluster-wide lists have the events of everybody.
        if item["involvedObject"].get("namespace") in namespaces:
            event = read_event(item)
            found.setdefault(event.namespace, []).append(event)
    return {namespace: by_object(events) for namespace, events in found.items()}


def _answers(
    api: Api, ask: Callable[[Any], list[dict[str, Any]]], questions: Iterable[Any]
) -> Iterator[dict[str, Any]]:
    """All that the answers have; raises the first refusal."""
    for answer in api.map(ask, questions):
        if isinstance(answer, Exception):
            raise answer
        yield from answer
