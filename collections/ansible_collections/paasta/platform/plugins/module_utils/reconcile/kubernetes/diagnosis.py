# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Why a rollout does not get done, in words: pods, events and last log lines, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .api import Api
from .errors import ApiError, Unreachable
from .events import Event
from .kinds import collection, path
from .pods import CRASHED, HOPELESS, MISCONFIGURED, PULLING, Pod, Trouble
from .readiness import Target, counts, meddled, state
from .verdict import Scene, blocker, refused

#: Lines of a crashed container's output that an error shows.
LOG_LINES = 20

#: Pods, and events of one pod, that a text shows: the others have the same trouble, or can be asked for.
SHOWN_PODS, SHOWN_EVENTS = 3, 3

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

# Events that only repeat what the pod's status says.
_REPEATED = ("BackOff", "FailedScheduling")

Redact = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a rollout failed.

    :ivar summary: one line.
    :ivar details: more lines: pods, events, logs, what to do.
    :ivar early: whether it was hopeless before the time was up.
    """

    id: str
    summary: str
    details: tuple[str, ...] = ()
    early: bool = False

    def __str__(self) -> str:
        return "\n".join((self.summary, *(f"    {line}" for line in self.details)))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was asked for only because a rollout failed.

    :ivar logs: pod → the last lines of its crashed container.
    :ivar claims: volume claims that are not bound → how they are instead.
    """

    logs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)


def describe(seen: Scene) -> str:
    """How far a rollout is and what it waits for, in one line."""
    progress = state(seen.workload, seen.target)
    if progress.done or seen.target.stopped:
        return progress.text
    found = counts(seen.workload)
    if seen.new:
        ready = sum(pod.ready for pod in seen.new)
        text = f"{ready} of {found.desired} new replicas ready"
        text += f", {found.old} old left" if found.old else ""
    else:
        text = progress.text
    stopping = sum(pod.trouble is not None and pod.trouble.reason == "Terminating" for pod in seen.old)
    text += f", {stopping} stopping" if stopping else ""
    reasons = (refused(seen) or progress.stuck, _pods_in_short(seen), meddled(seen.workload, seen.target))
    return "; ".join([text, *(reason for reason in reasons if reason)])


def _pods_in_short(seen: Scene) -> str:
    pod = blocker(seen)
    if pod:
        return f"{pod.name} of another version is in the way: {pod.trouble}"
    late = [pod for pod in seen.new if pod.trouble]
    if late:
        # What is in real trouble first; a pod that only starts is told when there is nothing worse.
        first = min(late, key=lambda pod: (_starts(pod.trouble), pod.name))
        more = f" (and {len(late) - 1} more)" if len(late) > 1 else ""
        return f"{first.name}{more}: {first.trouble}{_probe_words(first, seen.warnings)}"
    slow = [pod for pod in seen.old if pod.trouble and pod.trouble.reason == "Terminating" and pod.trouble.message]
    return f"{slow[0].name}: {slow[0].trouble}" if slow else ""


def _starts(trouble: Trouble | None) -> bool:
    return trouble is not None and trouble.reason in ("ContainerCreating", "PodInitializing", "Pending", "NotReady")


def _probe_words(pod: Pod, warnings: Iterable[Event]) -> str:
    """What the probe of a pod that is not ready said last."""
    if pod.trouble is None or pod.trouble.reason != "NotReady":
        return ""
    words = (event.message for event in warnings if event.uid == pod.uid and event.reason == "Unhealthy")
    return next((f" ({message})" for message in words), "")


def explain(seen: Scene, why: str, evidence: Evidence, redact: Redact, *, early: bool, note: str = "") -> Failure:
    """Put together why a rollout failed.

    :param why: what ended the wait: ``crashes again and again``, or ``is not done after 600 s``.
    :param redact: takes secrets out of a text.
    :param note: why this is not all that could be known.
    """
    details = [*_about_workload(seen), *_about_pods(seen), *_claims(evidence), *_output(evidence)]
    serving = [pod for pod in seen.old if pod.ready]
    if serving:
        versions = ", ".join(sorted({pod.git_sha[:8] or "unknown" for pod in serving}))
        details.append(f"{len(serving)} of version {versions} still serve")
    details += [*filter(None, [note]), *_ways_out(seen)]
    summary = f"{seen.target.kind} {seen.target.namespace}/{seen.target.name} {why}: {describe(seen)}"
    return Failure(seen.target.id, redact(summary), tuple(redact(line) for line in details), early)


def _about_workload(seen: Scene) -> list[str]:
    about = [event for event in seen.warnings if event.kind != "Pod"]
    return [f"{event.kind} {event.name}: {event}" for event in _distinct(about)[:SHOWN_EVENTS]]


def _about_pods(seen: Scene) -> list[str]:
    lines = []
    in_the_way = [pod for pod in (blocker(seen),) if pod]
    late = [*in_the_way, *(pod for pod in seen.new if pod.trouble), *_departed(seen)]
    groups: dict[tuple[str, str], list[Pod]] = {}
    for pod in late:
        if pod.trouble:
            groups.setdefault((pod.trouble.container, pod.trouble.reason), []).append(pod)
    for pods in groups.values():
        for pod in pods[:SHOWN_PODS]:
            lines.append(f"{pod.name}{f' on {pod.node}' if pod.node else ''}: {pod.trouble}")
            events = [e for e in seen.warnings if e.uid == pod.uid and e.reason not in _REPEATED]
            lines += [f"    {event}" for event in _distinct(events)[:SHOWN_EVENTS]]
        if len(pods) > SHOWN_PODS:
            lines.append(f"and {len(pods) - SHOWN_PODS} more pods: {pods[0].trouble.reason if pods[0].trouble else ''}")
    return lines


def _departed(seen: Scene) -> list[Pod]:
    """Pods that count no longer and are worth a word: evicted, not gone in time, with a preStop hook that failed."""
    failed = {event.uid for event in seen.warnings if event.reason in ("FailedPreStopHook", "FailedKillPod")}
    gone = [(pod, pod.trouble) for pod in seen.old if pod.leaving and pod.trouble]
    return [pod for pod, trouble in gone if trouble.reason != "Terminating" or trouble.message or pod.uid in failed]


def _distinct(events: Iterable[Event]) -> list[Event]:
    found: dict[tuple[str, str], Event] = {}
    for event in events:
        found.setdefault((event.reason, event.message), event)
    return list(found.values())


def _claims(evidence: Evidence) -> list[str]:
    return [f"PersistentVolumeClaim {name}: {text}" for name, text in evidence.claims.items()]


def _output(evidence: Evidence) -> list[str]:
    lines = []
    for pod, output in evidence.logs.items():
        lines.append(f"last output of {pod}:" if output else f"{pod} wrote nothing before it crashed")
        lines += [f"    | {line}" for line in output]
    return lines


def _ways_out(seen: Scene) -> list[str]:
    """What to do, once for each sort of trouble."""
    target = seen.target
    ways = []
    if pod := blocker(seen):
        ways.append(
            "A StatefulSet with podManagementPolicy OrderedReady replaces nothing before all its pods are ready. "
            f"Delete the broken pod: kubectl -n {target.namespace} delete pod {pod.name}"
        )
    if refused(seen):
        ways.append(f"Raise the quota of namespace {target.namespace} or ask for less; ask whoever runs the webhook")
    troubles = [pod.trouble for pod in seen.new if pod.trouble]
    for matches, text in _WAYS_OUT:
        if any(matches(trouble) for trouble in troubles):
            ways.append(text)
    if asked := _asked_of_nodes(seen, troubles):
        ways.append(asked)
    ways.append(f"More: kubectl -n {target.namespace} describe {target.kind.lower()} {target.name}")
    return ways


def _asked_of_nodes(seen: Scene, troubles: Sequence[Trouble]) -> str:
    """The labels that pods want of nodes, where the scheduler says that no node has them."""
    if not any("node affinity/selector" in trouble.message for trouble in troubles):
        return ""
    spec = seen.workload["spec"]["template"]["spec"]
    wanted = [f"{name}={value}" for name, value in sorted((spec.get("nodeSelector") or {}).items())]
    required = (spec.get("affinity") or {}).get("nodeAffinity", {}).get(_REQUIRED) or {}
    terms = [_expressions(term) for term in required.get("nodeSelectorTerms") or ()]
    if terms:
        wanted.append(" or ".join(terms))
    return f"Nodes need the labels that its pods ask for: {', '.join(wanted)}" if wanted else ""


def _expressions(term: Mapping[str, Any]) -> str:
    return " and ".join(
        " ".join([found["key"], found["operator"], *filter(None, [",".join(found.get("values") or ())])])
        for found in term.get("matchExpressions") or ()
    )


_WAYS_OUT: tuple[tuple[Callable[[Trouble], bool], str], ...] = (
    (
        lambda trouble: trouble.reason in (*PULLING, *HOPELESS),
        "Is the image in the registry, and may the nodes pull it? (playbooks/build.yml builds and pushes)",
    ),
    (lambda trouble: "OOMKilled" in (trouble.reason, trouble.exit.rpartition(", ")[2]), "Out of memory: raise mem"),
    (
        lambda trouble: trouble.reason == "Unschedulable",
        "No node fits: add nodes, ask for less cpus, mem or disk, or change pool and constraints",
    ),
    (
        lambda trouble: trouble.reason in MISCONFIGURED,
        "Does every Secret and ConfigMap that the instance names have that key?",
    ),
    (
        lambda trouble: trouble.reason == "NotReady",
        "Does the service listen on container_port, and answer its health check there?",
    ),
)


def gather(api: Api, seen: Scene) -> Evidence:
    """Ask for logs and volume claims that explain the trouble; what cannot be had is left out, or said in its place."""
    logs: dict[str, list[str]] = {}
    crashed = [pod for pod in seen.new if pod.trouble and _has_crashed(pod.trouble)]
    crashed += [pod for pod in (blocker(seen),) if pod and pod.trouble and _has_crashed(pod.trouble)]
    if crashed:
        # One pod is enough: they are replicas.
        pod = max(crashed, key=lambda pod: pod.restarts)
        logs[pod.name] = _log(api, pod)
    waiting = [pod for pod in seen.new if pod.trouble and pod.trouble.reason in ("Unschedulable", "ContainerCreating")]
    names = sorted({claim for pod in waiting for claim in pod.claims})
    return Evidence(logs, _pending_claims(api, seen.target, names) if names else {})


def _has_crashed(trouble: Trouble) -> bool:
    return bool(trouble.exit) and trouble.reason in (*CRASHED, "NotReady", "Restarting")


def _log(api: Api, pod: Pod) -> list[str]:
    container = pod.trouble.container.removeprefix("init container ") if pod.trouble else ""
    where = path({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": pod.namespace, "name": pod.name}})
    query = {"container": container, "tailLines": str(LOG_LINES)}
    try:
        # The run that crashed; while the container waits for its next, that is the last one as well.
        previous = "true" if pod.trouble and pod.trouble.restarts else "false"
        return api.text(f"{where}/log", query=query | {"previous": previous}).splitlines()[-LOG_LINES:]
    except (ApiError, Unreachable) as error:
        return [f"(its output cannot be had: {error})"]


def _pending_claims(api: Api, target: Target, names: Sequence[str]) -> dict[str, str]:
    """Volume claims of those names that are not bound, and why."""
    pending: dict[str, str] = {}
    try:
        items, _version = api.list(collection("PersistentVolumeClaim", target.namespace))
        for claim in items:
            name, phase = claim["metadata"]["name"], (claim.get("status") or {}).get("phase", "Pending")
            if name in names and phase != "Bound":
                storage = claim["spec"].get("storageClassName")
                pending[name] = f"{phase}, storage class {storage}" if storage else f"{phase}, no storage class"
    except (ApiError, Unreachable):
        # Only a help: what the scheduler says of the pods stands in any case.
        return {}
    missing = [name for name in names if name not in {c["metadata"]["name"] for c in items}]
    return pending | dict.fromkeys(missing, "there is none")
