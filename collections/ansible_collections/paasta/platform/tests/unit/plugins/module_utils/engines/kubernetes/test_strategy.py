# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Bounce methods as strategies of Deployments."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import strategy
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import freeze
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Bounce
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.soa import Soa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def rolling(surge: str, unavailable: str) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", rolling("100%", "0%")),
        ("bounce_margin_factor: 0.95", rolling("100%", "5%")),
        ("bounce_margin_factor: 0.9", rolling("100%", "10%")),  # PaaSTA: 9%
        ("bounce_margin_factor: 0.8", rolling("100%", "20%")),  # PaaSTA: 19%
        ("bounce_margin_factor: 0", rolling("100%", "100%")),
        ("bounce_overprovision_factor: 0.25, bounce_margin_factor: 0.7", rolling("25%", "30%")),
        ("bounce_method: brutal", rolling("100%", "100%")),
        ("bounce_method: brutal, bounce_overprovision_factor: 0.5", rolling("50%", "100%")),
        ("bounce_method: downthenup", {"type": "Recreate"}),
        ("bounce_method: upthendown, bounce_margin_factor: 0.5", rolling("100%", "0%")),
    ],
)
def test_percentages_are_exact(web: Web, keys: str, expected: dict[str, Any]) -> None:
    assert strategy.deployment(*web(keys)) == expected


def test_the_platform_has_a_default_of_its_own(web: Web) -> None:
    instance, facts = web("bounce_margin_factor: 0.9", settings={"default_bounce_overprovision_factor": 0.3})
    assert strategy.deployment(instance, facts) == rolling("30%", "10%")
    # Kubernetes refuses a surge and an absence of nothing.
    instance, facts = web(settings={"default_bounce_overprovision_factor": 0.001})
    assert strategy.deployment(instance, facts) == rolling("1%", "0%")


_LOADED: list[Any] = []  # once for all examples


@given(
    margin=st.floats(0, 1),
    surge=st.floats(0.0001, 1),
    replicas=st.integers(1, 500),
    method=st.sampled_from(strategy.METHODS),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_rollout_can_always_move(soa: Soa, margin: float, surge: float, replicas: int, method: str) -> None:
    """Kubernetes rounds maxSurge up and maxUnavailable down, and refuses both to be nothing."""
    if not _LOADED:
        _LOADED.append(soa.write().load())
    instance, facts = _LOADED[0]
    instance = replace(
        instance, bounce=Bounce(method, margin), keys=freeze({**instance.keys, "bounce_overprovision_factor": surge})
    )
    found = strategy.deployment(instance, facts)
    if found["type"] == "Recreate":
        assert method == "downthenup"
        return
    more, fewer = (int(text.removesuffix("%")) for text in found["rollingUpdate"].values())
    assert 0 <= fewer <= 100
    assert math.ceil(replicas * more / 100) + math.floor(replicas * fewer / 100) >= 1
    if method in ("crossover", "upthendown"):
        assert replicas - math.floor(replicas * fewer / 100) >= math.floor(replicas * (margin - 0.005))


@pytest.mark.parametrize(
    ("keys", "seconds"), [("", 0), ("bounce_health_params: {min_task_uptime: 2.5}", 3), ("bounce_health_params: {}", 0)]
)
def test_how_long_a_replica_must_have_been_up(web: Web, keys: str, seconds: int) -> None:
    assert strategy.min_ready_seconds(web(keys)[0]) == seconds


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        ("", None),
        ("healthcheck_mode: tcp", 660),  # 300 to be scheduled and pulled, 60 of grace, 30 checks of 10 s
        ("healthcheck_mode: tcp, healthcheck_max_consecutive_failures: 10", None),
        ("healthcheck_mode: tcp, healthcheck_grace_period_seconds: 600", 1200),
        ("bounce_health_params: {min_task_uptime: 900}", 1200),
    ],
)
def test_a_slow_start_is_no_failed_rollout(web: Web, keys: str, seconds: int | None) -> None:
    assert strategy.progress_deadline(web(keys)[0]) == seconds


EBS = "aws_ebs_volumes: [{volume_id: v-1, fs_type: ext4, container_path: /data}]"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (f"{EBS}, bounce_method: downthenup", []),
        (EBS, ["web/kubernetes-prod.yaml:1: web.main: aws_ebs_volumes: an EBS volume cannot be attached"]),
        (
            f"{EBS}, bounce_method: brutal",
            ["web/kubernetes-prod.yaml:1: web.main: bounce_method: an EBS volume cannot"],
        ),
        (
            f"{EBS}, bounce_method: downthenup, instances: 2",
            ["web/kubernetes-prod.yaml:1: web.main: instances: 2 replicas cannot share an EBS volume"],
        ),
        (
            f"{EBS}, max_instances: 3",
            ["web.main: aws_ebs_volumes: an EBS volume", "web.main: max_instances: 3 replicas cannot share"],
        ),
    ],
)
def test_an_ebs_volume_has_one_reader(web: Web, keys: str, expected: list[str]) -> None:
    found = strategy.problems(web(keys)[0])
    assert len(found) == len(expected)
    assert all(text in problem for text, problem in zip(expected, found, strict=True))


PV = "persistent_volumes: [{container_path: /data, size: 10, mode: RW, storage_class_name: ebs}]"


@pytest.mark.parametrize(
    ("keys", "warned"),
    [
        ("", False),
        ("bounce_method: brutal", False),
        ("bounce_method: upthendown", True),
        (PV, False),
        (f"{PV}, bounce_method: downthenup", False),
        (f"{PV}, bounce_method: downthenup, instances: 2", True),
        (f"{PV}, bounce_method: brutal", True),
    ],
)
def test_what_kubernetes_does_in_part_is_said(web: Web, keys: str, warned: bool) -> None:
    found = strategy.warnings(web(keys)[0])
    assert bool(found) == warned
    assert all(text.startswith("web/kubernetes-prod.yaml:1: web.main: bounce_method: ") for text in found)
