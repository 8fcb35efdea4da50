# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Who scales an instance, between which bounds, and on what."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import autoscaling
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-main"}


def scaled(providers: str = "", *, more: str = "") -> str:
    listed = f", autoscaling: {{metrics_providers: [{providers}]{more}}}" if providers or more else ""
    return f"max_instances: 5{listed}"


@pytest.mark.parametrize(
    ("keys", "state", "expected"),
    [
        ("", "start", None),
        ("instances: 3", "start", None),
        ("max_instances: 5", "start", {"min": 1, "max": 5}),
        ("min_instances: 2, max_instances: 5, instances: 9", "start", {"min": 2, "max": 5}),
        ("min_instances: 2, max_instances: 5", "stop", None),
        (scaled("{type: cpu, decision_policy: bespoke}"), "start", {"min": 1, "max": 5}),
    ],
)
def test_bounds(web: Web, keys: str, state: str, expected: dict[str, int] | None) -> None:
    assert autoscaling.bounds(*web(keys, state=state)) == expected


@pytest.mark.parametrize(
    ("keys", "state"),
    [("instances: 3", "start"), (scaled(), "stop"), (scaled("{type: cpu, decision_policy: bespoke}"), "start")],
)
def test_no_autoscaler(web: Web, keys: str, state: str) -> None:
    assert autoscaling.autoscaler(*web(keys, state=state)) is None


def test_the_autoscaler_of_an_instance_that_says_no_more(web: Web) -> None:
    found = autoscaling.autoscaler(*web("pool: big, max_instances: 5, autoscaling: {}"))
    assert found is not None
    assert found["metadata"]["name"] == "web-main"
    assert found["metadata"]["labels"]["yelp.com/pool"] == "big"
    assert found["spec"] == {
        "minReplicas": 1,
        "maxReplicas": 5,
        "scaleTargetRef": DEPLOYMENT,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
        "behavior": {
            "scaleDown": {
                "stabilizationWindowSeconds": 300,
                "policies": [{"type": "Percent", "value": 30, "periodSeconds": 60}],
                "selectPolicy": "Max",
            }
        },
    }


def test_a_stateful_set_is_scaled_too(web: Web) -> None:
    keys = scaled("{type: uwsgi}") + ", persistent_volumes: [{container_path: /a, size: 1}]"
    found = autoscaling.autoscaler(*web(keys))
    assert found is not None
    expected = {**DEPLOYMENT, "kind": "StatefulSet"}
    assert found["spec"]["scaleTargetRef"] == expected
    assert found["spec"]["metrics"][0]["object"]["describedObject"] == expected


def resource(name: str, utilization: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": utilization}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def shared(name: str, kind: str, amount: str) -> dict[str, Any]:
    labels = {"paasta_cluster": "prod", "paasta_service": "web", "paasta_instance": "main"}
    return of_object({"name": name, "selector": {"matchLabels": labels}}, kind, amount)


def of_object(metric: dict[str, Any], kind: str, amount: str) -> dict[str, Any]:
    target = {"type": kind, "value" if kind == "Value" else "averageValue": amount}
    return {"type": "Object", "object": {"metric": metric, "describedObject": DEPLOYMENT, "target": target}}


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("{type: cpu}", resource("cpu", 80)),
        ("{type: cpu, setpoint: 0.29}", resource("cpu", 29)),
        ("{type: cpu, setpoint: 0.001}", resource("cpu", 1)),
        ("{type: memory, setpoint: 0.5}", resource("memory", 50)),
        ("{type: uwsgi}", shared("uwsgi-prom-1800", "Value", "800m")),
        ("{type: uwsgi, setpoint: 1}", shared("uwsgi-prom-1800", "Value", "1")),
        ("{type: gunicorn, moving_average_window_seconds: 60}", shared("gunicorn-prom-60", "Value", "800m")),
        ("{type: piscina, setpoint: 0.55}", shared("piscina-prom-1800", "Value", "550m")),
        ("{type: uwsgi-v2}", shared("uwsgi-v2-prom-1800", "AverageValue", "800m")),
        ("{type: worker-load}", shared("worker-load-prom-1800", "AverageValue", "800m")),
        (
            "{type: active-requests, desired_active_requests_per_replica: 9}",
            of_object({"name": "web-main-active-requests-prom"}, "Value", "1"),
        ),
        (
            "{type: arbitrary-promql, metrics_query: x}",
            of_object({"name": "web-main-arbitrary-promql-prom"}, "AverageValue", "1"),
        ),
        (
            "{type: arbitrary-promql, metrics_query: x, target_type: Value, setpoint: 12.5}",
            of_object({"name": "web-main-arbitrary-promql-prom"}, "Value", "12500m"),
        ),
    ],
)
def test_every_provider(web: Web, provider: str, expected: dict[str, Any]) -> None:
    found = autoscaling.autoscaler(*web(scaled(provider)))
    assert found is not None
    assert found["spec"]["metrics"] == [expected]


def test_several_providers(web: Web) -> None:
    found = autoscaling.autoscaler(*web(scaled("{type: memory}, {type: cpu, setpoint: 0.6}")))
    assert found is not None
    assert found["spec"]["metrics"] == [resource("memory", 80), resource("cpu", 60)]


def test_policies_are_merged_over_the_default(web: Web) -> None:
    more = (
        ", scaledown_policies: {stabilizationWindowSeconds: 60, policies: [{type: Pods, value: 1, periodSeconds: 9}]}"
    )
    found = autoscaling.autoscaler(*web(scaled(more=more)))
    assert found is not None
    assert found["spec"]["behavior"]["scaleDown"] == {
        "stabilizationWindowSeconds": 60,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 9}],
        "selectPolicy": "Max",
    }


@pytest.mark.parametrize(
    ("providers", "labels", "annotations", "scraped"),
    [
        ("{type: cpu}", [], {}, False),
        ("{type: uwsgi}", [], {"autoscaling": "uwsgi"}, True),
        ("{type: uwsgi-v2}", [], {"autoscaling": "uwsgi"}, True),
        ("{type: worker-load}", [], {}, True),
        ("{type: gunicorn}, {type: piscina}", ["gunicorn", "piscina"], {}, True),
        ("{type: piscina}", ["piscina"], {}, False),
    ],
)
def test_what_prometheus_finds_pods_by(
    web: Web, providers: str, labels: list[str], annotations: dict[str, str], scraped: bool
) -> None:
    instance, facts = web(scaled(providers))
    expected = {f"paasta.yelp.com/scrape_{name}_prometheus": "true" for name in labels}
    assert autoscaling.pod_labels(instance, facts) == expected
    assert autoscaling.pod_annotations(instance, facts) == annotations
    assert autoscaling.scraped(instance) is scraped


def test_without_max_instances_none_of_it_counts(web: Web) -> None:
    instance, facts = web("autoscaling: {metrics_providers: [{type: gunicorn}, {type: uwsgi}]}")
    assert autoscaling.pod_labels(instance, facts) == {}
    assert autoscaling.pod_annotations(instance, facts) == {}
    assert not autoscaling.scraped(instance)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            "min_instances: 0, max_instances: 5",
            "min_instances: 0: an autoscaler keeps at least 1 replica; set it to 1, or stop the instance",
        ),
        (
            scaled(more=", scaledown_policies: {selectPolicies: Max}"),
            "autoscaling.scaledown_policies.selectPolicies: unknown key; did you mean selectPolicy?",
        ),
    ],
)
def test_what_the_api_would_refuse(web: Web, keys: str, message: str) -> None:
    assert autoscaling.problems(*web(keys)) == [f"web/kubernetes-prod.yaml:1: web.main: {message}"]


def test_what_scales_by_itself_may_go_down_to_nothing(web: Web) -> None:
    keys = "min_instances: 0, " + scaled("{type: cpu, decision_policy: bespoke}")
    instance, facts = web(keys)
    assert autoscaling.problems(instance, facts) == []
    assert autoscaling.bounds(instance, facts) == {"min": 0, "max": 5}
