# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The hacheck sidecar."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import sidecar
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import MESH

IMAGE = {"hacheck_sidecar_image_url": "registry.example.org/hacheck:1"}
PREFIX = ["flock", "-n", "/readiness_check_lock", "timeout", "120"]


def of(web: Web, keys: str = "", **settings: Any) -> dict[str, Any]:
    instance, facts = web(keys, smartstack=f"{MESH}\nsecond: {{proxy_port: 20002}}", settings={**IMAGE, **settings})
    return sidecar.container(instance, facts, [])


@pytest.mark.parametrize(
    ("smartstack", "settings", "present", "missing"),
    [
        (MESH, IMAGE, True, False),
        (MESH, {}, False, True),
        (MESH, {"use_hacheck_sidecar": False}, False, False),
        (MESH, {**IMAGE, "use_hacheck_sidecar": False}, False, False),
        ("main: {proxy_port: null}", IMAGE, False, False),
        ("", IMAGE, False, False),
        ("", {}, False, False),
    ],
)
def test_only_pods_in_the_mesh_have_it(
    web: Web, smartstack: str, settings: dict[str, Any], present: bool, missing: bool
) -> None:
    instance, facts = web(smartstack=smartstack, settings=settings)
    assert (sidecar.present(instance, facts), sidecar.missing(instance, facts)) == (present, missing)


def test_it_leaves_the_mesh_before_the_service_stops(web: Web) -> None:
    found = of(web, "registrations: [web.main, web.second], lifecycle: {pre_stop_drain_seconds: 5}")
    assert found["lifecycle"]["preStop"]["exec"]["command"] == [
        "/bin/sh", "-c", "/usr/bin/hadown web.main web.second; sleep 6",
    ]  # fmt: skip
    assert {"name": "MESH_REGISTRATIONS", "value": "web.main web.second"} in found["env"]
    assert found["ports"] == [{"containerPort": 6666}]


@pytest.mark.parametrize(
    ("keys", "settings", "command"),
    [
        ("", {}, [*PREFIX, "/check_smartstack_up.sh", "8888", "web.main"]),
        (
            "",
            {"enable_envoy_readiness_check": True},
            [*PREFIX, "/check_proxy_up.sh", "--enable-smartstack", "--enable-envoy", "8888", "web.main"],
        ),
        (
            "bounce_health_params: {check_haproxy: false, check_envoy: true}, container_port: 80",
            {},
            [*PREFIX, "/check_proxy_up.sh", "--enable-envoy", "--envoy-check-mode", "eds-dir", "80", "web.main"],
        ),
        (
            "",
            {"readiness_check_prefix_template": [], "nerve_readiness_check_script": ["/up"]},
            ["/up", "8888", "web.main"],
        ),
    ],
)
def test_a_pod_is_ready_when_the_proxies_see_it(
    web: Web, keys: str, settings: dict[str, Any], command: list[str]
) -> None:
    assert of(web, keys, **settings)["readinessProbe"] == {
        "exec": {"command": command},
        "initialDelaySeconds": 10,
        "periodSeconds": 10,
        "timeoutSeconds": 120,
    }


def test_no_proxy_to_ask_is_no_probe(web: Web) -> None:
    assert "readinessProbe" not in of(web, "bounce_health_params: {check_haproxy: false}")


def test_its_probe_may_wait_as_long_as_that_of_the_service(web: Web) -> None:
    probe = of(web, "healthcheck_grace_period_seconds: 90", hacheck_match_initial_delay=True)["readinessProbe"]
    assert probe["initialDelaySeconds"] == 90


@pytest.mark.parametrize(
    ("keys", "platform", "requests", "limits"),
    [
        ("", {}, ("100m", "1Gi", "256Mi"), ("100m", "1Gi", "256Mi")),
        ("{requests: {cpu: 0.2}}", {}, ("200m", "1Gi", "256Mi"), ("200m", "1Gi", "256Mi")),
        ("{limits: {cpu: 1}}", {}, ("100m", "1Gi", "256Mi"), ("1", "1Gi", "256Mi")),
        ("", {"requests": {"memory": "512Mi"}}, ("100m", "512Mi", "256Mi"), ("100m", "512Mi", "256Mi")),
        (
            "{requests: {memory: 2048Mi}}",
            {"requests": {"memory": "512Mi", "cpu": 0.5}},
            ("500m", "2Gi", "256Mi"),
            ("500m", "2Gi", "256Mi"),
        ),
    ],
)
def test_resources(
    web: Web, keys: str, platform: dict[str, Any], requests: tuple[str, ...], limits: tuple[str, ...]
) -> None:
    written = f"sidecar_resource_requirements: {{hacheck: {keys}}}" if keys else ""
    names = ("cpu", "memory", "ephemeral-storage")
    assert of(web, written, sidecar_requirements_config={"hacheck": platform})["resources"] == {
        "requests": dict(zip(names, requests, strict=True)),
        "limits": dict(zip(names, limits, strict=True)),
    }


def test_what_cannot_be_beside_it(web: Web) -> None:
    instance, facts = web(
        "container_port: 6666", settings=IMAGE, name="hacheck", smartstack=MESH.replace("main", "hacheck")
    )
    assert [text.partition("; ")[0] for text in sidecar.problems(instance, facts)] == [
        "web/kubernetes-prod.yaml:1: web.hacheck: its container would be called hacheck, as the sidecar is",
        "web/kubernetes-prod.yaml:1: web.hacheck: container_port: 6666 is that of the hacheck sidecar",
    ]
    instance, facts = web("container_port: 6666", service="api")
    assert sidecar.problems(instance, facts) == []
