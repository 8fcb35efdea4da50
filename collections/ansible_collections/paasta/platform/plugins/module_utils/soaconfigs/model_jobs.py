# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Tron's jobs and its master's configuration, typed and immutable. Times are in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .model import KeyPath, SecretUse, Source, Version, Volume


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job runs: ``value`` is what ``kind`` (cron, daily, groc daily, interval or constant) takes."""

    kind: str
    value: str
    jitter: int = 0


@dataclass(frozen=True, slots=True)
class Action:
    """One command of a job, with every default filled in.

    ``service`` owns the image and the secrets. ``deploy_group`` None: nothing says what it runs, as with executor ssh.
    ``trigger_downstreams`` maps the name of an event to its value, a template. Secrets in ``env`` are references.
    """

    job: str
    name: str
    service: str
    command: str
    executor: str  # ssh, paasta or spark
    node: str | None
    deploy_group: str | None
    version: Version | None
    requires: tuple[str, ...]
    retries: int
    retries_delay: int
    cpus: float
    cpu_burst_add: float
    mem: float
    disk: float
    env: Mapping[str, str]
    cap_add: tuple[str, ...]
    extra_volumes: tuple[Volume, ...]
    pool: str
    idempotent: bool
    expected_runtime: int
    max_runtime: int | None
    triggered_by: tuple[str, ...]
    trigger_downstreams: Mapping[str, str]
    trigger_timeout: int
    on_upstream_rerun: str | None
    service_account_name: str | None
    iam_role: str
    spark_args: Mapping[str, Any]
    secrets: tuple[SecretUse, ...]
    keys: Mapping[str, Any]

    @property
    def instance(self) -> str:
        """``job.action``, what PaaSTA calls the instance."""
        return f"{self.job}.{self.name}"


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduled job. ``monitoring`` is monitoring.yaml with the job's own on top, as far as Tron knows the keys.

    ``keys`` is what the file sets; ``sources`` maps each leaf of it to where it was written.
    """

    service: str
    name: str
    cluster: str
    schedule: Schedule
    actions: tuple[Action, ...]
    cleanup_action: Action | None
    node: str | None
    monitoring: Mapping[str, Any]
    queueing: bool
    allow_overlap: bool
    run_limit: int
    all_nodes: bool
    enabled: bool
    max_runtime: int | None
    expected_runtime: int
    time_zone: str | None
    keys: Mapping[str, Any]
    sources: Mapping[KeyPath, Source] = field(compare=False, repr=False)

    @property
    def id(self) -> str:
        """``service.job``, Tron's name of it."""
        return f"{self.service}.{self.name}"

    @property
    def team(self) -> str | None:
        return self.monitoring.get("team")


@dataclass(frozen=True, slots=True)
class Node:
    """A host for executor ssh; ``username`` None is Tron's own user."""

    name: str
    hostname: str
    username: str | None
    port: int


@dataclass(frozen=True, slots=True)
class NodePool:
    """Hosts of which a run gets one, or all."""

    name: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TronMaster:
    """``tron/<cluster>/MASTER.yaml``. Options have the table's defaults filled in; ``keys`` is the file as it is."""

    cluster: str
    nodes: tuple[Node, ...]
    node_pools: tuple[NodePool, ...]
    time_zone: str | None
    command_context: Mapping[str, Any]
    output_stream_dir: str | None
    eventbus_enabled: bool | None
    read_json: bool
    state_persistence: Mapping[str, Any]
    ssh_options: Mapping[str, Any]
    action_runner: Mapping[str, Any]
    mesos_options: Mapping[str, Any]
    k8s_options: Mapping[str, Any]
    keys: Mapping[str, Any]
