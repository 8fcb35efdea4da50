# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""One row for each instance, for the table and for playbooks that test it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .diagnosis import describe
from .events import Event, newest_first
from .pods import Pod, one_line
from .readiness import Target, condition, short, state, version
from .verdict import Scene, scene

#: Events that a row has, the newest.
LAST_EVENTS = 5

#: What the callback needs of a row for its table; pods and events of a thousand instances would be a long message.
OF_THE_TABLE = ("id", "engine", "replicas", "ready", "git_sha", "hosts", "url", "autoscaler", "problem")

# What a deploy says of an instance. Ansible handles large results slowly: pods and events are for who asks for them.
OF_A_DEPLOY = (
    *("id", "engine", "kind", "namespace", "name", "replicas", "ready", "current", "git_sha", "config_sha"),
    *("hosts", "url", "reason", "problem"),
)

UNMARKED = "no version is marked for deployment (playbooks/mark.yml)"
UNPLANNED = "runs and is not in the plan: the next deploy of the whole cluster removes it"


def row(
    id: str,
    planned: Mapping[str, Any] | None,
    workload: Mapping[str, Any] | None,
    *,
    prefix: str,
    pods: Iterable[Pod] | None = None,
    autoscaler: Mapping[str, Any] | None = None,
    warnings: Mapping[tuple[str, str], list[Event]] | None = None,
    reason: str = "",
    problems: Sequence[str] = (),
    error: str = "",
    settling: bool = False,
) -> dict[str, Any]:
    """One instance.

    :param planned: the instance in the plan; None for one that only runs.
    :param workload: its Deployment or StatefulSet; None when there is none.
    :param pods: its pods; None when nobody has asked for them, and the workload's own counts have to do.
    :param autoscaler: its HorizontalPodAutoscaler.
    :param warnings: those of its namespace (:class:`~.events.EventBook`).
    :param reason: what differed from the plan before the run.
    :param problems: what the caller knows to be wrong, one line each.
    :param error: what a run failed with; it says what is seen of the workload, so that nothing else is said.
    :param settling: it has just been written and nobody has waited, so that it is no problem that it is not done.
    """
    known = sorted(pods or (), key=lambda pod: pod.name)
    seen = _scene(id, workload, known, prefix, warnings or {}) if workload else None
    running = [pod for pod in known if not pod.leaving]
    versions = _versions(running) if pods is not None else _versions_by_counts(workload, prefix)
    wanted = _planned_version(planned, workload, prefix) if planned else None
    hosts: dict[str, int] = {}
    for pod in running:
        if pod.node:
            hosts[pod.node] = hosts.get(pod.node, 0) + 1
    wrong = [error] if error else list(problems)
    if not error and not settling:
        wrong += _problems(planned, workload, seen, autoscaler, prefix)
    return {
        "id": id,
        "engine": "kubernetes",
        "kind": (workload or planned or {}).get("kind", ""),
        "namespace": _place(planned, workload)[0],
        "name": _place(planned, workload)[1],
        "replicas": _wanted(planned, workload),
        "ready": sum(found["ready"] for found in versions),
        "current": sum(found["ready"] for found in versions if (found["git_sha"], found["config_sha"]) == wanted),
        "git_sha": ",".join(sorted({short(found["git_sha"]) for found in versions if found["git_sha"]})),
        "config_sha": ",".join(sorted({found["config_sha"] for found in versions if found["config_sha"]})),
        "versions": versions,
        "hosts": hosts,
        "url": "",
        "autoscaler": _autoscaler(autoscaler),
        "pods": [_pod(pod) for pod in known],
        "events": [_event(event) for event in newest_first(seen.warnings if seen else ())[:LAST_EVENTS]],
        "reason": reason,
        "problem": "\n".join(wrong),
    }


def brief(row: Mapping[str, Any], keys: Iterable[str] = OF_THE_TABLE) -> dict[str, Any]:
    """A part of a row; by default what the callback needs for its table."""
    return {key: row[key] for key in keys}


def _scene(
    id: str,
    workload: Mapping[str, Any],
    pods: Sequence[Pod],
    prefix: str,
    warnings: Mapping[tuple[str, str], list[Event]],
) -> Scene:
    """The workload measured by itself: whether it has become what it was told to be, whatever the plan says by now."""
    git_sha, config_sha = version(workload, prefix)
    metadata, spec = workload["metadata"], workload["spec"]
    target = Target(
        id=id,
        namespace=metadata["namespace"],
        name=metadata["name"],
        kind=workload["kind"],
        generation=metadata["generation"],
        git_sha=git_sha,
        config_sha=config_sha,
        replicas=spec.get("replicas", 1),
        autoscaling=None,
        margin=1.0,
        bounce_method="",
    )
    return scene(target, workload, pods, warnings)


def _place(planned: Mapping[str, Any] | None, workload: Mapping[str, Any] | None) -> tuple[str, str]:
    at = workload["metadata"] if workload else planned or {}
    return at.get("namespace", ""), at.get("name", "")


def _wanted(planned: Mapping[str, Any] | None, workload: Mapping[str, Any] | None) -> int:
    if planned is None:
        return 0
    if planned["autoscaling"] and workload:
        return int(workload["spec"].get("replicas", 1))
    return int(planned["replicas"])


def _versions(running: Sequence[Pod]) -> list[dict[str, Any]]:
    """Git sha, image version and config sha, and how many replicas have them, the most first."""
    groups: dict[tuple[str, str, str], list[Pod]] = {}
    for pod in running:
        groups.setdefault((pod.git_sha, pod.image_version, pod.config_sha), []).append(pod)
    versions = [
        {
            "git_sha": git_sha,
            "image_version": image_version,
            "config_sha": config_sha,
            "replicas": len(pods),
            "ready": sum(pod.ready for pod in pods),
        }
        for (git_sha, image_version, config_sha), pods in sorted(groups.items())
    ]
    return sorted(versions, key=lambda version: -version["replicas"])


def _versions_by_counts(workload: Mapping[str, Any] | None, prefix: str) -> list[dict[str, Any]]:
    """The version that a workload gives its pods, and what its status counts of it; others are of unknown version."""
    if workload is None:
        return []
    git_sha, config_sha = version(workload, prefix)
    status = workload.get("status") or {}
    total, updated, ready = (status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas"))
    # The status does not say of which version the ready ones are: at least as many of the new as the old cannot be.
    ready_of_it = max(ready - (total - updated), 0)
    this = {"git_sha": git_sha, "image_version": "", "config_sha": config_sha}
    unknown = {"git_sha": "", "image_version": "", "config_sha": ""}
    found = [(this, updated, ready_of_it), (unknown, total - updated, ready - ready_of_it)]
    return [{**which, "replicas": there, "ready": usable} for which, there, usable in found if there or which is this]


def _pod(pod: Pod) -> dict[str, Any]:
    return {
        "name": pod.name,
        "node": pod.node,
        "ready": pod.ready,
        "restarts": pod.restarts,
        "reason": str(pod.trouble or ""),
        "git_sha": pod.git_sha,
        "config_sha": pod.config_sha,
        "created": pod.created,
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "object": f"{event.kind} {event.name}",
        "reason": event.reason,
        "message": event.message,
        "count": event.count,
        "last": event.last,
    }


def _problems(
    planned: Mapping[str, Any] | None,
    workload: Mapping[str, Any] | None,
    seen: Scene | None,
    autoscaler: Mapping[str, Any] | None,
    prefix: str,
) -> list[str]:
    if workload is None or seen is None:
        wanted = planned and (planned["replicas"] or planned["autoscaling"])
        return ["is not there: no deploy has created it yet, or somebody has deleted it"] if wanted else []
    found = _difference(planned, workload, prefix) if planned else []
    if not state(workload, seen.target).done:
        found.append(describe(seen))
    return found + _autoscaler_problems(autoscaler)


def _planned_version(planned: Mapping[str, Any], workload: Mapping[str, Any] | None, prefix: str) -> tuple[str, str]:
    """Git sha and config sha that pods of the plan have. Those that were adopted keep the config sha that they had, as
    long as the workload's own label says that it is of the same configuration.
    """
    labels = (workload or {}).get("metadata", {}).get("labels") or {}
    if workload and labels.get(f"{prefix}/config_sha") == planned["config_sha"]:
        return planned["git_sha"], version(workload, prefix)[1]
    return planned["git_sha"], planned["config_sha"]


def _difference(planned: Mapping[str, Any], workload: Mapping[str, Any], prefix: str) -> list[str]:
    """Where the workload is not what the plan wants: it was changed by hand, or not deployed since."""
    found = []
    for name, is_, wanted in zip(
        ("git_sha", "config_sha"),
        version(workload, prefix),
        _planned_version(planned, workload, prefix),
        strict=True,
    ):
        if is_ != wanted:
            found.append(f"{name} is {short(is_) or 'unknown'}, planned is {short(wanted)}: not deployed yet")
    replicas = workload["spec"].get("replicas", 1)
    if not planned["autoscaling"] and replicas != planned["replicas"]:
        found.append(f"replicas is {replicas}, planned is {planned['replicas']}")
    return found


def _autoscaler(autoscaler: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Bounds, counts, metrics and conditions of a HorizontalPodAutoscaler of autoscaling/v2."""
    if autoscaler is None:
        return None
    spec, status = autoscaler["spec"], autoscaler.get("status") or {}
    metrics, current = spec.get("metrics") or (), status.get("currentMetrics") or ()
    return {
        "min": spec.get("minReplicas", 1),
        "max": spec["maxReplicas"],
        "current": status.get("currentReplicas", 0),
        "desired": status.get("desiredReplicas", 0),
        # The status has the metrics in the order of the spec.
        "metrics": [_metric(metric, current[n] if n < len(current) else {}) for n, metric in enumerate(metrics)],
        "conditions": [
            {key: found.get(key, "") for key in ("type", "status", "reason", "message")}
            for found in status.get("conditions") or ()
        ],
        "last_scaled": status.get("lastScaleTime") or "",
    }


def _metric(metric: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, str]:
    """Name, target and last value of a metric; the value is empty when it could not be had."""
    source = metric["type"][0].lower() + metric["type"][1:]
    wanted = metric[source]
    name = wanted.get("name") or (wanted.get("metric") or {}).get("name", "")
    is_same = current.get("type") == metric["type"]
    return {
        "name": f"{wanted['container']} {name}" if wanted.get("container") else name,
        "target": _amount(wanted.get("target") or {}),
        "current": _amount((current.get(source) or {}).get("current") or {}) if is_same else "",
    }


def _amount(value: Mapping[str, Any]) -> str:
    if "averageUtilization" in value:
        return f"{value['averageUtilization']}%"
    return str(value.get("averageValue") or value.get("value") or "")


def _autoscaler_problems(autoscaler: Mapping[str, Any] | None) -> list[str]:
    if autoscaler is None:
        return []
    found = []
    for type in ("AbleToScale", "ScalingActive"):
        problem = condition(autoscaler, type)
        if problem.get("status") == "False" and problem.get("reason") != "ScalingDisabled":
            found.append(f"autoscaler: {problem.get('reason')}: {one_line(problem.get('message') or '')}")
    limited = condition(autoscaler, "ScalingLimited")
    if limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas":
        found.append(f"autoscaler: wants more than its max of {autoscaler['spec']['maxReplicas']}")
    return found
