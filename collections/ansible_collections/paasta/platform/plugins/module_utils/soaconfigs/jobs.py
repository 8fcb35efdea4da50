# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""From checked mappings to Tron's jobs: what an action takes from its job, and the table's defaults.

Nothing here raises on a mapping that the table of keys accepts, nor on one of which wrong top-level keys were left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from . import keys
from .frozen import FrozenDict, freeze
from .keys_common import READ_ONLY
from .keys_tron import MASTER_OPTIONS, UNITS
from .model import KeyPath, SecretUse, Source, Version, Volume
from .model_jobs import Action, Job, Node, NodePool, Schedule, TronMaster
from .names import expand_deploy_group


class Versions(Protocol):
    """What is marked for a deploy group of a service."""

    def __call__(self, service: str, deploy_group: str, /) -> Version | None: ...


class Secrets(Protocol):
    """The secrets that an action's mapping refers to; ``service`` owns those that are not shared."""

    def __call__(self, config: Mapping[str, Any], service: str, /) -> tuple[SecretUse, ...]: ...


_DELTA = re.compile(r"([0-9]+)\s*([a-z]+)")
_KINDS = ("cron", "daily", "interval", "constant")  # words that a schedule begins with; all others are groc's
_CLEANUP = "cleanup"  # Tron's name of every cleanup action
_EVENT = {"shortdate": "{shortdate}"}  # PaaSTA: what trigger_downstreams true emits
_MONITORING = frozenset(keys.JOB.by_name["monitoring"].shape.by_name)  # type: ignore[union-attr]


def no_version(service: str, deploy_group: str) -> None:
    """For those who do not ask what is marked."""
    return None


def no_secrets(config: Mapping[str, Any], service: str) -> tuple[SecretUse, ...]:
    """For those who do not ask which secrets are used."""
    return ()


def seconds(delta: str) -> int:
    """``2 hours`` as 7200; ValueError for what the table of keys does not accept."""
    found = _DELTA.fullmatch(delta)
    if found is None or found[2] not in UNITS:
        raise ValueError(f"{delta!r} is not a time such as 5m or 2 hours")
    return int(found[1]) * UNITS[found[2]]


def schedule(value: str | Mapping[str, Any]) -> Schedule:
    """A job's schedule, of any of the forms that Tron takes or took."""
    if isinstance(value, str):
        kind, _space, rest = value.strip().partition(" ")
        return Schedule(kind, rest.strip()) if kind in _KINDS else Schedule("groc daily", value.strip())
    if "type" in value:
        jitter = value.get("jitter")
        return Schedule(value["type"], value.get("value", ""), seconds(jitter) if jitter else 0)
    if "interval" in value:
        return Schedule("interval", value["interval"])
    days = value.get("days", "")
    return Schedule("daily", f"{value.get('start_time', '00:00:00')} {''.join(days)}".strip())


def job(
    service: str,
    name: str,
    cluster: str,
    config: Mapping[str, Any],
    *,
    sources: Mapping[KeyPath, Source],
    monitoring: Mapping[str, Any] = FrozenDict(),
    versions: Versions = no_version,
    secrets: Secrets = no_secrets,
) -> Job:
    """A job from its checked mapping; ``monitoring`` is the checked monitoring.yaml of the service."""
    full = keys.filled(keys.JOB, config)

    def build(action_name: str, action: Mapping[str, Any]) -> Action:
        return _action(service, name, cluster, action_name, action, config, versions, secrets)

    cleanup = config.get("cleanup_action")
    return Job(
        service=service,
        name=name,
        cluster=cluster,
        schedule=schedule(config.get("schedule", "")),
        actions=tuple(build(*item) for item in _named(config.get("actions", {}))),
        cleanup_action=None if cleanup is None else build(_CLEANUP, cleanup),
        node=config.get("node"),
        monitoring=freeze(
            {key: item for key, item in {**monitoring, **full["monitoring"]}.items() if key in _MONITORING}
        ),
        queueing=full["queueing"],
        allow_overlap=full["allow_overlap"],
        run_limit=full["run_limit"],
        all_nodes=full["all_nodes"],
        enabled=full["enabled"],
        max_runtime=_optional(config.get("max_runtime")),
        expected_runtime=seconds(full["expected_runtime"]),
        time_zone=config.get("time_zone"),
        keys=freeze(config),
        sources=sources,
    )


def _named(written: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The actions of either form: a mapping by name, or a list of those that say their names."""
    if isinstance(written, Mapping):
        yield from written.items()
    else:
        for item in written:
            yield item["name"], item


def _action(
    service: str,
    job_name: str,
    cluster: str,
    name: str,
    config: Mapping[str, Any],
    job_config: Mapping[str, Any],
    versions: Versions,
    secrets: Secrets,
) -> Action:
    """PaaSTA: TronJobConfig._get_action_config; service and deploy group are the action's, else the job's."""
    full = keys.filled(keys.ACTION, config)
    owner = config.get("service") or job_config.get("service") or service
    group = config.get("deploy_group") or job_config.get("deploy_group")
    if group is not None:
        group = _expanded(group, cluster, f"{job_name}.{name}", owner)
    downstreams = config.get("trigger_downstreams", False)
    if isinstance(downstreams, bool):
        downstreams = _EVENT if downstreams else {}
    return Action(
        job=job_name,
        name=name,
        service=owner,
        command=config.get("command", ""),
        executor=full["executor"],
        node=config.get("node") or job_config.get("node"),
        deploy_group=group,
        version=None if group is None else versions(owner, group),
        requires=tuple(full["requires"]),
        retries=full["retries"],
        retries_delay=_optional(config.get("retries_delay")) or 0,
        cpus=full["cpus"],
        cpu_burst_add=full["cpu_burst_add"],
        mem=full["mem"],
        disk=full["disk"],
        env=FrozenDict(full["env"]),
        cap_add=tuple(full["cap_add"]),
        extra_volumes=tuple(
            Volume(item["containerPath"], item["hostPath"], item.get("mode", READ_ONLY))
            for item in full["extra_volumes"]
        ),
        pool=full["pool"],
        idempotent=full["idempotent"],
        expected_runtime=seconds(full["expected_runtime"]),
        max_runtime=_optional(config.get("max_runtime")),
        triggered_by=tuple(full["triggered_by"]),
        trigger_downstreams=FrozenDict(downstreams),
        trigger_timeout=seconds(full["trigger_timeout"]),
        on_upstream_rerun=config.get("on_upstream_rerun"),
        service_account_name=config.get("service_account_name"),
        iam_role=full["iam_role"],
        spark_args=freeze(config.get("spark_args", {})),
        secrets=secrets(config, owner),
        keys=freeze(config),
    )


def _expanded(template: str, cluster: str, instance: str, service: str) -> str:
    """The deploy group with its placeholders filled in; one that cannot be is an error of the checks, not of this."""
    try:
        return expand_deploy_group(template, cluster=cluster, instance=instance, service=service)
    except ValueError:
        return template


def _optional(delta: str | None) -> int | None:
    return None if delta is None else seconds(delta)


def master(cluster: str, config: Mapping[str, Any]) -> TronMaster:
    """Tron's configuration from its checked mapping, with the defaults of Tron; null is as absent."""
    full = keys.filled(keys.MASTER, {key: item for key, item in config.items() if item is not None})
    options = {name: freeze(keys.filled(struct, full[name])) for name, struct in MASTER_OPTIONS.items()}
    return TronMaster(
        cluster=cluster,
        nodes=tuple(_nodes(full["nodes"])),
        node_pools=tuple(_pools(full["node_pools"])),
        time_zone=full.get("time_zone"),
        command_context=freeze(full["command_context"]),
        output_stream_dir=full.get("output_stream_dir"),
        eventbus_enabled=full.get("eventbus_enabled"),
        read_json=full["read_json"],
        keys=freeze(config),
        **options,
    )


def _nodes(written: Any) -> Iterator[Node]:
    """Tron takes a host's name alone, a mapping with its name, or all by name."""
    items = [{"name": name, **item} for name, item in written.items()] if isinstance(written, Mapping) else written
    for item in items:
        node: Mapping[str, Any] = {"hostname": item} if isinstance(item, str) else item
        yield Node(node.get("name", node["hostname"]), node["hostname"], node.get("username"), node.get("port", 22))


def _pools(written: Any) -> Iterator[NodePool]:
    items = [{"name": name, **item} for name, item in written.items()] if isinstance(written, Mapping) else written
    for item in items:
        pool = item if isinstance(item, Mapping) else {"nodes": item}
        # Tron: a pool without a name is called by its nodes.
        yield NodePool(pool.get("name", "_".join(pool["nodes"])), tuple(pool["nodes"]))
