# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""When a rollout is done: one predicate for each kind of workload, asked of the object that the API server shows. Pure.

Done is what PaaSTA means by it: only the wanted version is there, and as much of it is ready as
``bounce_margin_factor`` asks for. A status counts only once the controller has seen the generation it is about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .fields import MANAGER

# Digits of a git sha in texts for people.
_SHORT = 8


@dataclass(frozen=True, slots=True)
class Target:
    """One workload on its way to the plan.

    :ivar id: ``service.instance``.
    :ivar kind: ``Deployment`` or ``StatefulSet``.
    :ivar generation: ``metadata.generation`` that the server gave when the plan was applied.
    :ivar replicas: how many are wanted; 0 when stopped. Of no account where ``autoscaling`` is set.
    :ivar autoscaling: ``min`` and ``max`` where something else decides how many.
    :ivar margin: ``bounce_margin_factor``, the share of the replicas that has to be ready.
    """

    id: str
    namespace: str
    name: str
    kind: str
    generation: int
    git_sha: str
    config_sha: str
    replicas: int
    autoscaling: Mapping[str, int] | None
    margin: float
    bounce_method: str

    @property
    def stopped(self) -> bool:
        return self.autoscaling is None and self.replicas == 0


# Kind -> which count of the status says how many can be used, given the spec. A StatefulSet's availableReplicas
# need minReadySeconds to differ from readyReplicas.
_USABLE: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "Deployment": lambda spec: "availableReplicas",
    "StatefulSet": lambda spec: "availableReplicas" if spec.get("minReadySeconds") else "readyReplicas",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rollout is.

    :ivar stuck: what the workload itself says is in its way; None when it says nothing.
    :ivar text: what a person would be told.
    """

    done: bool
    stuck: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Counts:
    """The replicas of a workload, as its controller counts them.

    :ivar usable: ready, and for as long as ``minReadySeconds`` asks; of any version.
    """

    desired: int
    total: int
    updated: int
    usable: int

    @property
    def old(self) -> int:
        return max(self.total - self.updated, 0)


def counts(workload: Mapping[str, Any]) -> Counts:
    """The replicas of a Deployment or StatefulSet."""
    spec, status = workload["spec"], workload.get("status") or {}
    usable = _USABLE[workload["kind"]](spec)
    # The API server fills spec.replicas in; the status leaves out what is 0.
    return Counts(spec.get("replicas", 1), *(status.get(key, 0) for key in ("replicas", "updatedReplicas", usable)))


def needed(desired: int, margin: float) -> int:
    """How many of ``desired`` have to be ready: 19 of 20 for a margin of 0.95, all of them for 1."""
    # Less a trifle: 100 * 0.07 is 7.000000000000001 and means 7.
    return math.ceil(desired * margin - 1e-9)


def state(workload: Mapping[str, Any], target: Target) -> Progress:
    """How far the rollout of a workload is, by the object alone."""
    metadata, status = workload["metadata"], workload.get("status") or {}
    if metadata["generation"] < target.generation:
        text = (
            f"its generation is {metadata['generation']}, what was applied had {target.generation}: "
            "it was deleted and created anew"
        )
        return Progress(False, text, text)
    if status.get("observedGeneration", 0) < metadata["generation"]:
        return Progress(False, None, f"the {workload['kind']} controller has not seen the change yet")
    found = counts(workload)
    if target.stopped:
        done = found.desired == found.total == 0
    else:
        done = _all_new(found) and found.usable >= needed(found.desired, target.margin)
    if done:
        return Progress(True, None, f"{found.usable} of {found.desired} ready" if found.desired else "stopped")
    return Progress(False, _stuck(workload), _text(found, target))


def _all_new(found: Counts) -> bool:
    """Whether only new replicas are there, and as many as are wanted.

    Not currentRevision == updateRevision of a StatefulSet: after a rollback the two are equal while a pod of the
    version between them is still there. updatedReplicas counts the pods themselves, in both kinds.
    """
    return found.old == 0 and found.updated == found.total == found.desired


def _text(found: Counts, target: Target) -> str:
    if target.stopped:
        return f"{found.total} left to stop"
    text = f"{min(found.updated, found.desired)} of {found.desired} new replicas there, {found.usable} ready in all"
    if found.updated > found.desired:
        text += f", {found.updated - found.desired} too many"
    return text + (f", {found.old} old left" if found.old else "")


def condition(workload: Mapping[str, Any], type: str) -> Mapping[str, Any]:
    """The condition of that type; empty when there is none."""
    conditions = (workload.get("status") or {}).get("conditions") or []
    return next((found for found in conditions if found["type"] == type), {})


def refusal(workload: Mapping[str, Any]) -> str:
    """Why the server refuses to create its pods (a quota, an admission webhook); empty when it does not."""
    found = condition(workload, "ReplicaFailure")
    return found.get("message") or found.get("reason", "") if found.get("status") == "True" else ""


def overdue(workload: Mapping[str, Any]) -> bool:
    """Whether a Deployment has made no progress for its ``progressDeadlineSeconds``."""
    found = condition(workload, "Progressing")
    return found.get("status") == "False" and found.get("reason") == "ProgressDeadlineExceeded"


def _stuck(workload: Mapping[str, Any]) -> str | None:
    spec = workload["spec"]
    if spec.get("paused"):
        return "it is paused"
    if text := refusal(workload):
        return text
    if overdue(workload):
        return condition(workload, "Progressing").get("message") or "no progress within progressDeadlineSeconds"
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return "its updateStrategy is OnDelete: a pod gets the new version only when somebody deletes it"
    if partition := (strategy.get("rollingUpdate") or {}).get("partition"):
        return f"its updateStrategy has partition {partition}: pods below that number keep the old version"
    return None


def taken_over(workload: Mapping[str, Any], target: Target, prefix: str) -> str:
    """What somebody else has made of a workload since the plan was applied, and who; empty if it is still as planned.

    Only what stands in the way of the plan: another version, another number of replicas.
    """
    metadata = workload["metadata"]
    if metadata["generation"] <= target.generation:
        return ""
    git_sha, config_sha = version(workload, prefix)
    for name, is_, wanted in (("git_sha", git_sha, target.git_sha), ("config_sha", config_sha, target.config_sha)):
        if is_ != wanted:
            return (
                f"{_who(last_change(workload))} has set {name} {short(is_) or 'to nothing'}, planned is {short(wanted)}"
            )
    replicas = workload["spec"].get("replicas", 1)
    if target.autoscaling is None and replicas != target.replicas:
        return f"{_who(_scaler(workload))} has set replicas {replicas}, planned are {target.replicas}"
    return ""


def last_change(workload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The newest of a workload's ``managedFields`` that is no status: manager and time. Empty without any."""
    changes = [entry for entry in _managers(workload) if entry.get("subresource") != "status"]
    return max(changes, key=lambda entry: entry.get("time") or "") if changes else {}


def _scaler(workload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Who has set ``spec.replicas``: the server records no time for it when that was done by scaling."""
    setters = (
        entry for entry in _managers(workload) if "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})
    )
    return next(setters, {})


def _managers(workload: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return workload["metadata"].get("managedFields") or ()


def meddled(workload: Mapping[str, Any], target: Target) -> str:
    """Who else has changed a workload since the plan was applied, in what does not matter to the plan; for people."""
    if workload["metadata"]["generation"] <= target.generation:
        return ""
    last = last_change(workload)
    if target.autoscaling is not None and last.get("manager") == MANAGER:
        # The autoscaler at work, as far as one can see.
        return ""
    return f"{_who(last)} has changed it since it was applied"


def _who(entry: Mapping[str, Any]) -> str:
    """A manager of fields, in words."""
    when = f" (at {entry['time']})" if entry.get("time") else ""
    return f"{entry.get('manager') or 'somebody'}{when}"


def version(workload: Mapping[str, Any], prefix: str) -> tuple[str, str]:
    """Git sha and config sha that a workload gives its pods; empty where it says none."""
    labels = (workload["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return labels.get(f"{prefix}/git_sha", ""), labels.get(f"{prefix}/config_sha", "")


def short(sha: str) -> str:
    """A git sha for people; anything else as it is."""
    return sha[:_SHORT] if len(sha) == 40 else sha
