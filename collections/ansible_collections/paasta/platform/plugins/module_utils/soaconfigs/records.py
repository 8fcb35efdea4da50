# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""From checked mappings to custom resources, rollbacks, dependencies and access.

Nothing here raises on a mapping that the table of keys accepts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import keys
from .deployments import Control
from .frozen import FrozenDict, freeze
from .model import KeyPath, Source, Version
from .model_records import Authorization, Condition, CustomResource, Dependency, Rollback

_SOURCES = ("prometheus", "signalfx", "splunk")
_KINDS = ("well-known", "smartstack", "cidr")


def custom_resource(
    service: str,
    name: str,
    cluster: str,
    custom: keys.CustomType,
    config: Mapping[str, Any],
    *,
    deploy_group: str,
    version: Version | None,
    control: Control,
    team: str | None,
    sources: Mapping[KeyPath, Source],
) -> CustomResource:
    """A custom resource from its merged, checked mapping; the deploy group has its placeholders filled in."""
    registration = custom.registration.replace("{service}", service).replace("{instance}", name)
    return CustomResource(
        service=service,
        name=name,
        cluster=cluster,
        instance_type=custom.name,
        deploy_group=deploy_group,
        version=version,
        desired_state=control.desired_state,
        pool=config.get("pool") or _pool(custom, config),
        # PaaSTA: an empty list is as none at all.
        registrations=tuple(config.get("registrations") or (registration,)),
        team=team,
        spec=freeze(config),
        sources=sources,
    )


def _pool(custom: keys.CustomType, config: Mapping[str, Any]) -> str:
    """PaaSTA: flink_tools; of types that know ``spot`` it names the pool."""
    if "spot" not in custom.struct.by_name:
        return custom.pool
    return "flink" if config.get("spot") is False else "flink-spot"


def rollback(config: Mapping[str, Any]) -> Rollback:
    full = keys.filled(keys.ROLLBACK, config)
    return Rollback(
        conditions=tuple(
            Condition(
                source=source,
                query=item["query"],
                query_type=item.get("query_type"),
                dry_run=item.get("dry_run", False),
                lower_bound=item.get("lower_bound"),
                upper_bound=item.get("upper_bound"),
            )
            for source in _SOURCES
            for item in full["conditions"].get(source, ())
        ),
        enable_slo_rollback=full["enable_slo_rollback"],
        allowed_failing_queries=full["allowed_failing_queries"],
        window_s=config.get("rollback_window_s"),
        interval_s=config.get("check_interval_s"),
    )


def dependencies(config: Mapping[str, Any]) -> Mapping[str, tuple[Dependency, ...]]:
    """By the name that ``dependencies_reference`` gives."""
    return FrozenDict({name: tuple(_dependency(item) for item in items) for name, items in config.items()})


def _dependency(item: Mapping[str, Any]) -> Dependency:
    kind = next(kind for kind in _KINDS if item.get(kind) is not None)
    return Dependency(kind, item[kind], _ports(item.get("port")))


def _ports(port: int | str | None) -> tuple[int, int] | None:
    if port is None:
        return None
    first, _colon, last = str(port).partition(":")
    return int(first), int(last or first)


def authorization(config: Mapping[str, Any]) -> Authorization:
    rules = config.get("authorization", {}).get("rules", ())
    return Authorization(tuple(tuple(rule.get("identity_groups", {}).get("services", ())) for rule in rules))


def authenticating(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The services of authenticating.yaml, sorted."""
    return tuple(sorted(set(config.get("services", ()))))
