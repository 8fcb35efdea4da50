# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the API server says of a pod, read as a replica of an instance: its version, its state, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: Characters that one message of Kubernetes gets; a scheduler's may list a thousand nodes' reasons.
MESSAGE_LIMIT = 400

#: Seconds after which a pod should be gone that is past its termination grace period; kubelets are that late at times.
LATE_DELETION = 30.0

# Reasons of waiting containers that are a normal start.
_STARTING = ("ContainerCreating", "PodInitializing")

# Waiting for these to pass is pointless until somebody changes the pod: the kubelet does not even try.
HOPELESS = ("InvalidImageName", "ErrImageNeverPull")

# What a Secret or a ConfigMap lacks, or the runtime refuses: tried again, and usually for ever.
MISCONFIGURED = ("CreateContainerConfigError", "CreateContainerError")

# The container ran and ended, or could not be started.
CRASHED = (
    "CrashLoopBackOff",
    "RunContainerError",
    "PostStartHookError",
    "StartError",
    "ContainerCannotRun",
    "Error",
    "OOMKilled",
    "Completed",
)

PULLING = ("ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod is not ready.

    :ivar reason: Kubernetes' own word, for example ``ImagePullBackOff`` or ``Unschedulable``.
    :ivar message: Kubernetes' own words in one line; may be empty.
    :ivar container: the container it is about; empty for the pod.
    :ivar restarts: of that container.
    :ivar exit: how its last run ended: ``exit code 137 (OOMKilled)``; empty when it has not ended.
    """

    reason: str
    message: str = ""
    container: str = ""
    restarts: int = 0
    exit: str = ""

    def __str__(self) -> str:
        facts = [self.reason]
        if self.restarts:
            facts.append(f"{self.restarts} restart{'s' if self.restarts > 1 else ''}")
        facts += [text for text in (self.exit, self.message) if text]
        text = facts[0] + (f" ({', '.join(facts[1:-1])})" if len(facts) > 2 else "")
        text += f": {facts[-1]}" if len(facts) > 1 else ""
        return f"{self.container}: {text}" if self.container else text


@dataclass(frozen=True, slots=True)
class Pod:
    """One replica.

    :ivar owner: kind and name of the workload that it belongs to.
    :ivar revision: ``pod-template-hash`` or ``controller-revision-hash``.
    :ivar restarts: of all its containers together.
    :ivar leaving: being deleted, or ended (evicted): its controller no longer counts it.
    :ivar claims: names of its persistent volume claims.
    """

    namespace: str
    name: str
    uid: str
    owner: tuple[str, str]
    node: str
    revision: str
    git_sha: str
    config_sha: str
    image_version: str
    created: str
    ready: bool
    leaving: bool
    restarts: int
    trouble: Trouble | None
    claims: tuple[str, ...] = ()


def read(pod: Mapping[str, Any], prefix: str, now: datetime) -> Pod:
    """A pod as the API server shows it.

    :param prefix: of our labels.
    :param now: with a time zone; tells pods that should long be gone.
    """
    metadata, status = pod["metadata"], pod.get("status") or {}
    labels = metadata.get("labels") or {}
    ended = status.get("phase") in ("Failed", "Succeeded")
    leaving = ended or "deletionTimestamp" in metadata
    ready = not leaving and _condition(status, "Ready").get("status") == "True"
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        owner=owner(metadata),
        node=pod["spec"].get("nodeName", ""),
        revision=labels.get("pod-template-hash") or labels.get("controller-revision-hash", ""),
        git_sha=labels.get(f"{prefix}/git_sha", ""),
        config_sha=labels.get(f"{prefix}/config_sha", ""),
        image_version=labels.get(f"{prefix}/image_version", ""),
        created=metadata.get("creationTimestamp") or "",
        ready=ready,
        leaving=leaving,
        restarts=sum(container.get("restartCount", 0) for _kind, container in _containers(status)),
        trouble=None if ready else _trouble(pod, now),
        claims=tuple(
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["spec"].get("volumes") or ()
            if "persistentVolumeClaim" in volume
        ),
    )


def owner(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and name of a pod's workload; the Deployment, not the ReplicaSet between them. Empty without one."""
    for reference in metadata.get("ownerReferences") or ():
        if not reference.get("controller"):
            continue
        if reference["kind"] == "ReplicaSet":
            # The Deployment controller calls its ReplicaSets NAME-HASH, and labels their pods with that hash.
            hash = (metadata.get("labels") or {}).get("pod-template-hash", "")
            return ("Deployment", reference["name"].removesuffix(f"-{hash}"))
        return (reference["kind"], reference["name"])
    return ("", "")


def newest_revision(pods: Sequence[Pod], git_sha: str, config_sha: str) -> str:
    """The revision that pods of that version have; of several (a restart by kubectl) that of the youngest pod."""
    of_version = [pod for pod in pods if (pod.git_sha, pod.config_sha) == (git_sha, config_sha)]
    return max(of_version, key=lambda pod: (pod.created, pod.name)).revision if of_version else ""


def one_line(text: str) -> str:
    """A message of Kubernetes in one line of at most :data:`MESSAGE_LIMIT` characters."""
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 4] + " ..."


def _trouble(pod: Mapping[str, Any], now: datetime) -> Trouble | None:
    metadata, status = pod["metadata"], pod.get("status") or {}
    if deletion := metadata.get("deletionTimestamp"):
        # The timestamp is when the grace period ends.
        late = (now - datetime.fromisoformat(deletion)).total_seconds()
        if late < LATE_DELETION:
            return Trouble("Terminating")
        node = pod["spec"].get("nodeName", "its node")
        return Trouble("Terminating", f"should have been gone long ago; does the kubelet of {node} run?")
    if status.get("phase") in ("Failed", "Succeeded"):
        return Trouble(status.get("reason") or status["phase"], one_line(status.get("message") or ""))
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return Trouble(scheduled.get("reason") or "Unschedulable", one_line(scheduled.get("message") or ""))
    starting = None
    for kind, container in _containers(status):
        found = _container_trouble(kind, container)
        if found and found.reason not in _STARTING:
            return found
        starting = starting or found
    return starting or _pod_trouble(pod)


def _containers(status: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Init containers first: the others wait for them."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            yield kind, container


def _container_trouble(kind: str, container: Mapping[str, Any]) -> Trouble | None:
    state, name = container.get("state") or {}, container["name"]
    init = kind == "initContainerStatuses"
    if init:
        name = f"init container {name}"
    restarts, last = container.get("restartCount", 0), (container.get("lastState") or {}).get("terminated")
    if waiting := state.get("waiting"):
        reason = waiting.get("reason") or "Waiting"
        message = "" if reason == "CrashLoopBackOff" else one_line(waiting.get("message") or "")
        if reason in _STARTING and restarts:
            reason = "Restarting"
        return Trouble(reason, message or _last_words(last), name, restarts, _exit(last))
    if ended := state.get("terminated"):
        if init and ended.get("exitCode") == 0:
            return None
        return Trouble(ended.get("reason") or "Error", _last_words(ended), name, restarts, _exit(ended))
    if container.get("ready"):
        return None
    if init and container.get("started") is not True:
        return Trouble("Running", "the other containers start when it has ended", name, restarts, _exit(last))
    if init:  # a sidecar that has started; its readiness counts as that of any container
        return Trouble("NotReady", "", name, restarts, _exit(last))
    probe = "startup" if container.get("started") is False else "readiness"
    return Trouble("NotReady", f"its {probe} probe has not passed yet", name, restarts, _exit(last))


def _pod_trouble(pod: Mapping[str, Any]) -> Trouble | None:
    """What is in the way although no container says so."""
    status = pod.get("status") or {}
    if not status.get("containerStatuses"):
        if not pod["spec"].get("nodeName"):
            return Trouble("Pending", "the scheduler has not looked at it yet")
        return Trouble("ContainerCreating", f"the kubelet of {pod['spec']['nodeName']} has not started it yet")
    for gate in pod["spec"].get("readinessGates") or ():
        if _condition(status, gate["conditionType"]).get("status") != "True":
            return Trouble("ReadinessGate", f"condition {gate['conditionType']} is not True")
    disruption = _condition(status, "DisruptionTarget")
    if disruption.get("status") == "True":
        return Trouble(disruption.get("reason") or "DisruptionTarget", one_line(disruption.get("message") or ""))
    # Containers are ready and the pod is not: the node controller has taken that away.
    return Trouble("NodeNotReady", f"does the kubelet of {pod['spec'].get('nodeName', 'its node')} run?")


def _exit(ended: Mapping[str, Any] | None) -> str:
    if not ended:
        return ""
    code = ended.get("exitCode")
    text = f"signal {ended['signal']}" if ended.get("signal") else f"exit code {code}"
    reason = ended.get("reason")
    return f"{text}, {reason}" if reason and reason not in ("Error", "Completed") else text


def _last_words(ended: Mapping[str, Any] | None) -> str:
    return one_line(ended.get("message") or "") if ended else ""


def _condition(status: Mapping[str, Any], type: str) -> Mapping[str, Any]:
    return next((found for found in status.get("conditions") or () if found["type"] == type), {})
