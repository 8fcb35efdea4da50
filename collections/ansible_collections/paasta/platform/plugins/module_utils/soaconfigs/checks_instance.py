# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of one instance: its names, what it refers to, and settings that contradict each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import did_you_mean
from .model import KeyPath
from .names import INSTANCE_NAME, NAME_LIMIT, PLACEHOLDERS_HINT, expand_deploy_group, sanitise, split_registration
from .shapes import show
from .subjects import Subject

_DEFAULT_POOL = "default"
_ESCAPES = 19  # a dash between the names, and what becomes of a _ at the beginning of each (names.sanitise)


def instance_name(subject: Subject) -> None:
    name = subject.instance
    if not INSTANCE_NAME.fullmatch(name):
        message = f"{show(name)} is not a valid instance name"
        subject.error("instance-name", (), message, "use a-z, 0-9 and inner - and _")
    elif 2 * (len(subject.service) + len(name)) + _ESCAPES <= NAME_LIMIT:
        return  # however much longer Kubernetes' way of writing them is
    elif len(full := f"{sanitise(subject.service)}-{sanitise(name)}") > NAME_LIMIT:
        message = f"{full} has {len(full)} characters, the limit for service and instance is {NAME_LIMIT}"
        subject.error("instance-name-length", (), message, "shorten the instance name")


def deploy_group(subject: Subject) -> None:
    group = subject.deploy_group
    config = subject.config
    key = "deploy_group" if config.get("deploy_group") else "branch" if config.get("branch") else ""
    path: KeyPath = (key,) if key else ()
    if group is None:
        try:
            values = {"cluster": subject.cluster, "instance": subject.instance, "service": subject.service}
            expand_deploy_group(config[key], **values)
        except (KeyError, ValueError) as error:
            subject.error("deploy-group-placeholder", path, str(error), PLACEHOLDERS_HINT)
        return
    pipeline = subject.tree.pipeline(subject.service)
    if pipeline is None or group in pipeline or (not key and subject.written(("deploy_group",))):
        return
    message = f"{show(group)} is not in the pipeline of {subject.service}/deploy.yaml"
    if not key:
        message = f"deploy_group is not set, and its default {message}"
    subject.error("unknown-deploy-group", path, message, did_you_mean(group, pipeline))


def written_deploy_group(subject: Subject) -> None:
    if subject.config.get("deploy_group"):
        deploy_group(subject)


def registrations(subject: Subject) -> None:
    written = subject.config.get("registrations")
    if written is None:
        legacy = subject.config.get("nerve_ns")
        if legacy:
            _registration(subject, ("nerve_ns",), f"{subject.service}.{legacy}")
        return
    for index, registration in enumerate(written):
        path: KeyPath = ("registrations", index)
        if index and registration in written[:index]:
            message = f"{show(registration)} is already named before"
            subject.warn("duplicate-registration", path, message, "once is enough")
        else:
            _registration(subject, path, registration)


def _registration(subject: Subject, path: KeyPath, registration: str) -> None:
    namespaces = subject.tree.namespaces
    if registration in namespaces:
        return
    if split_registration(registration) is None:
        subject.error("registration-form", path, f"{show(registration)} is not of the form service.namespace")
    else:
        message = f"{show(registration)} is in no smartstack.yaml"
        subject.error("unknown-registration", path, message, did_you_mean(registration, namespaces))


def command(subject: Subject) -> None:
    config = subject.config
    if config.get("cmd") is not None and config.get("args"):
        path = ("args",) if subject.own.get("args") else ("cmd",)
        subject.error("cmd-and-args", path, "cmd and args cannot both be set", "put the arguments into cmd, or drop it")


def healthcheck(subject: Subject) -> None:
    config = subject.config
    if (
        config.get("healthcheck_mode") == "cmd"
        and not config.get("healthcheck_cmd")
        and not subject.written(("healthcheck_cmd",))
    ):
        message = "mode cmd needs healthcheck_cmd"
        subject.error("healthcheck-cmd", ("healthcheck_mode",), message, "add healthcheck_cmd")


def replicas(subject: Subject) -> None:
    config = subject.config
    low = config.get("min_instances")
    high = config.get("max_instances")
    if high is None:
        if "min_instances" in subject.own and not subject.written(("max_instances",)):
            message = "min_instances has no effect without max_instances, which enables autoscaling"
            subject.warn("min-without-max", ("min_instances",), message, "add max_instances, or use instances")
        return
    if low is None:
        # PaaSTA: get_min_instances is 1 unless it is set.
        if high < 1 and not subject.written(("min_instances",)):
            message = f"min_instances is 1 by default, which is more than max_instances {high}"
            subject.error("min-above-max", ("max_instances",), message, "set min_instances, or use instances: 0")
    elif low > high:
        message = f"min_instances {low} is more than max_instances {high}"
        subject.error("min-above-max", ("min_instances",), message)


def autotune_limits(subject: Subject) -> None:
    limits = subject.config.get("autotune_limits")
    if not limits:
        return
    for resource, bounds in limits.items():
        low, high = bounds.get("min"), bounds.get("max")
        if low is not None and high is not None and low > high:
            message = f"min {low} is more than max {high}"
            subject.error("autotune-limits", ("autotune_limits", resource, "min"), message)


def pool_limit(subject: Subject) -> None:
    check_pool_limit(subject, (), subject.config)


def check_pool_limit(subject: Subject, prefix: KeyPath, config: Mapping[str, Any]) -> None:
    """Check cpus in a mapping that is at ``prefix`` of the subject."""
    limits = subject.settings.pool_limits
    if not limits:
        return
    pool = config.get("pool", _DEFAULT_POOL)
    limit = (limits.get(subject.cluster) or {}).get(pool)
    if not isinstance(limit, Mapping) or limit.get("max_cpus") is None:
        return
    cpus = config.get("cpus")
    # The default is below any sensible limit; PaaSTA compares without the burst, and a limit itself is too much.
    if cpus is not None and cpus >= limit["max_cpus"]:
        message = f"cpus {cpus} is not below {limit['max_cpus']}, the limit of pool {pool}"
        recommended = limit.get("recommended_pool")
        subject.error("pool-limit", (*prefix, "cpus"), message, f"use pool {recommended}" if recommended else "")


def pool(subject: Subject) -> None:
    allowed = subject.settings.allowed_pools.get(subject.cluster)
    if not allowed:
        return
    name = subject.config.get("pool", _DEFAULT_POOL)
    if name not in allowed:
        path: KeyPath = ("pool",) if "pool" in subject.config else ()
        message = f"pool {show(name)} is not one of cluster {subject.cluster}"
        subject.error("unknown-pool", path, message, did_you_mean(name, allowed))


def storage_classes(subject: Subject) -> None:
    volumes = subject.config.get("persistent_volumes")
    classes = subject.settings.supported_storage_classes
    if not volumes or not classes:
        return
    for index, volume in enumerate(volumes):
        name = volume.get("storage_class_name")
        if name is not None and name not in classes:
            message = f"{show(name)} is not a storage class of the inventory; ebs is used instead"
            path = ("persistent_volumes", index, "storage_class_name")
            subject.warn("unknown-storage-class", path, message, did_you_mean(name, classes))


def fs_group(subject: Subject) -> None:
    config = subject.config
    if "fs_group_change_policy" in config and not (
        config.get("fs_group") is not None or config.get("iam_role") or subject.written(("fs_group",))
    ):
        message = "fs_group_change_policy needs fs_group"
        subject.error("fs-group-policy", ("fs_group_change_policy",), message, "add fs_group, or drop it")


def identity(subject: Subject) -> None:
    config = subject.config
    if config.get("service_account_name") and config.get("iam_role"):
        message = "iam_role and service_account_name cannot both be set"
        path = ("service_account_name",)
        subject.error("iam-role-and-service-account", path, message, "an IAM role makes its own service account")


def dependencies(subject: Subject) -> None:
    reference = subject.config.get("dependencies_reference")
    if reference is None:
        return
    path, rule = ("dependencies_reference",), "unknown-dependencies-reference"
    entries = subject.documents.dependencies
    if entries is None:
        if "dependencies.yaml" not in subject.documents.files:
            message = f"{show(reference)} cannot be found: there is no {subject.service}/dependencies.yaml"
            subject.error(rule, path, message, "write one, or drop the key")
    elif reference not in entries:
        message = f"{show(reference)} is not in {subject.service}/dependencies.yaml"
        subject.error(rule, path, message, did_you_mean(reference, entries))


def monitoring_team(subject: Subject) -> None:
    """The override of an instance; that of monitoring.yaml is checked with its service."""
    if subject.settings.monitoring_teams:
        _team(subject, (), subject.own)


def job_teams(subject: Subject) -> None:
    jobs = subject.own.get("jobs")
    if isinstance(jobs, Mapping):
        for name, job in jobs.items():
            if isinstance(job, Mapping):
                _team(subject, ("jobs", name), job)


def _team(subject: Subject, path: KeyPath, config: Mapping[str, Any]) -> None:
    teams = subject.settings.monitoring_teams
    monitoring = config.get("monitoring")
    team = monitoring.get("team") if isinstance(monitoring, Mapping) else None
    if teams and isinstance(team, str) and team not in teams:
        message = f"{show(team)} is not a team of the inventory"
        subject.warn("unknown-team", (*path, "monitoring", "team"), message, did_you_mean(team, teams))


# Of custom resources a deploy group is only looked at where one is written, and Flink's jobs have teams of their own.
OPAQUE = (instance_name, written_deploy_group, monitoring_team, job_teams)
CHECKS = (
    instance_name,
    deploy_group,
    registrations,
    command,
    healthcheck,
    replicas,
    autotune_limits,
    pool,
    pool_limit,
    storage_classes,
    fs_group,
    identity,
    dependencies,
    monitoring_team,
)
