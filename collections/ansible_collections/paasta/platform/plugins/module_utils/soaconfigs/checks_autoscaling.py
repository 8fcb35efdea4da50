# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of how a long-running instance scales, and of CPU settings that policy wants explained (reference 8.1, 13)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .model import KeyPath
from .subjects import Subject

_PODS = frozenset({"kubernetes", "eks"})
# PaaSTA: INVALID_AUTOSCALING_FIELDS, the other way round.
_ONLY_FOR = {
    "desired_active_requests_per_replica": "active-requests",
    "metrics_query": "arbitrary-promql",
    "series_query": "arbitrary-promql",
    "target_type": "arbitrary-promql",
    "resources": "arbitrary-promql",
}
_SETPOINT = 0.8  # PaaSTA: DEFAULT_AUTOSCALING_SETPOINT
_BURST = 2  # PaaSTA: CPU_BURST_THRESHOLD
_TICKET = r"\s+\([^)]*[A-Z]+-[0-9]+[^)]*\)"
_CPU_COMMENT = re.compile(r"#\s*override-cpu-setting" + _TICKET)
_BURST_COMMENT = re.compile(r"#\s*override-cpu-burst" + _TICKET)
_DEFAULT_PROVIDERS: Sequence[Mapping[str, Any]] = ({"type": "cpu"},)


def autoscaling(subject: Subject) -> None:
    if subject.kind not in _PODS:
        return
    config = subject.config
    scaling = config.get("autoscaling")
    if config.get("max_instances") is None:
        if scaling and "autoscaling" in subject.own and not subject.written(("max_instances",)):
            message = "autoscaling has no effect without max_instances"
            subject.warn("autoscaling-without-max", ("autoscaling",), message, "add max_instances, or drop it")
        return
    written = scaling.get("metrics_providers") if scaling else None
    if written:
        _combination(subject, written)
        for index, provider in enumerate(written):
            _provider(subject, ("autoscaling", "metrics_providers", index), provider)
    _cpu_override(subject, written or _DEFAULT_PROVIDERS)


def _combination(subject: Subject, providers: Sequence[Mapping[str, Any]]) -> None:
    seen: set[str] = set()
    for index, provider in enumerate(providers):
        path: KeyPath = ("autoscaling", "metrics_providers", index)
        kind = provider["type"]
        if provider.get("decision_policy") == "bespoke" and len(providers) > 1:
            message = "decision_policy bespoke means that something else scales, so it must be the only provider"
            subject.error("autoscaling-bespoke", (*path, "decision_policy"), message, "keep one of the two")
        if kind in seen:
            message = f"there is already a metrics provider of type {kind}"
            subject.error("autoscaling-duplicate", (*path, "type"), message, "keep one of the two")
        seen.add(kind)


def _provider(subject: Subject, path: KeyPath, provider: Mapping[str, Any]) -> None:
    kind = provider["type"]
    for name in provider:
        only = _ONLY_FOR.get(name)
        if only is not None and only != kind:
            message = f"{name} is for metrics providers of type {only}, and this one is {kind}"
            subject.error("autoscaling-field", (*path, name), message, "drop it")
    setpoint = provider.get("setpoint")
    if setpoint is not None and setpoint <= 0:
        subject.error("autoscaling-setpoint", (*path, "setpoint"), f"setpoint {setpoint} is not greater than 0")
    if kind == "active-requests":
        _active_requests(subject, path, setpoint)
    elif kind == "arbitrary-promql" and not provider.get("metrics_query"):
        message = "a metrics provider of type arbitrary-promql needs metrics_query"
        subject.error("autoscaling-promql", path, message, "add metrics_query, a PromQL expression")


def _active_requests(subject: Subject, path: KeyPath, setpoint: float | None) -> None:
    rule = "autoscaling-active-requests"
    if len(subject.config.get("registrations") or ()) > 1:
        message = "active-requests cannot count the requests of several registrations"
        subject.error(rule, (*path, "type"), message, "keep one registration, or scale on something else")
    if setpoint is not None and setpoint != _SETPOINT:
        message = f"setpoint {setpoint} has no meaning for active-requests"
        subject.error(rule, (*path, "setpoint"), message, "use desired_active_requests_per_replica")


def _cpu_override(subject: Subject, providers: Sequence[Mapping[str, Any]]) -> None:
    """PaaSTA: a CPU setting of a person's own stands in the way of what is worked out for autoscaled instances."""
    if not any(p["type"] == "cpu" and p.get("decision_policy") != "bespoke" for p in providers):
        return
    own = subject.own.get("cpus")
    if own is None:
        if len(providers) > 1 and subject.config.get("cpus") is None and not subject.written(("cpus",)):
            message = "scaling on CPU and something else needs cpus"
            subject.warn("autoscaling-cpu-needed", ("autoscaling", "metrics_providers"), message, "add cpus")
    elif not _excused(subject, subject.settings.skip_cpu_override_validation, ("cpus",), _CPU_COMMENT):
        message = f"cpus {own} is set by hand on an instance that scales on CPU"
        hint = "drop it, or say why in a comment on this line: # override-cpu-setting (TICKET-1)"
        subject.warn("cpu-override", ("cpus",), message, hint)


def cpu_burst(subject: Subject) -> None:
    burst = subject.own.get("cpu_burst_add")
    if burst is None or burst <= _BURST or subject.kind not in _PODS:
        return
    if not _excused(subject, subject.settings.skip_cpu_burst_validation, ("cpu_burst_add",), _BURST_COMMENT):
        message = f"cpu_burst_add {burst} is more than {_BURST}"
        hint = "lower it, or say why in a comment on this line: # override-cpu-burst (TICKET-1)"
        subject.warn("cpu-burst-override", ("cpu_burst_add",), message, hint)


def _excused(subject: Subject, skipped: Any, path: KeyPath, pattern: re.Pattern[str]) -> bool:
    """Not asked of this service, made from a template (which cannot carry comments), or explained."""
    return (
        subject.service in skipped
        or f"{subject.kind}-{subject.cluster}.in" in subject.documents.files
        or pattern.search(subject.comment(path)) is not None
    )


CHECKS = (autoscaling, cpu_burst)
