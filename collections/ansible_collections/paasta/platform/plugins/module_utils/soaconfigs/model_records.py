# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Custom resources, conditions of a rollback, dependencies and access, typed and immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .model import KeyPath, Source, Version


@dataclass(frozen=True, slots=True)
class CustomResource:
    """An instance that an operator runs: ``spec`` is its merged mapping, verbatim, read-only."""

    service: str
    name: str
    cluster: str
    instance_type: str
    deploy_group: str
    version: Version | None
    desired_state: str  # start or stop
    pool: str
    registrations: tuple[str, ...]
    team: str | None
    spec: Mapping[str, Any]
    sources: Mapping[KeyPath, Source] = field(compare=False, repr=False)

    @property
    def id(self) -> str:
        return f"{self.service}.{self.name}"


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold after a deploy: the query's answer lies within the bounds. None is no bound."""

    source: str  # prometheus, signalfx or splunk
    query: str
    query_type: str | None
    dry_run: bool
    lower_bound: float | None
    upper_bound: float | None


@dataclass(frozen=True, slots=True)
class Rollback:
    """When a deploy is rolled back. Times in seconds; None: as the platform says."""

    conditions: tuple[Condition, ...]
    enable_slo_rollback: bool
    allowed_failing_queries: int
    window_s: int | None
    interval_s: int | None


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that a service calls. ``ports`` are the first and the last; None is all of them."""

    kind: str  # well-known, smartstack or cidr
    target: str
    ports: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Authorization:
    """Who may call a service: each rule's services. No rule is no restriction."""

    rules: tuple[tuple[str, ...], ...]

    @property
    def services(self) -> tuple[str, ...]:
        """All services that some rule names, sorted."""
        return tuple(sorted({service for rule in self.rules for service in rule}))
