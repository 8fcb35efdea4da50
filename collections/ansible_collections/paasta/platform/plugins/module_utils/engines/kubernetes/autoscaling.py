# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Autoscaling: between which bounds, by whom and on what; the HorizontalPodAutoscaler of a Deployment or StatefulSet.

``max_instances`` enables it. Metrics of Prometheus come through its adapter, whose rules ``adapter`` makes; the names
of the metrics are made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import did_you_mean
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict, thaw
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import labels, names, quantities
from .facts import Facts

Provider: TypeAlias = "Mapping[str, Any]"

#: Providers of which all instances with the same window share one rule, and what kind of target theirs has.
SHARED = {
    "uwsgi": "Value",
    "piscina": "Value",
    "gunicorn": "Value",
    "uwsgi-v2": "AverageValue",
    "worker-load": "AverageValue",
}
ACTIVE_REQUESTS = "active-requests"
PROMQL = "arbitrary-promql"

#: Labels by which the metrics of an instance are found; the scrape configuration of Prometheus puts them there.
CLUSTER, SERVICE, INSTANCE = "paasta_cluster", "paasta_service", "paasta_instance"

_DEFAULT: Provider = FrozenDict({"type": "cpu", "decision_policy": "proportional", "setpoint": 0.8})
_WINDOW = 1800  # seconds
_SCALE_DOWN_KEYS = frozenset({"policies", "selectPolicy", "stabilizationWindowSeconds", "tolerance"})
#: Exporters that Prometheus finds by a label of the pod (PaaSTA: scrape_*_prometheus).
_SCRAPED = ("gunicorn", "piscina")
#: Providers whose metrics are scraped from the pods themselves, which needs their addresses to be reachable.
_FROM_PODS = frozenset({"uwsgi", "uwsgi-v2", "gunicorn", "worker-load"})


def enabled(instance: Instance) -> bool:
    return instance.keys.get("max_instances") is not None


def providers(instance: Instance) -> list[Provider]:
    """The metrics providers, each merged over the default; none of an instance that is not autoscaled."""
    if not enabled(instance):
        return []
    written = (instance.keys.get("autoscaling") or {}).get("metrics_providers")
    return [_merged(provider) for provider in written] if written else [_DEFAULT]


def _merged(written: Mapping[str, Any]) -> Provider:
    given = {name: value for name, value in written.items() if value is not None}
    default = {"setpoint": 1.0} if given["type"] == PROMQL else {}
    return {**_DEFAULT, **default, **given}


def bespoke(instance: Instance) -> bool:
    """Whether something else than a HorizontalPodAutoscaler scales the instance."""
    found = providers(instance)
    return bool(found) and found[0]["decision_policy"] == "bespoke"


def window(provider: Provider) -> int:
    """Seconds over which the load is averaged."""
    return int(provider.get("moving_average_window_seconds") or _WINDOW)


def bounds(instance: Instance, facts: Facts) -> dict[str, int] | None:
    """``min`` and ``max`` where something else than us decides about replicas; None as well when it is stopped."""
    if not enabled(instance) or instance.desired_state == "stop":
        return None
    return {"min": _minimum(instance), "max": instance.keys["max_instances"]}


def _minimum(instance: Instance) -> int:
    value = instance.keys.get("min_instances")
    return 1 if value is None else int(value)


def autoscaler(instance: Instance, facts: Facts) -> dict[str, Any] | None:
    """The HorizontalPodAutoscaler; None where there is none."""
    limits = bounds(instance, facts)
    if limits is None or bespoke(instance):
        return None
    metadata = labels.metadata(instance, facts, labels={facts.labels.legacy("pool"): names.label_value(instance.pool)})
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": {
            "behavior": {"scaleDown": _scale_down(instance)},
            "maxReplicas": limits["max"],
            "metrics": [_metric(provider, instance) for provider in providers(instance)],
            "minReplicas": limits["min"],
            "scaleTargetRef": target(instance),
        },
    }


def target(instance: Instance) -> dict[str, str]:
    """The workload, as autoscalers refer to it."""
    kind = "StatefulSet" if instance.keys.get("persistent_volumes") else "Deployment"
    return {"apiVersion": "apps/v1", "kind": kind, "name": names.app(instance)}


def metric_name(provider: Provider, instance: Instance) -> str:
    """What the adapter calls it: ``uwsgi-prom-1800``, or ``web-main-active-requests-prom`` of one instance alone."""
    if provider["type"] in SHARED:
        return f"{provider['type']}-prom-{window(provider)}"
    return f"{names.app(instance)}-{provider['type']}-prom"


def _metric(provider: Provider, instance: Instance) -> dict[str, Any]:
    kind, setpoint = provider["type"], provider["setpoint"]
    if kind in ("cpu", "memory"):
        utilization = {"type": "Utilization", "averageUtilization": max(1, round(setpoint * 100))}
        return {"type": "Resource", "resource": {"name": kind, "target": utilization}}
    metric: dict[str, Any] = {"name": metric_name(provider, instance)}
    if kind in SHARED:
        metric["selector"] = {
            "matchLabels": {CLUSTER: instance.cluster, SERVICE: instance.service, INSTANCE: instance.name}
        }
        wanted = _target(SHARED[kind], setpoint)
    elif kind == ACTIVE_REQUESTS:
        wanted = _target("Value", 1)  # the rule divides by desired_active_requests_per_replica
    else:
        wanted = _target(provider.get("target_type", "AverageValue"), setpoint)
    return {"type": "Object", "object": {"describedObject": target(instance), "metric": metric, "target": wanted}}


def _target(kind: str, value: float) -> dict[str, str]:
    return {"type": kind, "value" if kind == "Value" else "averageValue": quantities.canonical(value)}


def _scale_down(instance: Instance) -> dict[str, Any]:
    """PaaSTA's: at most 30 % of the replicas in a minute, after 5 quiet ones. The instance may say otherwise."""
    written = (instance.keys.get("autoscaling") or {}).get("scaledown_policies") or {}
    return {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Percent", "value": 30, "periodSeconds": 60}],
        "selectPolicy": "Max",
        **{name: thaw(value) for name, value in written.items() if value is not None},
    }


def pod_labels(instance: Instance, facts: Facts) -> dict[str, str]:
    """Labels of pods by which Prometheus scrapes what the autoscaler needs."""
    kinds = {provider["type"] for provider in providers(instance)}
    return {facts.labels.own(f"scrape_{kind}_prometheus"): "true" for kind in _SCRAPED if kind in kinds}


def pod_annotations(instance: Instance, facts: Facts) -> dict[str, str]:
    """Annotations of pods for the same."""
    kinds = {provider["type"] for provider in providers(instance)}
    return {"autoscaling": "uwsgi"} if kinds & {"uwsgi", "uwsgi-v2"} else {}


def scraped(instance: Instance) -> bool:
    """Whether Prometheus must reach the pods themselves for the sake of scaling."""
    return any(provider["type"] in _FROM_PODS for provider in providers(instance))


def problems(instance: Instance, facts: Facts) -> list[str]:
    """Bounds and policies that the API refuses."""
    if not enabled(instance) or bespoke(instance):
        return []
    lines = []
    if _minimum(instance) < 1:
        message = f"{_minimum(instance)}: an autoscaler keeps at least 1 replica"
        lines.append(problem(instance, ("min_instances",), message, "set it to 1, or stop the instance"))
    written = (instance.keys.get("autoscaling") or {}).get("scaledown_policies") or {}
    for name in written:
        if name not in _SCALE_DOWN_KEYS:
            path = ("autoscaling", "scaledown_policies", name)
            lines.append(problem(instance, path, "unknown key", did_you_mean(name, _SCALE_DOWN_KEYS)))
    return lines
