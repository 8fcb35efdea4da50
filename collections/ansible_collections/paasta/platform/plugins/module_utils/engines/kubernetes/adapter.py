# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rules of the Prometheus adapter (kubernetes-sigs/prometheus-adapter), by which autoscalers get Prometheus' metrics.

What the load of an instance is: the sum, over its pods, of the share of workers that are busy. A ready pod without
that metric counts as fully busy, for scaling up is the safe answer to what is not known. The load is averaged over a
window first; only then it is compared with the setpoint, so that scaling itself does not swing it.

* With a target ``Value`` the autoscaler multiplies by ready pods, so the rule divides by them.
* With a target ``AverageValue`` it divides by pods itself.

The exporters' series need the labels ``paasta_cluster``, ``paasta_service``, ``paasta_instance``, ``kube_namespace``,
``kube_pod`` and ``kube_deployment`` or ``kube_statefulset``: the scrape configuration puts them there. Those of
kube-state-metrics are taken as they are; where a Prometheus sees several clusters, they need ``paasta_cluster``, too.
The load is that of all namespaces, so that an instance that moves to another one has enough pods there.

The adapter reads its configuration when it starts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import thaw
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance

from . import labels, names
from .autoscaling import (
    ACTIVE_REQUESTS,
    CLUSTER,
    INSTANCE,
    PROMQL,
    SERVICE,
    SHARED,
    Provider,
    bespoke,
    metric_name,
    providers,
    target,
    window,
)
from .facts import Facts

Rule: TypeAlias = "dict[str, Any]"

FILE = "config.yaml"

#: Provider → the series that says how busy a worker of a pod is, 0 to 1.
_SERIES = {
    "uwsgi": "uwsgi_worker_busy",
    "uwsgi-v2": "uwsgi_worker_busy",
    "gunicorn": "gunicorn_worker_busy",
    "piscina": "piscina_pool_utilization",
    "worker-load": "worker_busy",
}
_ACTIVE_REQUESTS = "paasta_instance:envoy_cluster__egress_cluster_upstream_rq_active"
_READY = "kube_{kind}_status_replicas_ready"
_READY_RECORDED = "k8s:deployment:pods_status_ready"
_BY_NAME = {"template": "kube_<<.Resource>>"}
_KINDS = ("deployment", "statefulset")


def config_maps(instances: Iterable[Instance], facts: Facts) -> list[dict[str, Any]]:
    """The adapter's ConfigMap with the rules of all these instances; none where the platform does not name it."""
    place = facts.settings.kubernetes_adapter_config
    if place is None:
        return []
    # JSON is YAML, and reads the same whatever library wrote it.
    text = json.dumps({"rules": rules(instances, facts)}, indent=2, sort_keys=True) + "\n"
    metadata = labels.shared_metadata(facts, place["name"], namespace=place["namespace"])
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {FILE: text}}]


def rules(instances: Iterable[Instance], facts: Facts) -> list[Rule]:
    """One rule for each shared provider and window, one for each other provider of an instance, sorted by metric."""
    found: dict[str, Rule] = {}
    for instance in instances:
        if bespoke(instance):
            continue
        for provider in providers(instance):
            rule = _rule(provider, instance, facts)
            if rule is not None:
                found.setdefault(rule["name"]["as"], rule)
    return [found[name] for name in sorted(found)]


def _rule(provider: Provider, instance: Instance, facts: Facts) -> Rule | None:
    kind = provider["type"]
    if kind in SHARED:
        return _shared(provider, metric_name(provider, instance), facts)
    if kind == ACTIVE_REQUESTS:
        return _active_requests(provider, instance, facts)
    return _promql(provider, instance, facts) if kind == PROMQL else None


def _shared(provider: Provider, name: str, facts: Facts) -> Rule:
    """The adapter fills in whose metrics an autoscaler asks for, from the labels of its request."""
    series = _SERIES[provider["type"]]
    asked = {label: f'<<index .LabelValuesByName "{label}">>' for label in (CLUSTER, SERVICE, INSTANCE)}
    load = f"avg by (kube_pod, <<.GroupBy>>) ({series}{_matchers(asked)})"
    ready = _ready(asked, {kind: f'<<index .LabelValuesByName "kube_{kind}">>' for kind in _KINDS}, facts)
    # What has no metric at all has no load either: the autoscaler then keeps the replicas that there are.
    missing = f"clamp_min({ready} - on() group_right() count by (<<.GroupBy>>) ({load}), 0)"
    total = _averaged(f"sum by (<<.GroupBy>>) ({load}) + {missing}", window(provider))
    query = total if SHARED[provider["type"]] == "AverageValue" else f"{total} / on() group_left() {ready}"
    return {
        "name": {"as": name},
        "seriesQuery": f"{series}{_matchers({CLUSTER: facts.cluster})}",
        "resources": _BY_NAME,
        "metricsQuery": query,
    }


def _active_requests(provider: Provider, instance: Instance, facts: Facts) -> Rule:
    """The requests that Envoy has open to an instance's namespace of the mesh, which has one namespace for this."""
    registration = instance.registrations[0].partition(".")[2]
    asked = {CLUSTER: instance.cluster, SERVICE: instance.service, INSTANCE: registration}
    wanted = provider.get("desired_active_requests_per_replica") or 1
    load = _averaged(f"sum({_ACTIVE_REQUESTS}{_matchers(asked)}) / {wanted}", window(provider))
    own = {CLUSTER: instance.cluster, SERVICE: instance.service, INSTANCE: instance.name}
    ready = _ready(own, {_kind(instance): names.app(instance)}, facts, namespace=names.namespace(instance))
    return {
        "name": {"as": metric_name(provider, instance)},
        **_described(f"{load} / {ready}", instance),
    }


def _promql(provider: Provider, instance: Instance, facts: Facts) -> Rule:
    """A query of the team's own; with a ``series_query`` it says itself what its result belongs to."""
    name = {"as": metric_name(provider, instance)}
    query = _one_line(provider["metrics_query"])
    series = provider.get("series_query")
    if not series:
        return {"name": name, **_described(query, instance)}
    resources = thaw(provider.get("resources")) or _association(_kind(instance))
    return {"name": name, "seriesQuery": _one_line(series), "resources": resources, "metricsQuery": query}


def _described(query: str, instance: Instance) -> Rule:
    """A query whose result has no labels of Kubernetes' objects, given those of the instance's workload.

    The adapter offers a metric for the objects that it finds in a series: those of kube-state-metrics name them all.
    """
    kind = _kind(instance)
    workload = {kind: names.app(instance), "namespace": names.namespace(instance)}
    for label, value in workload.items():
        query = f'label_replace({query}, "{label}", "{value}", "", "")'
    return {
        "seriesQuery": f"{_READY.format(kind=kind)}{_matchers(workload)}",
        "resources": _association(kind),
        "metricsQuery": query,
    }


def _kind(instance: Instance) -> str:
    return target(instance)["kind"].lower()


def _association(kind: str) -> dict[str, Any]:
    return {"overrides": {"namespace": {"resource": "namespace"}, kind: {"group": "apps", "resource": f"{kind}s"}}}


def _ready(
    asked: dict[str, str],
    workloads: dict[str, str],
    facts: Facts,
    *,
    namespace: str = '<<index .LabelValuesByName "kube_namespace">>',
) -> str:
    """How many pods of a workload are ready, as one number.

    :param asked: the labels of the instance.
    :param workloads: kind → name; the one of two that a request names.
    """
    if not facts.settings.use_raw_ksm_queries:
        return f"sum({_READY_RECORDED}{_matchers({**asked, 'namespace': namespace})})"
    # The regular expression matches series without the label as well.
    here = f'{CLUSTER}=~"{facts.cluster}|"'
    series = [
        f"{_READY.format(kind=kind)}{_matchers({kind: name, 'namespace': namespace}, here)}"
        for kind, name in workloads.items()
    ]
    return f"sum({' or '.join(series)})"


def _averaged(query: str, seconds: int) -> str:
    return f"avg_over_time(({query})[{seconds}s:])"


def _matchers(values: dict[str, str], *others: str) -> str:
    return "{" + ",".join([*(f'{label}="{value}"' for label, value in values.items()), *others]) + "}"


def _one_line(query: str) -> str:
    return " ".join(line.strip() for line in query.strip().splitlines())
