# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What Docker Engine says of a container, read as a replica of an instance. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.paasta.platform.plugins.module_utils.engines.docker_secrets import describe, read_label

from .cleartext import forms, redact

#: Restarts after which a container that is not healthy is given up as crash-looping.
CRASH_LOOP_RESTARTS = 3

#: Seconds a container without a health check must have run to count as healthy.
MIN_UPTIME = 3.0

HEALTHY, STARTING, UNHEALTHY, FAILED, STOPPED = "healthy", "starting", "unhealthy", "failed", "stopped"

#: HostConfig keys that ``docker update`` can change behind our back.
MUTABLE = ("Memory", "MemorySwap", "CpuShares", "CpuPeriod", "CpuQuota", "RestartPolicy")


@dataclass(frozen=True, slots=True)
class Replica:
    """One container of an instance on one host.

    :ivar state: ``healthy``, ``starting`` (may become healthy by itself), ``unhealthy`` (its health check gave up),
        ``failed`` (does not run, or crash-loops) or ``stopped`` (was never started).
    :ivar detail: why it is not healthy, in words.
    :ivar inspect: what the Engine's inspect said.
    """

    container: str
    name: str
    host: str
    address: str
    port: int
    cluster: str
    instance_id: str
    git_sha: str
    image_version: str
    config_sha: str
    registrations: tuple[str, ...]
    weight: int
    state: str
    detail: str
    inspect: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def version(self) -> tuple[str, str, str]:
        """What makes two replicas interchangeable: git sha, image version, config sha."""
        return (self.git_sha, self.image_version, self.config_sha)


def read(inspect: Mapping[str, Any], host: str, address: str, now: datetime) -> Replica:
    """A container of ours, from the Engine's inspect.

    :param now: the host's clock.
    """
    labels = inspect["Config"]["Labels"]
    state, detail = classify(inspect, now)
    # A health check or an Engine may say what it was given.
    detail = redact(detail, forms(value.encode(errors="replace") for value in secret_environment(inspect).values()))
    return Replica(
        container=inspect["Id"],
        name=inspect["Name"].lstrip("/"),
        host=host,
        address=address,
        port=_port(inspect),
        cluster=labels["paasta_cluster"],
        instance_id=f"{labels['paasta_service']}.{labels['paasta_instance']}",
        git_sha=labels.get("paasta_git_sha", ""),
        image_version=labels.get("paasta_image_version", ""),
        config_sha=labels.get("paasta_config_sha", ""),
        registrations=tuple(filter(None, labels.get("paasta_registrations", "").split(","))),
        weight=int(labels.get("paasta_weight") or 10),
        state=state,
        detail=detail,
        inspect=inspect,
    )


def classify(inspect: Mapping[str, Any], now: datetime) -> tuple[str, str]:
    """The state of a container and why it is not healthy."""
    state, restarts = inspect["State"], inspect.get("RestartCount", 0)
    status = state["Status"]
    if status == "created":
        return STOPPED, state.get("Error") or "was created and never started"
    if status in ("exited", "dead", "removing"):
        return FAILED, state.get("Error") or f"exited with status {state.get('ExitCode')}"
    if status == "paused":
        return UNHEALTHY, "is paused"
    health = state.get("Health") or {}
    if health.get("Status") == "healthy":
        return HEALTHY, ""
    if restarts >= CRASH_LOOP_RESTARTS and (status == "restarting" or uptime(state, now) < MIN_UPTIME or health):
        return FAILED, f"restarted {restarts} times{_exit_status(state)}"
    if status == "restarting":
        return STARTING, f"restarting{_exit_status(state)}"
    if health.get("Status") == "unhealthy":
        return UNHEALTHY, f"health check fails: {_last_probe(health)}"
    if health.get("Status") == "starting":
        return STARTING, f"health check has not passed yet{_after_failures(health)}"
    if uptime(state, now) < MIN_UPTIME:
        return STARTING, f"has not run for {MIN_UPTIME:.0f} s yet"
    return HEALTHY, ""


def secret_environment(inspect: Mapping[str, Any]) -> dict[str, str]:
    """The cleartext that the Engine keeps of a container: by variable, what came from secrets."""
    secrets = read_label(inspect["Config"]["Labels"])
    variables = (variable.partition("=")[::2] for variable in inspect["Config"]["Env"] or [])
    return {name: value for name, value in variables if f"env.{name}" in secrets}


def _exit_status(state: Mapping[str, Any]) -> str:
    """Of the last run; while the container runs again, the Engine says 0."""
    return f", last exit status {state['ExitCode']}" if state.get("ExitCode") else ""


def uptime(state: Mapping[str, Any], now: datetime) -> float:
    """Seconds since a running container was started, by the host's own clock."""
    return (now - parse_time(state["StartedAt"])).total_seconds()


def parse_time(text: str) -> datetime:
    """Docker's RFC 3339 time; its nanoseconds are cut to microseconds."""
    return datetime.fromisoformat(text)


def drifted(wanted: Mapping[str, Any], inspect: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Limits that somebody changed by hand on a running container: name → (running, plan)."""
    running = inspect["HostConfig"]
    plan = wanted["HostConfig"]
    return {key: (running.get(key), plan[key]) for key in MUTABLE if running.get(key) != plan[key]}


def config_changes(wanted: Mapping[str, Any], inspect: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What of a container's configuration differs from the plan: name → (running, plan); the reason of a bounce."""
    config, changes = inspect["Config"], {}
    hidden = secret_environment(inspect)
    environment = [variable for variable in config["Env"] or [] if variable.partition("=")[0] not in hidden]
    for name, (before, after) in _environment_changes(environment, wanted["Env"]).items():
        changes[f"env.{name}"] = (before, after)
    for key, name in (("Entrypoint", "cmd"), ("Cmd", "args")):
        # What the plan leaves to the image is the image's to say.
        if wanted[key] is not None and config.get(key) != wanted[key]:
            changes[name] = (config.get(key), wanted[key])
    if config.get("Healthcheck") != wanted["Healthcheck"]:
        changes["healthcheck"] = (config.get("Healthcheck"), wanted["Healthcheck"])
    for key, after in wanted["HostConfig"].items():
        before = _plain(inspect["HostConfig"].get(key))
        if (before or None) != (after or None):
            changes[key] = (before, after)
    for key, after in wanted["Labels"].items():
        if key in ("paasta_registrations", "paasta_weight") and config["Labels"].get(key) != after:
            changes[key.removeprefix("paasta_")] = (config["Labels"].get(key), after)
    return changes


def secret_changes(
    secrets: Mapping[str, Any], service: str, inspect: Mapping[str, Any]
) -> dict[str, tuple[str | None, str | None]]:
    """What of a container's secrets differs from the plan's ``secrets``: names and digests, never values."""
    before, after = read_label(inspect["Config"]["Labels"]), describe(secrets, service)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return {name: (before.get(name), after.get(name)) for name in changed}


def _plain(value: Any) -> Any:
    """Newer Engines write capabilities as ``CAP_NET_RAW``, older ones as they were given."""
    return [str(item).removeprefix("CAP_") for item in value] if isinstance(value, list) else value


def _environment_changes(running: list[str], plan: list[str]) -> dict[str, tuple[str | None, str | None]]:
    """Variables of the plan that differ; those that only the image or the reconciler sets are not the plan's."""
    before = dict(variable.partition("=")[::2] for variable in running)
    after = dict(variable.partition("=")[::2] for variable in plan)
    versioned = ("PAASTA_GIT_SHA", "PAASTA_DOCKER_IMAGE", "PAASTA_IMAGE_VERSION")
    return {
        name: (before.get(name), value)
        for name, value in after.items()
        if before.get(name) != value and name not in versioned
    }


def _port(inspect: Mapping[str, Any]) -> int:
    for bindings in (inspect["HostConfig"].get("PortBindings") or {}).values():
        for binding in bindings or []:
            return int(binding["HostPort"] or 0)
    return 0


def _last_probe(health: Mapping[str, Any]) -> str:
    log = health.get("Log") or []
    output = (log[-1].get("Output") or "").strip() if log else ""
    return output.splitlines()[-1] if output else "no output"


def _after_failures(health: Mapping[str, Any]) -> str:
    failures = health.get("FailingStreak", 0)
    return f" ({failures} failures: {_last_probe(health)})" if failures else ""
