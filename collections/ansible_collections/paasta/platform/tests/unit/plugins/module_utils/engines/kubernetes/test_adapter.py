# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rules of the Prometheus adapter. What the queries give was tried with promtool; here is what goes into them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import adapter, autoscaling
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import Soa

PLACE = {"kubernetes_adapter_config": {"namespace": "custom-metrics", "name": "adapter-config"}}
ASKED = {
    "paasta_cluster": "prod",
    "paasta_service": "web",
    "paasta_instance": "main",
    "kube_namespace": "paastasvc-web",
    "kube_deployment": "web-main",
}


def scaled(providers: str) -> str:
    return f"max_instances: 5, autoscaling: {{metrics_providers: [{providers}]}}"


def asked(query: str) -> str:
    """A query with what the adapter fills in for the autoscaler of ``web.main``."""
    filled = query.replace("<<.GroupBy>>", "kube_deployment")
    filled = re.sub(r'<<index \.LabelValuesByName "(\w+)">>', lambda match: ASKED.get(match[1], ""), filled)
    assert "<<" not in filled
    assert filled.count("(") == filled.count(")")
    assert filled.count("{") == filled.count("}")
    return filled


OWN = '{paasta_cluster="prod",paasta_service="web",paasta_instance="main"}'
READY = (
    'sum(kube_deployment_status_replicas_ready{deployment="web-main",namespace="paastasvc-web",paasta_cluster=~"prod|"}'
    ' or kube_statefulset_status_replicas_ready{statefulset="",namespace="paastasvc-web",paasta_cluster=~"prod|"})'
)
RECORDED = f'sum(k8s:deployment:pods_status_ready{OWN[:-1]},namespace="paastasvc-web"}})'


def load(series: str, ready: str) -> str:
    busy = f"avg by (kube_pod, kube_deployment) ({series}{OWN})"
    missing = f"clamp_min({ready} - on() group_right() count by (kube_deployment) ({busy}), 0)"
    return f"avg_over_time((sum by (kube_deployment) ({busy}) + {missing})[1800s:])"


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("provider", "series", "divided"),
    [
        ("uwsgi", "uwsgi_worker_busy", True),
        ("gunicorn", "gunicorn_worker_busy", True),
        ("piscina", "piscina_pool_utilization", True),
        ("uwsgi-v2", "uwsgi_worker_busy", False),
        ("worker-load", "worker_busy", False),
    ],
)
def test_shared_rules(web: Web, provider: str, series: str, divided: bool, raw: bool) -> None:
    instance, facts = web(scaled(f"{{type: {provider}}}"), settings={"use_raw_ksm_queries": raw})
    (rule,) = adapter.rules([instance], facts)
    assert rule["name"] == {"as": f"{provider}-prom-1800"}
    assert rule["resources"] == {"template": "kube_<<.Resource>>"}
    assert rule["seriesQuery"] == f'{series}{{paasta_cluster="prod"}}'
    ready = READY if raw else RECORDED
    expected = load(series, ready) + (f" / on() group_left() {ready}" if divided else "")
    assert asked(rule["metricsQuery"]) == expected


def test_one_rule_for_each_provider_and_window(soa: Soa) -> None:
    for name, providers in {
        "a": "{type: uwsgi}",
        "b": "{type: uwsgi}, {type: cpu}",
        "c": "{type: uwsgi, moving_average_window_seconds: 60}",
        "d": "{type: gunicorn, decision_policy: bespoke}",
        "e": "{type: memory}",
    }.items():
        soa.write(scaled(providers), service=name)
    soa.write("autoscaling: {metrics_providers: [{type: piscina}]}", service="f")
    _first, facts = soa.load()
    found = adapter.rules(soa.config().instances, facts)
    assert [rule["name"]["as"] for rule in found] == ["uwsgi-prom-1800", "uwsgi-prom-60"]


def described(query: str, kind: str = "deployment") -> dict[str, Any]:
    labelled = f'label_replace({query}, "{kind}", "web-main", "", "")'
    return {
        "seriesQuery": f'kube_{kind}_status_replicas_ready{{{kind}="web-main",namespace="paastasvc-web"}}',
        "metricsQuery": f'label_replace({labelled}, "namespace", "paastasvc-web", "", "")',
        "resources": {
            "overrides": {"namespace": {"resource": "namespace"}, kind: {"group": "apps", "resource": f"{kind}s"}}
        },
    }


STATEFUL = ", persistent_volumes: [{container_path: /a, size: 1}]"


@pytest.mark.parametrize(("more", "kind"), [("", "deployment"), (STATEFUL, "statefulset")])
def test_active_requests(web: Web, more: str, kind: str) -> None:
    keys = scaled("{type: active-requests, desired_active_requests_per_replica: 7}") + ", registrations: [web.api]"
    (rule,) = adapter.rules(*_listed(web(keys + more, smartstack="api: {proxy_port: 20001}")))
    requests = (
        'sum(paasta_instance:envoy_cluster__egress_cluster_upstream_rq_active{paasta_cluster="prod",'
        'paasta_service="web",paasta_instance="api"})'
    )
    ready = (
        f'sum(kube_{kind}_status_replicas_ready{{{kind}="web-main",namespace="paastasvc-web",paasta_cluster=~"prod|"}})'
    )
    query = f"avg_over_time(({requests} / 7)[1800s:]) / {ready}"
    assert rule == {"name": {"as": "web-main-active-requests-prom"}, **described(query, kind)}


def _listed(loaded: Any) -> Any:
    instance, facts = loaded
    return [instance], facts


def test_a_query_of_a_team(web: Web) -> None:
    query = '"sum(x)\\n  / 2"'
    (rule,) = adapter.rules(*_listed(web(scaled(f"{{type: arbitrary-promql, metrics_query: {query}}}"))))
    assert rule == {"name": {"as": "web-main-arbitrary-promql-prom"}, **described("sum(x) / 2")}


def test_a_query_that_says_itself_what_it_belongs_to(web: Web) -> None:
    series = "series_query: 'y{a=\"b\"}', resources: {template: 'k_<<.Resource>>'}"
    provider = f"{{type: arbitrary-promql, metrics_query: x, {series}}}"
    (rule,) = adapter.rules(*_listed(web(scaled(provider))))
    assert rule == {
        "name": {"as": "web-main-arbitrary-promql-prom"},
        "seriesQuery": 'y{a="b"}',
        "metricsQuery": "x",
        "resources": {"template": "k_<<.Resource>>"},
    }


def test_every_metric_of_an_autoscaler_has_its_rule(web: Web) -> None:
    kinds = [*autoscaling.SHARED, "active-requests", "cpu"]
    listed = ", ".join(f"{{type: {kind}}}" for kind in kinds) + ", {type: arbitrary-promql, metrics_query: x}"
    instance, facts = web(scaled(listed))
    found = autoscaling.autoscaler(instance, facts)
    assert found is not None
    wanted = {m["object"]["metric"]["name"] for m in found["spec"]["metrics"] if m["type"] == "Object"}
    assert wanted == {rule["name"]["as"] for rule in adapter.rules([instance], facts)}
    assert len(wanted) == len(kinds)


def test_the_config_map(web: Web) -> None:
    instance, facts = web(scaled("{type: uwsgi}"), settings=PLACE)
    (manifest,) = adapter.config_maps([instance], facts)
    assert manifest["metadata"] == {
        "name": "adapter-config",
        "namespace": "custom-metrics",
        "labels": {"paasta.yelp.com/managed": "true", "paasta.yelp.com/cluster": "prod"},
    }
    assert json.loads(manifest["data"]["config.yaml"]) == {"rules": adapter.rules([instance], facts)}
    assert json.loads(adapter.config_maps([], facts)[0]["data"]["config.yaml"]) == {"rules": []}


def test_without_the_setting_there_is_none(web: Web) -> None:
    instance, facts = web(scaled("{type: uwsgi}"))
    assert adapter.config_maps([instance], facts) == []
