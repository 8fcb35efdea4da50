# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What a kubelet would say of a pod: its status as a function of time and of how the pod is told to behave. Pure."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

NEVER = float("inf")


@dataclass(frozen=True)
class Behaviour:
    """How pods do. Times are in seconds since the pod was given to its node.

    ready_after: when its containers are ready; NEVER for a readiness probe that fails, which says `unready`.
    pull_error: the image cannot be pulled, and why. config_error: the container cannot be made (a missing secret).
    crash_after: how long the first container runs before it ends with `exit_code`; NEVER for one that goes on.
    logs: what its first container has written, each time it ran. stops_after: how long it takes to end.
    """

    ready_after: float = 0.0
    unready: str = "HTTP probe failed with statuscode: 503"
    pull_error: str = ""
    config_error: str = ""
    crash_after: float = NEVER
    exit_code: int = 1
    logs: str = "started\n"
    stops_after: float = 0.0


@dataclass(frozen=True)
class Event:
    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class State:
    """The pod's status, the events that belong to it, and when to ask again, in seconds since its start."""

    status: Object
    events: tuple[Event, ...]
    until: float
    restarts: int = 0


def state(pod: Object, behaviour: Behaviour, began: datetime.datetime, elapsed: float, address: str) -> State:
    """The state of a pod after so many seconds. The same input gives the same output: times are those of changes."""
    image = pod["spec"]["containers"][0]["image"]
    if behaviour.config_error:
        waiting = {"reason": "CreateContainerConfigError", "message": behaviour.config_error}
        return _waiting(pod, began, address, waiting, (Event("Warning", "Failed", f"Error: {behaviour.config_error}"),))
    if behaviour.pull_error:
        return _pulling(pod, behaviour, began, elapsed, address, image)
    if behaviour.crash_after < NEVER:
        return _crashing(pod, behaviour, began, elapsed, address)
    if behaviour.ready_after == NEVER:
        event = Event("Warning", "Unhealthy", f"Readiness probe failed: {behaviour.unready}")
        return State(_running(pod, began, began, address, ready=False), (event,), NEVER)
    if elapsed < behaviour.ready_after:
        return State(_running(pod, began, began, address, ready=False), (), behaviour.ready_after)
    since = began + datetime.timedelta(seconds=behaviour.ready_after)
    return State(_running(pod, began, since, address, ready=True), (), NEVER)


# The kubelet's first back-off is 10 s, and tests have no time; it doubles, as there.
BACK_OFF, LONGEST_BACK_OFF = 1.0, 16.0


def _pulling(
    pod: Object, behaviour: Behaviour, began: datetime.datetime, elapsed: float, address: str, image: str
) -> State:
    error = f"failed to pull and unpack image {image!r}: {behaviour.pull_error}".replace("'", '"')
    failed = Event("Warning", "Failed", f'Failed to pull image "{image}": {error}')
    if elapsed < BACK_OFF:
        return _waiting(pod, began, address, {"reason": "ErrImagePull", "message": error}, (failed,), BACK_OFF)
    message = f'Back-off pulling image "{image}": ErrImagePull: {error}'
    back_off = Event("Normal", "BackOff", f'Back-off pulling image "{image}"')
    return _waiting(pod, began, address, {"reason": "ImagePullBackOff", "message": message}, (failed, back_off))


def _crashing(pod: Object, behaviour: Behaviour, began: datetime.datetime, elapsed: float, address: str) -> State:
    name = pod["spec"]["containers"][0]["name"]
    start, before, restarts, back_off = 0.0, 0.0, 0, BACK_OFF
    while elapsed >= start + behaviour.crash_after + back_off:
        before, start = start, start + behaviour.crash_after + back_off
        restarts, back_off = restarts + 1, min(back_off * 2, LONGEST_BACK_OFF)
    end = start + behaviour.crash_after

    def terminated(run: float) -> Object:
        started = began + datetime.timedelta(seconds=run)
        return {
            "exitCode": behaviour.exit_code,
            "reason": "OOMKilled" if behaviour.exit_code == 137 else "Error",
            "startedAt": _time(started),
            "finishedAt": _time(started + datetime.timedelta(seconds=behaviour.crash_after)),
        }

    if elapsed < end:
        status = _running(pod, began, began, address, ready=False)
        container = status["containerStatuses"][0]
        if restarts:
            container["lastState"] = {"terminated": terminated(before)}
        container["state"] = {"running": {"startedAt": _time(began + datetime.timedelta(seconds=start))}}
        container["restartCount"] = restarts
        return State(status, (), end, restarts)
    status = _running(pod, began, began, address, ready=False)
    metadata = pod["metadata"]
    message = (
        f"back-off {back_off * 10:.0f}s restarting failed container={name} "
        f"pod={metadata['name']}_{metadata['namespace']}({metadata.get('uid', '')})"
    )
    status["containerStatuses"][0] |= {
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}},
        "lastState": {"terminated": terminated(start)},
        "restartCount": restarts,
        "started": False,
    }
    event = Event("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {metadata['name']}")
    return State(status, (event,), end + back_off, restarts)


def _waiting(
    pod: Object,
    began: datetime.datetime,
    address: str,
    waiting: Object,
    events: tuple[Event, ...],
    until: float = NEVER,
) -> State:
    """The first container waits; others, sidecars, run."""
    status = _running(pod, began, began, address, ready=False)
    status["phase"] = "Pending"
    status["containerStatuses"][0] |= {"state": {"waiting": waiting}, "started": False}
    status["containerStatuses"][0].pop("containerID")
    return State(status, events, until)


def _running(pod: Object, began: datetime.datetime, since: datetime.datetime, address: str, *, ready: bool) -> Object:
    """A running pod's status. If it is not ready, that is because of its first container."""
    spec = pod["spec"]
    containers = [_container(container, began) for container in spec["containers"]]
    containers[0]["ready"] = ready
    reason = {} if ready else {"reason": "ContainersNotReady", "message": _unready(containers)}
    conditions = [
        _condition("PodReadyToStartContainers", True, began),
        _condition("Initialized", True, began),
        _condition("ContainersReady", ready, since) | reason,
        _condition("Ready", ready, since) | reason,
    ]
    status: Object = {
        "phase": "Running",
        "hostIP": "127.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": _time(began),
        "conditions": conditions,
        "containerStatuses": containers,
    }
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [_initial(container, began) for container in spec["initContainers"]]
    return status


def _container(container: Object, began: datetime.datetime) -> Object:
    image = container["image"]
    return {
        "name": container["name"],
        "image": image,
        "imageID": f"test://{image}",
        "containerID": f"test://{container['name']}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": _time(began)}},
        "lastState": {},
    }


def _initial(container: Object, began: datetime.datetime) -> Object:
    status = _container(container, began)
    if container.get("restartPolicy") != "Always":  # else a sidecar, which goes on
        done = {"exitCode": 0, "reason": "Completed", "startedAt": _time(began), "finishedAt": _time(began)}
        status |= {"state": {"terminated": done}, "started": False}
    return status


def _condition(type_: str, true: bool, since: datetime.datetime) -> Object:
    status = "True" if true else "False"
    return {"type": type_, "status": status, "lastTransitionTime": _time(since), "reason": None, "message": None}


def _unready(containers: list[Object]) -> str:
    names = " ".join(container["name"] for container in containers if not container["ready"])
    return f"containers with unready status: [{names}]"


def _time(when: datetime.datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
