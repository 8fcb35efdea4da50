# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The main container: command, image, environment, ports and resources."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.container import container
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import (
    MESH,
    REGISTRY,
    SHA,
)


def of(web: Web, keys: str = "", **options: Any) -> dict[str, Any]:
    instance, facts = web(keys, **options)
    assert instance.version is not None
    return container(instance, instance.version, facts, [])


def variables(found: dict[str, Any]) -> dict[str, Any]:
    names = [entry["name"] for entry in found["env"]]
    assert len(names) == len(set(names))
    return {entry["name"]: entry.get("value", entry.get("valueFrom", "")) for entry in found["env"]}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", {}),
        ("cmd: python3 -m web", {"command": ["sh", "-c", "python3 -m web"]}),
        ("cmd: [python3, -m, web]", {"command": ["python3", "-m", "web"]}),
        ("args: [--verbose]", {"args": ["--verbose"]}),
    ],
)
def test_commands(web: Web, keys: str, expected: dict[str, Any]) -> None:
    found = of(web, keys)
    assert {key: found[key] for key in ("command", "args") if key in found} == expected


def test_the_image_comes_from_the_platform_s_registry_or_the_service_s_own(web: Web) -> None:
    assert of(web)["image"] == f"{REGISTRY}/services-web:paasta-{SHA}"
    own = of(web, service_yaml="docker_registry: mine.example.org\n", name="other")
    assert own["image"] == f"mine.example.org/services-web:paasta-{SHA}"


def test_the_container_is_called_as_the_instance(web: Web) -> None:
    assert of(web, name="a_b")["name"] == "a--b"


@pytest.mark.parametrize(
    ("keys", "requests", "limits"),
    [
        ("", ("1", "4Gi", "1Gi"), ("2", "4Gi", "1Gi")),
        ("cpus: 0.25, mem: 1536, disk: 512", ("250m", "1536Mi", "512Mi"), ("1250m", "1536Mi", "512Mi")),
        ("cpus: 0.1, cpu_burst_add: 0.2", ("100m", "4Gi", "1Gi"), ("300m", "4Gi", "1Gi")),
        ("cpus: 2, cpu_burst_add: 0", ("2", "4Gi", "1Gi"), ("2", "4Gi", "1Gi")),
    ],
)
def test_resources(web: Web, keys: str, requests: tuple[str, ...], limits: tuple[str, ...]) -> None:
    names = ("cpu", "memory", "ephemeral-storage")
    assert of(web, keys)["resources"] == {
        "requests": dict(zip(names, requests, strict=True)),
        "limits": dict(zip(names, limits, strict=True)),
    }


def test_gpus_are_a_limit_and_known_to_the_container(web: Web) -> None:
    found = of(web, "gpus: 2")
    assert found["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "nvidia.com/gpu" not in found["resources"]["requests"]
    assert variables(found)["PAASTA_RESOURCE_GPUS"] == "2"
    assert "PAASTA_RESOURCE_GPUS" not in variables(of(web, name="other"))


@pytest.mark.parametrize(
    ("keys", "ports"),
    [
        ("", [8888]),
        ("container_port: 80", [80]),
        ("prometheus_port: 9000", [8888, 9000]),
        ("prometheus_port: 8888", [8888]),
    ],
)
def test_ports(web: Web, keys: str, ports: list[int]) -> None:
    assert of(web, keys)["ports"] == [{"containerPort": port} for port in ports]


def test_what_is_injected(web: Web) -> None:
    found = variables(of(web, "cpus: 0.5, mem: 256", image_version="v1"))
    assert found == {
        "PAASTA_POD_IP": {"fieldRef": {"fieldPath": "status.podIP"}},
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "PAASTA_HOST": {"fieldRef": {"fieldPath": "spec.nodeName"}},
        "PAASTA_CLUSTER": {"fieldRef": {"fieldPath": "metadata.labels['paasta.yelp.com/cluster']"}},
        "PAASTA_SERVICE": "web",
        "PAASTA_INSTANCE": "main",
        "PAASTA_INSTANCE_TYPE": "kubernetes",
        "PAASTA_DEPLOY_GROUP": "g",
        "PAASTA_DOCKER_IMAGE": f"services-web:paasta-{SHA}-v1",
        "PAASTA_GIT_SHA": SHA[:8],
        "PAASTA_IMAGE_VERSION": "v1",
        "PAASTA_MONITORING_TEAM": "frontend",
        "PAASTA_RESOURCE_CPUS": "0.5",
        "PAASTA_RESOURCE_MEM": "256",
        "PAASTA_RESOURCE_DISK": "1024",
        "PAASTA_PORT": "8888",
        "PAASTA_MESH_ADDRESS": "169.254.255.254",
        "AWS_SDK_UA_APP_ID": "web.main",
    }


def test_own_variables_win_come_last_and_may_be_empty(web: Web) -> None:
    found = of(web, "env: {Z: $(PAASTA_POD_IP), PAASTA_PORT: '1', EMPTY: ''}")
    assert [entry["name"] for entry in found["env"][-3:]] == ["EMPTY", "PAASTA_PORT", "Z"]
    assert found["env"][-3] == {"name": "EMPTY"}  # as the API server keeps it
    assert variables(found)["PAASTA_PORT"] == "1"


@pytest.mark.parametrize(
    ("smartstack", "settings", "own_readiness"),
    [
        ("", {}, True),
        (MESH, {}, True),
        (MESH, {"hacheck_sidecar_image_url": "hacheck:1"}, False),
        (MESH, {"hacheck_sidecar_image_url": "hacheck:1", "use_hacheck_sidecar": False}, True),
        (MESH, {"hacheck_sidecar_image_url": "hacheck:1", "enable_nerve_readiness_check": False}, True),
        ("", {"hacheck_sidecar_image_url": "hacheck:1"}, True),
    ],
)
def test_a_pod_is_ready_by_its_own_check_unless_a_sidecar_knows_better(
    web: Web, smartstack: str, settings: dict[str, Any], own_readiness: bool
) -> None:
    found = of(web, "healthcheck_mode: tcp", smartstack=smartstack, settings=settings)
    assert ("readinessProbe" in found) == own_readiness
    assert "livenessProbe" in found
