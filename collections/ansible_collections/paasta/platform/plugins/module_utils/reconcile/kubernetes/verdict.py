# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a rollout is worth waiting for: what ends it early, and how long it must last. Pure but for its memory.

What may heal by itself is waited for until the time-out: an autoscaler may add a node, somebody may push the image, a
probe may pass late. What no controller and no kubelet gets over by itself ends the wait for that instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .events import Event
from .pods import CRASHED, HOPELESS, MISCONFIGURED, PULLING, Pod, newest_revision
from .readiness import Target, counts, last_change, overdue, refusal, taken_over

#: Restarts after which a container crash-loops for good; the kubelet waits 10, 20 and 40 seconds before them, so that
#: what only waits for a neighbour to come up has had more than a minute.
CRASH_RESTARTS = 3

#: Seconds that the server may refuse to create pods: a quota is free again when the old pods have gone.
REFUSAL_SECONDS = 20.0

#: Seconds that a key may be missing in a Secret or ConfigMap: who else writes it may be a moment late.
CONFIG_SECONDS = 30.0

#: Seconds that a broken pod of an old version may block a StatefulSet: its kubelet may only be restarting it.
BLOCKED_SECONDS = 60.0

#: Seconds after which an object that is gone stays gone: to change what is immutable, it is deleted and created anew.
GONE_SECONDS = 5.0


@dataclass(slots=True)
class Memory:
    """What is remembered of a rollout between two looks.

    :ivar restarts: pod uid → its restarts when the wait began. What crashed before may be what this run has repaired,
        so it has to crash once more.
    :ivar overdue: whether the progress deadline had passed already when the wait began.
    :ivar since: name of a state → when it began (monotonic seconds).
    """

    restarts: dict[str, int] = field(default_factory=dict)
    overdue: bool = False
    since: dict[str, float] = field(default_factory=dict)

    def lasts(self, name: str, holds: bool, now: float, seconds: float) -> bool:
        """Whether a state has held at every look for so long."""
        if not holds:
            self.since.pop(name, None)
            return False
        return now - self.since.setdefault(name, now) >= seconds


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of a workload and its pods at one moment.

    :ivar new: pods of the wanted version that count.
    :ivar old: pods of other versions, or that count no longer.
    :ivar warnings: events about the workload, its ReplicaSets and its pods, the newest first.
    """

    target: Target
    workload: Mapping[str, Any]
    new: Sequence[Pod]
    old: Sequence[Pod]
    warnings: Sequence[Event] = ()


def scene(
    target: Target, workload: Mapping[str, Any], pods: Iterable[Pod], warnings: Mapping[tuple[str, str], list[Event]]
) -> Scene:
    """Sort a workload's pods by version, and find the warnings about it and them.

    :param warnings: those of the namespace, by kind and name of the object.
    """
    pods = sorted(pods, key=lambda pod: pod.name)
    revision = (workload.get("status") or {}).get("updateRevision")
    if target.kind == "Deployment" or not revision:
        revision = newest_revision(pods, target.git_sha, target.config_sha)
    new = [pod for pod in pods if pod.revision == revision and not pod.leaving]
    old = [pod for pod in pods if pod not in new]
    subjects = [(target.kind, target.name), ("ReplicaSet", f"{target.name}-{revision}")]
    found = [event for subject in subjects for event in warnings.get(subject, ()) if _is_recent(event, workload)]
    uids = {pod.uid for pod in pods}
    found += [event for pod in pods for event in warnings.get(("Pod", pod.name), ()) if event.uid in uids]
    return Scene(target, workload, new, old, found)


def _is_recent(event: Event, workload: Mapping[str, Any]) -> bool:
    """Whether an event is about the workload as it is now: events are kept for an hour."""
    return event.last[:19] >= (last_change(workload).get("time") or "")[:19]


def hopeless(seen: Scene, memory: Memory, now: float, prefix: str) -> str:
    """Why waiting on is pointless; empty when it is not.

    :param now: monotonic seconds.
    """
    if found := taken_over(seen.workload, seen.target, prefix):
        return f"was changed while its rollout was waited for: {found}. Run the deploy again"
    if seen.workload["metadata"]["generation"] < seen.target.generation:
        return "was deleted and created anew while its rollout was waited for. Run the deploy again"
    if overdue(seen.workload) and not memory.overdue and not any(pod.ready for pod in seen.new):
        return "made no progress within its progressDeadlineSeconds, and nothing of the new version is ready"
    if memory.lasts("refusal", bool(refused(seen)), now, REFUSAL_SECONDS):
        return "may not create its pods"
    return _never_starts(seen, memory, now) or _blocked(seen, memory, now)


def refused(seen: Scene) -> str:
    """Why the server refuses pods; a StatefulSet has no condition for that, only events."""
    if text := refusal(seen.workload):
        return text
    found = counts(seen.workload)
    if seen.target.kind == "StatefulSet" and found.total < found.desired:
        # With all pods there, one that was refused once was created since.
        return next((event.message for event in seen.warnings if event.reason == "FailedCreate"), "")
    return ""


def _never_starts(seen: Scene, memory: Memory, now: float) -> str:
    troubles = [(pod, pod.trouble) for pod in seen.new if pod.trouble]
    for _pod, trouble in troubles:
        if trouble.reason in HOPELESS:
            return "cannot start"
    if any(pod.ready for pod in seen.new):
        # Others of the same version work: a node, a volume or chance is to blame, and may pass.
        memory.since.pop("config", None)
        return ""
    config = any(trouble.reason in MISCONFIGURED for _pod, trouble in troubles)
    if memory.lasts("config", config, now, CONFIG_SECONDS):
        return "cannot start"
    return "crashes again and again" if any(crash_loops(pod, memory) for pod in seen.new) else ""


def crash_loops(pod: Pod, memory: Memory) -> bool:
    """Whether a pod has crashed often enough, and once at least since the wait began."""
    trouble = pod.trouble
    if trouble is None or trouble.reason not in (*CRASHED, "NotReady"):
        return False
    crashed = bool(trouble.exit) and trouble.restarts >= CRASH_RESTARTS
    return crashed and pod.restarts > memory.restarts.get(pod.uid, 0)


def blocker(seen: Scene) -> Pod | None:
    """The pod of an old version that keeps a StatefulSet from getting anywhere.

    With podManagementPolicy OrderedReady its controller replaces nothing before all pods are ready, also one whose
    version is broken and is no longer wanted (kubernetes/kubernetes issue 67250).
    """
    if seen.target.kind != "StatefulSet" or seen.workload["spec"].get("podManagementPolicy") == "Parallel":
        return None
    broken = (*HOPELESS, *PULLING, *MISCONFIGURED, *CRASHED)
    return next((p for p in seen.old if p.trouble and p.trouble.reason in broken), None)


def _blocked(seen: Scene, memory: Memory, now: float) -> str:
    pod = blocker(seen)
    if not memory.lasts("blocked", pod is not None, now, BLOCKED_SECONDS) or pod is None:
        return ""
    return "is blocked by a broken pod of another version"
