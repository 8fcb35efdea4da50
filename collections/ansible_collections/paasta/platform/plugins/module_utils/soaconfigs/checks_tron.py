# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a Tron job and its actions (reference 1.15, 3.3). The subject is the job."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from . import checks_instance, checks_secrets, checks_volumes, schedules
from .errors import did_you_mean, nearest
from .keys_tron import JOB_NAME
from .model import KeyPath
from .names import PLACEHOLDERS_HINT, expand_deploy_group
from .secrets import references
from .shapes import show
from .subjects import Subject

_JOB_NAME = re.compile(JOB_NAME)
_MASTER = "MASTER"  # Tron's own namespace

_Action = tuple[KeyPath, str, Mapping[str, Any]]


def actions(job: Mapping[str, Any]) -> Iterator[_Action]:
    """Every action with where it is written and its name, from either form: a mapping, or the older list.

    Jobs of other services come as they are written, so what has no form of an action is passed over.
    """
    written = job.get("actions")
    if isinstance(written, Mapping):
        for name, action in written.items():
            if isinstance(action, Mapping):
                yield ("actions", name), name, action
    elif isinstance(written, (list, tuple)):
        for index, action in enumerate(written):
            if isinstance(action, Mapping):
                yield ("actions", index), str(action.get("name", "")), action


def names(subject: Subject) -> None:
    if not _JOB_NAME.fullmatch(subject.instance):
        hint = "use letters, digits, _ and -, at most 255, beginning with a letter"
        subject.error("job-name", (), f"{show(subject.instance)} is not a valid job name", hint)
    seen: set[str] = set()
    for path, name, _action in actions(subject.config):
        if name in seen:
            message = f"action {name} is already defined"
            subject.error("duplicate-action", path, message, "an action name is used once per job")
        seen.add(name)


def schedule(subject: Subject) -> None:
    value = subject.config.get("schedule")
    if value is None:
        return
    problem = schedules.problem(value)
    if problem:
        subject.error("tron-schedule", ("schedule",), f"{show(value)} {problem}", schedules.FORMS)


def time_zone(subject: Subject) -> None:
    name = subject.config.get("time_zone")
    if name is not None and not _is_zone(name):
        message = f"{show(name)} is not in the time zone database"
        match = nearest(name, zoneinfo.available_timezones())
        subject.error(
            "tron-time-zone", ("time_zone",), message, f"did you mean {match}?" if match else "as in Europe/Berlin"
        )


@cache
def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return not _has_database()
    return True


@cache
def _has_database() -> bool:
    """A minimal machine has no database, and nothing can be said of any time zone there."""
    try:
        zoneinfo.ZoneInfo("UTC")
    except zoneinfo.ZoneInfoNotFoundError:
        return False
    return True


def requirements(subject: Subject) -> None:
    required: dict[str, list[str]] = {}
    found = list(actions(subject.config))
    if not any(action.get("requires") for _path, _name, action in found):
        return
    known = {name for _path, name, _action in found}
    for path, name, action in found:
        wanted = action.get("requires") or ()
        required[name] = [other for other in wanted if other in known]
        for index, other in enumerate(wanted):
            if other not in known:
                message = f"{show(other)} is not an action of job {subject.instance}"
                hint = did_you_mean(other, known - {name})
                subject.error("tron-requires", (*path, "requires", index), message, hint)
    circle = _circle(required)
    if circle:
        path = next(path for path, name, _action in found if name == circle[0])
        message = f"actions require each other in a circle: {' -> '.join(circle)}"
        subject.error("tron-cycle", (*path, "requires"), message, "none of them could ever start")


def _circle(required: Mapping[str, list[str]]) -> list[str]:
    """One circle as names, the first again at its end; empty without one. Needs no recursion."""
    done: set[str] = set()
    for start in required:
        way: list[str] = []
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            name, entering = stack.pop()
            if not entering:
                done.add(way.pop())
            elif name in way:
                return [*way[way.index(name) :], name]
            elif name not in done:
                way.append(name)
                stack.append((name, False))
                stack.extend((other, True) for other in required[name])
    return []


def containers(subject: Subject) -> None:
    """Of each action that runs in a container: whose image and which version it runs, and what it is given."""
    job = subject.config
    found = list(actions(job))
    cleanup = job.get("cleanup_action")
    if isinstance(cleanup, Mapping):
        found.append((("cleanup_action",), "cleanup", cleanup))
    for path, name, action in found:
        executor = action.get("executor", "paasta")
        if executor == "ssh":
            continue
        if executor == "spark":
            for key in ("cpus", "mem"):
                if key in action:
                    message = f"{key} has no meaning for a Spark action"
                    subject.error("spark-resources", (*path, key), message, "set it in spark_args")
        service = _service(subject, path, action)
        if service:
            _deploy_group(subject, path, name, action, service)
            checks_secrets.check(subject, path, action, references(action, service))
        checks_volumes.check(subject, path, action)
        checks_instance.check_pool_limit(subject, path, action)


def _service(subject: Subject, path: KeyPath, action: Mapping[str, Any]) -> str:
    """The service whose image and secrets an action uses; empty when there is none of that name."""
    job = subject.config
    service: str = action.get("service") or job.get("service") or subject.service
    if service == subject.service or service in subject.tree.services:
        return service
    where: KeyPath = (*path, "service") if action.get("service") else ("service",)
    message = f"{show(service)} is not a service of this tree"
    subject.error("tron-service", where, message, did_you_mean(service, subject.tree.services))
    return ""


def _deploy_group(subject: Subject, path: KeyPath, name: str, action: Mapping[str, Any], service: str) -> None:
    template = action.get("deploy_group") or subject.config.get("deploy_group")
    where: KeyPath = (*path, "deploy_group") if action.get("deploy_group") else ("deploy_group",)
    pipeline = subject.tree.pipeline(service)
    if not template:
        if not subject.written(("deploy_group",)) and not subject.written((*path, "deploy_group")):
            message = f"{subject.instance}.{name} has no deploy_group, and no default one"
            hint = did_you_mean("", pipeline or ())
            subject.error("tron-deploy-group", path, message, hint or "set it here or for the whole job")
        return
    try:
        instance = f"{subject.instance}.{name}"
        group = expand_deploy_group(template, cluster=subject.cluster, instance=instance, service=service)
    except ValueError as error:
        subject.error("deploy-group-placeholder", where, str(error), PLACEHOLDERS_HINT)
        return
    if pipeline is not None and group not in pipeline:
        message = f"{show(group)} is not in the pipeline of {service}/deploy.yaml"
        subject.error("unknown-deploy-group", where, message, did_you_mean(group, pipeline))


def triggers(subject: Subject) -> None:
    """``<service>.<job>.<action>.<trigger>``; Tron waits for any name, for ever or until trigger_timeout."""
    for path, _name, action in actions(subject.config):
        for index, trigger in enumerate(action.get("triggered_by") or ()):
            _trigger(subject, (*path, "triggered_by", index), str(trigger))


def _trigger(subject: Subject, path: KeyPath, trigger: str) -> None:
    rule = "unknown-trigger"
    service, _dot, rest = trigger.partition(".")
    job, _dot, rest = rest.partition(".")
    action, _dot, event = rest.partition(".")
    if not event:
        message = f"{show(trigger)} is not of the form service.job.action.trigger"
        subject.warn(rule, path, message, "as in web.nightly.extract.shortdate.{shortdate}")
        return
    if service == _MASTER:
        return
    if service not in subject.tree.services:
        message = f"{show(service)} is not a service of this tree"
        subject.warn(rule, path, message, did_you_mean(service, subject.tree.services))
        return
    jobs = subject.tree.jobs(service, subject.cluster)
    if job not in jobs:
        message = f"{show(job)} is not a job of {service} in cluster {subject.cluster}"
        subject.warn(rule, path, message, did_you_mean(job, jobs))
        return
    known = [name for _path, name, _action in actions(jobs[job])]
    if action not in known:
        message = f"{show(action)} is not an action of {service}.{job}"
        subject.warn(rule, path, message, did_you_mean(action, known))


def monitoring_team(subject: Subject) -> None:
    monitoring = subject.config.get("monitoring")
    teams = subject.settings.monitoring_teams
    if teams and isinstance(monitoring, Mapping):
        team = monitoring.get("team")
        if team is not None and team not in teams:
            message = f"{show(team)} is not a team of the inventory"
            subject.warn("unknown-team", ("monitoring", "team"), message, did_you_mean(str(team), teams))


CHECKS = (names, schedule, time_zone, requirements, containers, triggers, monitoring_team)
